"""How well a model predicts a text, in the units people compare: see `Evaluation`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from minigpt.core.checks import check_sizes, check_whole
from minigpt.core.checks_arrays import check_tokens
from minigpt.core.checks_model import check_model
from minigpt.core.functional import Array, cross_entropy
from minigpt.core.layers import twin
from minigpt.support.displayed import as_html
from minigpt.text.prepared import decoded, read_dataset_json

if TYPE_CHECKING:
    from pathlib import Path

    from minigpt.core.model import miniGPT
    from minigpt.text.data import Dataset
    from minigpt.text.tokenizers import Tokenizer

Batch: TypeAlias = tuple[Array, int, int]
"""Windows of one shape: where they start, their length, how many of their last tokens count."""

MAX_LOGITS = 2**24
"""How many logits are computed at once; a large vocabulary lets fewer windows side by side."""


@dataclass(frozen=True)
class Evaluation:
    """A loss on a text, and what it means for tokens, words, bytes and characters.

    Tokens are what the tokenizer makes them, so that a loss per token tells little about two
    models with different ones; per word, byte or character it can be compared. There, what is
    ``<unk>`` to a tokenizer costs its spelling too: see `Tokenizer.spelling_nats`.

    Attributes
    ----------
    loss : mean cross-entropy, nats per token.
    n_tokens, n_words, n_bytes, n_characters : the length of the text; words stand between white
        space, bytes are those of UTF-8. The first token, which nothing predicts, counts as if it
        had cost what the others do on average. What is per word, byte or character is NaN where
        there are none.
    spelling : nats that the spelling of all unknown pieces costs.
    """

    loss: float
    n_tokens: int
    n_words: int
    n_bytes: int
    n_characters: int
    spelling: float = 0.0

    _repr_html_ = as_html

    @classmethod
    def of(
        cls, loss: float, n_tokens: int, texts: str | Iterable[str], spelling: float = 0.0
    ) -> Evaluation:
        """Count the words, bytes and characters of a text, or of the parts of one.

        With a tokenizer of words or characters, `spelling` must be its `spelling_nats` of the
        text, or what is per word, byte or character cannot be compared.
        """
        parts = [texts] if isinstance(texts, str) else texts
        lengths = [(len(t.split()), len(t.encode("utf-8")), len(t)) for t in parts]
        n_words, n_bytes, n_characters = (sum(column) for column in zip(*lengths, strict=True))
        return cls(loss, n_tokens, n_words, n_bytes, n_characters, spelling)

    @property
    def perplexity(self) -> float:
        """Among how many equally likely tokens the model is in doubt, on average."""
        return _exp(self.loss)

    @property
    def word_perplexity(self) -> float:
        """The same for words."""
        return _exp(self._nats / self.n_words) if self.n_words else math.nan

    @property
    def bits_per_byte(self) -> float:
        """How many bits a byte of the text costs."""
        return self._nats / math.log(2) / self.n_bytes if self.n_bytes else math.nan

    @property
    def bits_per_character(self) -> float:
        """How many bits a character of the text costs."""
        return self._nats / math.log(2) / self.n_characters if self.n_characters else math.nan

    @property
    def spelling_bits(self) -> float:
        """The part of the bits per character that spells unknown pieces."""
        return self.spelling / math.log(2) / self.n_characters if self.n_characters else math.nan

    @property
    def _nats(self) -> float:
        return self.loss * self.n_tokens + self.spelling


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf  # beyond the largest float


def evaluate(
    model: miniGPT,
    data: Array,
    block_size: int | None = None,
    batch_size: int = 64,
    max_tokens: int | None = None,
    stride: int | None = None,
    track: Callable[[list[Batch]], Iterable[Batch]] = iter,
) -> float:
    """Measure the mean loss over `data`, cut into windows.

    Parameters
    ----------
    data : integer array (N,) of at least 2 token ids. Every token but the first is predicted
        once, from those before it in its window.
    block_size : how many tokens the model sees at once; its whole context if None.
    batch_size : windows taken at once.
    max_tokens : take windows evenly spread over `data`, of about so many tokens in all.
    stride : None for windows one after another, the cheapest. Else a window of block_size tokens
        moves on by `stride` tokens each time, and only those that are new to it count: the
        smaller the stride, the more a token sees of what stands before it. Source: "Perplexity
        of fixed-length models", in the documentation of Hugging Face transformers.
    track : goes through the list of batches; one such as rich.progress.track shows how far it is.

    Returns
    -------
    Mean cross-entropy in nats per token.
    """
    check_model(model)
    data = check_tokens(data)
    if len(data) < 2:
        raise ValueError(f"a loss needs at least 2 tokens, got {len(data)}")
    block_size = model.max_len if block_size is None else block_size
    check_sizes(block_size=block_size, batch_size=batch_size)
    if max_tokens is not None:
        check_sizes(max_tokens=max_tokens)
    if block_size > model.max_len:
        raise ValueError(
            f"block_size {block_size} is more than the context of the model, {model.max_len} tokens"
        )
    if stride is not None:
        check_whole(stride=stride)
    if stride is not None and not 0 < stride < block_size:
        raise ValueError(
            f"stride must be at least 1 and less than the window of {block_size}, got {stride}"
        )
    width = block_size + 1 if stride is None else block_size  # its last token is only predicted
    spans = list(_spans(len(data), width, stride or block_size))
    if max_tokens and max_tokens < len(data):
        chosen = np.linspace(0, len(spans) - 1, max(1, max_tokens // block_size))
        spans = [spans[i] for i in chosen.astype(int)]
    batch_size = max(1, min(batch_size, MAX_LOGITS // (block_size * model.vocab_size)))

    model = twin(model).eval()
    nats = tokens = 0.0
    for starts, length, n_new in track(list(_batches(spans, batch_size))):
        windows = data[starts[:, None] + np.arange(length)].astype(np.int64)
        with np.errstate(over="ignore", invalid="ignore"):  # the result tells
            logits, _ = model.forward(windows[:, :-1])
            loss = cross_entropy(logits[:, -n_new:], windows[:, -n_new:])
        nats += loss * len(starts) * n_new
        tokens += len(starts) * n_new
    return nats / tokens


def _spans(n_tokens: int, width: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """Yield (start, length, how many of its last tokens no window before has predicted)."""
    predicted = 1  # nothing stands before the first token
    for start in range(0, n_tokens - 1, stride):
        end = min(start + width, n_tokens)
        yield start, end - start, end - predicted
        predicted = end
        if end == n_tokens:
            return


def _batches(spans: list[tuple[int, int, int]], batch_size: int) -> Iterator[Batch]:
    """Group spans of one shape: yield (starts, length, n_new)."""
    shapes: dict[tuple[int, int], list[int]] = {}
    for start, length, n_new in spans:
        shapes.setdefault((length, n_new), []).append(start)
    for (length, n_new), starts in shapes.items():
        for i in range(0, len(starts), batch_size):
            yield np.array(starts[i : i + batch_size]), length, n_new


def evaluation_of(folder: Path, dataset: Dataset, tokenizer: Tokenizer, loss: float) -> Evaluation:
    """Return what a loss means on the validation part of a prepared folder, opened as `dataset`."""
    about = read_dataset_json(folder)
    if "val_words" not in about:
        return Evaluation.of(loss, len(dataset.val), decoded(dataset.val, tokenizer))
    lengths = about["val_words"], about["val_bytes"], dataset.val_characters
    return Evaluation(loss, len(dataset.val), *lengths, dataset.val_spelling)
