"""How well a model predicts a text: its loss, and what the loss means per word, byte, character."""

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

Window: TypeAlias = tuple[int, int, int]
"""Start, length, and n_new: the last n_new tokens are predicted by no earlier window."""

Batch: TypeAlias = tuple[Array, int, int]
"""Windows of one shape: their starts, (B,), their length and their n_new."""

MAX_LOGITS = 2**24
"""Number of logits computed at once: a large vocabulary means fewer windows in a batch."""


@dataclass(frozen=True)
class Evaluation:
    """A loss on a text, per token, word, byte and character.

    Each tokenizer cuts a text into other tokens, so losses per token of models with different
    tokenizers cannot be compared; losses per word, byte or character can. These include the cost
    of spelling out each ``<unk>``: see `Tokenizer.spelling_nats`.

    Attributes
    ----------
    loss : mean cross-entropy, nats per token.
    n_tokens, n_words, n_bytes, n_characters : the length of the text. Words are separated by white
        space; bytes are UTF-8. The first token cannot be predicted, and counts with the mean cost
        of the others. A loss per word, byte or character is NaN if the text has none.
    spelling : cost in nats of spelling all unknown pieces.
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
        """Return the evaluation of a text, given whole or in parts.

        With a word or character tokenizer, `spelling` must be the tokenizer's `spelling_nats` of
        the text. Otherwise the losses per word, byte and character cannot be compared.
        """
        parts = [texts] if isinstance(texts, str) else texts
        lengths = [(len(t.split()), len(t.encode("utf-8")), len(t)) for t in parts]
        n_words, n_bytes, n_characters = (sum(column) for column in zip(*lengths, strict=True))
        return cls(loss, n_tokens, n_words, n_bytes, n_characters, spelling)

    @property
    def perplexity(self) -> float:
        """exp(loss): the model is as uncertain as between this many equally likely tokens."""
        return _exp(self.loss)

    @property
    def word_perplexity(self) -> float:
        """The same per word: exp(nats per word)."""
        return _exp(self._nats / self.n_words) if self.n_words else math.nan

    @property
    def bits_per_byte(self) -> float:
        """Mean cost of a byte of the text, in bits."""
        return self._nats / math.log(2) / self.n_bytes if self.n_bytes else math.nan

    @property
    def bits_per_character(self) -> float:
        """Mean cost of a character of the text, in bits."""
        return self._nats / math.log(2) / self.n_characters if self.n_characters else math.nan

    @property
    def spelling_bits(self) -> float:
        """The part of the bits per character that spells unknown pieces."""
        return self.spelling / math.log(2) / self.n_characters if self.n_characters else math.nan

    @property
    def _nats(self) -> float:
        return self.loss * self.n_tokens + self.spelling


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf  # exp(709) is near the largest float


def evaluate(
    model: miniGPT,
    data: Array,
    block_size: int | None = None,
    batch_size: int = 64,
    max_tokens: int | None = None,
    stride: int | None = None,
    track: Callable[[list[Batch]], Iterable[Batch]] = iter,
) -> float:
    """Compute the mean loss of `model` over `data`, cut into windows.

    Parameters
    ----------
    data : integer array (N,) of at least 2 token ids. Each token except the first is predicted
        once, from the tokens before it in its window.
    block_size : number of tokens that the model sees at once; None for its whole context.
    batch_size : number of windows in a batch.
    max_tokens : evaluate only about this many tokens, in windows spread evenly over `data`.
    stride : None for windows side by side, which is the fastest. Otherwise windows of block_size
        tokens overlap: each begins `stride` tokens after the last one, and only its new tokens
        count. The smaller the stride, the more context each token has. Source: "Perplexity of
        fixed-length models", in the documentation of Hugging Face transformers.
    track : wraps the list of batches, to show progress; for example rich.progress.track.

    Returns
    -------
    Mean cross-entropy in nats per token.
    """
    check_model(model)
    data = check_tokens(data)
    block_size = model.max_len if block_size is None else block_size
    _check_windows(model, data, block_size, batch_size, max_tokens, stride)
    windows = _windows(len(data), block_size, stride)
    if max_tokens and max_tokens < len(data):
        chosen = np.linspace(0, len(windows) - 1, max(1, max_tokens // block_size))
        windows = [windows[i] for i in chosen.astype(int)]
    batch_size = max(1, min(batch_size, MAX_LOGITS // (block_size * model.vocab_size)))

    model = twin(model).eval()
    nats = tokens = 0.0
    for starts, length, n_new in track(list(_batches(windows, batch_size))):
        ids = data[starts[:, None] + np.arange(length)].astype(np.int64)
        with np.errstate(over="ignore", invalid="ignore"):  # the loss shows it
            logits, _ = model.forward(ids[:, :-1])
            loss = cross_entropy(logits[:, -n_new:], ids[:, -n_new:])
        nats += loss * len(starts) * n_new
        tokens += len(starts) * n_new
    return nats / tokens


def _check_windows(
    model: miniGPT,
    data: Array,
    block_size: int,
    batch_size: int,
    max_tokens: int | None,
    stride: int | None,
) -> None:
    if len(data) < 2:
        raise ValueError(f"a loss needs at least 2 tokens, got {len(data)}")
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


def _windows(n_tokens: int, block_size: int, stride: int | None) -> list[Window]:
    """Return windows that together predict each token except the first exactly once."""
    # Without overlap, a window has one token more: its last one is only predicted.
    width, stride = (block_size + 1, block_size) if stride is None else (block_size, stride)
    windows = []
    n_predicted = 1  # the first token has nothing before it
    for start in range(0, n_tokens - 1, stride):
        end = min(start + width, n_tokens)
        windows.append((start, end - start, end - n_predicted))
        n_predicted = end
        if end == n_tokens:
            break
    return windows


def _batches(windows: list[Window], batch_size: int) -> Iterator[Batch]:
    """Yield batches of windows that have the same length and number of new tokens."""
    shapes: dict[tuple[int, int], list[int]] = {}
    for start, length, n_new in windows:
        shapes.setdefault((length, n_new), []).append(start)
    for (length, n_new), starts in shapes.items():
        for i in range(0, len(starts), batch_size):
            yield np.array(starts[i : i + batch_size]), length, n_new


def evaluation_of(folder: Path, dataset: Dataset, tokenizer: Tokenizer, loss: float) -> Evaluation:
    """Return the evaluation of a loss on the validation part of a prepared folder.

    `dataset` is the folder, opened.
    """
    about = read_dataset_json(folder)
    if "val_words" not in about:
        return Evaluation.of(loss, len(dataset.val), decoded(dataset.val, tokenizer))
    lengths = about["val_words"], about["val_bytes"], dataset.val_characters
    return Evaluation(loss, len(dataset.val), *lengths, dataset.val_spelling)
