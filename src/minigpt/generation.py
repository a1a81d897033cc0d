"""Generate text: read the context, then choose one next token after another.

Generation only ever uses `model.forward`. It never switches dropout on, and leaves the model's
training mode as it found it.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.checks import check_ids, check_sizes
from minigpt.functional import Array, softmax

if TYPE_CHECKING:
    from minigpt.model import miniGPT
    from minigpt.tokenizers import Tokenizer


def generate(
    model: miniGPT,
    context: Any,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    stop: int | None = None,
) -> Array:
    """Continue each row of `context` by up to `max_new_tokens` tokens.

    Parameters
    ----------
    context : int (B, T), at least one token in each row; of a long one, the last max_len count.
    max_new_tokens : how many tokens to add at most.
    temperature : divides the logits. Below 1 the likely becomes likelier, above 1 less so; 0 is
        greedy, always taking the likeliest.
    top_k : choose among the k likeliest tokens only.
    top_p : choose among the fewest likeliest tokens that together reach this probability.
    seed : a whole number for the same choices each time.
    stop : a token id that ends a row. The rows of a batch stay equally long: one that has ended
        is filled up with it, and all end when the last has.

    Returns
    -------
    int (B, T + new): the context and what follows it.

    Raises
    ------
    ValueError, TypeError
        If the context is empty or not of ids, or a setting makes no sense.
    """
    sampling = Sampling(temperature, top_k, top_p)
    tokens = list(stream(model, context, max_new_tokens, sampling, seed, stop))
    return np.concatenate([context, np.stack(tokens, axis=1)], axis=1)


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen from the logits: see `generate`."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be 0 (greedy) or more, got {self.temperature}")
        if self.top_k is not None:
            check_sizes(top_k=self.top_k)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be more than 0 and at most 1, got {self.top_p}")

    def probabilities(self, logits: Array) -> Array:
        """Turn logits (B, V) into the probabilities (B, V) that a token is drawn with.

        In this order: temperature, then top-k, then top-p, and what is left sums to 1 again.
        Tokens that tie with the k-th are kept. Source of top-p: Holtzman et al., "The Curious Case
        of Neural Text Degeneration", 2020, section 3.1.
        """
        if self.temperature == 0:
            return np.eye(logits.shape[-1])[logits.argmax(axis=-1)]
        # In float64, so that a tiny temperature cannot overflow and probabilities do sum to 1.
        scores = (logits - logits.max(axis=-1, keepdims=True)).astype(float) / self.temperature
        if self.top_k is not None and self.top_k < scores.shape[-1]:
            kth_best = np.partition(scores, -self.top_k, axis=-1)[:, -self.top_k, None]
            scores[scores < kth_best] = -np.inf
        probabilities = softmax(scores)
        if self.top_p is not None:
            order = np.argsort(-probabilities, axis=-1, kind="stable")
            in_order = np.take_along_axis(probabilities, order, axis=-1)
            reached_before = in_order.cumsum(axis=-1) - in_order >= self.top_p
            np.put_along_axis(probabilities, order, np.where(reached_before, 0, in_order), axis=-1)
            probabilities /= probabilities.sum(axis=-1, keepdims=True)
        return probabilities


def stream(
    model: miniGPT,
    context: Any,
    max_new_tokens: int,
    sampling: Sampling | None = None,
    seed: int | None = None,
    stop: int | None = None,
) -> Iterator[Array]:
    """Yield the new tokens as they come, int (B,) each; all else as `generate`."""
    ids = np.asarray(context)
    if ids.ndim != 2 or ids.size == 0:
        raise ValueError(
            "context must have the shape (batch, time) with at least one token in each row, "
            f"got shape {ids.shape}: an empty prompt has nothing to continue"
        )
    ids = check_ids(ids, model.vocab_size)
    check_sizes(max_new_tokens=max_new_tokens)
    if stop is not None:
        check_ids(stop, model.vocab_size, "stop")
    return _stream(model, ids, max_new_tokens, sampling or Sampling(), seed, stop)


def _stream(
    model: miniGPT,
    ids: Array,
    max_new_tokens: int,
    sampling: Sampling,
    seed: int | None,
    stop: int | None,
) -> Iterator[Array]:
    rng = np.random.default_rng(seed)
    ended = np.zeros(len(ids), dtype=bool)
    reader = Reader(model, ids)
    for remaining in reversed(range(max_new_tokens)):
        tokens = draw(sampling.probabilities(reader.logits), rng)
        if stop is not None:
            tokens[ended] = stop
            ended |= tokens == stop
        yield tokens
        if remaining == 0 or ended.all():
            return
        reader.read(tokens)


def draw(probabilities: Array, rng: np.random.Generator) -> Array:
    """Draw a token for each row of probabilities (B, V): the one a random number falls on."""
    cumulative = probabilities.cumsum(axis=-1)
    cumulative /= cumulative[:, -1:]
    return (rng.random((len(probabilities), 1)) < cumulative).argmax(axis=-1)


class KVCache:
    """The keys and values of the tokens read so far, for one attention layer.

    Tokens never look ahead, so a token's keys and values stay what they are when the text grows;
    with them kept, the next token needs only its own. Arrays (B, H, max_len, D), allocated once.
    """

    def __init__(self, shape: tuple[int, int, int, int], dtype: Any = np.float32) -> None:
        self.keys = np.empty(shape, dtype)
        self.values = np.empty(shape, dtype)
        self.length = 0

    def extend(self, k: Array, v: Array) -> tuple[Array, Array]:
        """Add the keys and values (B, H, T, D) of T more tokens; give those of all so far."""
        end = self.length + k.shape[2]
        self.keys[:, :, self.length : end] = k
        self.values[:, :, self.length : end] = v
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]


def new_cache(model: miniGPT, batch_size: int) -> list[KVCache]:
    """Make an empty cache for `batch_size` texts, one `KVCache` for each block of the model."""
    shape = (batch_size, model.n_heads, model.max_len, model.d_model // model.n_heads)
    return [KVCache(shape, model.dtype) for _ in model.blocks]


class Reader:
    """Reads texts token by token with a cache, and has the logits of what comes next.

    Learned positions cannot slide: once the texts are longer than the context, each new token
    moves all others to another position, and the window is read anew.

    Attributes
    ----------
    logits : (B, V), the scores of the next token of each text.
    """

    def __init__(self, model: miniGPT, ids: Array) -> None:
        self.model = model
        self.window = ids[:, -model.max_len :]
        self.cache = new_cache(model, len(ids))
        self._forward(self.window)

    def read(self, tokens: Array) -> None:
        """Read one more token (B,) of each text."""
        tokens = tokens[:, None]
        self.window = np.concatenate([self.window, tokens], axis=1)[:, -self.model.max_len :]
        if self.cache[0].length < self.model.max_len:
            self._forward(tokens)
        else:
            for cache in self.cache:
                cache.length = 0
            self._forward(self.window)

    def _forward(self, ids: Array) -> None:
        with evaluating(self.model):
            logits, _ = self.model.forward(ids, cache=self.cache)
        self.logits = logits[:, -1]


@contextmanager
def evaluating(model: miniGPT) -> Iterator[None]:
    """Switch dropout off within a `with` block, and back to what it was at its end."""
    if not model.training:
        yield
        return
    model.eval()
    try:
        yield
    finally:
        model.train()


def stream_text(tokenizer: Tokenizer, tokens: Iterable[int]) -> Iterator[str]:
    """Yield the text of tokens as they come, in whole characters only.

    A byte-level token may end in the middle of a character; its bytes wait for the rest.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    for token in tokens:
        if text := decoder.decode(tokenizer.token_bytes(token)):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text
