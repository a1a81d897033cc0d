"""Generate text: read the context, then choose one token after another.

Generation only reads the model. It uses a `twin` without dropout, so any number of threads may
generate with one model, even while another thread trains it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np

from minigpt.core.cache import KVCache
from minigpt.core.checks import rng_of
from minigpt.core.checks_arrays import check_ids
from minigpt.core.checks_generation import check_context, check_generation
from minigpt.core.checks_model import check_model
from minigpt.core.functional import Array
from minigpt.core.kernels import kernel
from minigpt.core.layers import twin
from minigpt.core.model import miniGPT
from minigpt.core.sampling import Sampling

Choice: TypeAlias = tuple[Array, Array]  # the next tokens, int (B,), and their log-probabilities


def generate(
    model: miniGPT, context: Any, max_new_tokens: int, temperature: float = 1.0,
    top_k: int | None = None, top_p: float | None = None, min_p: float | None = None,
    repetition_penalty: float = 1.0, seed: int | None = None,
    stop: int | Sequence[int] | None = None, allowed: Array | None = None,
) -> Array:  # fmt: skip
    """Continue each row of `context` by up to `max_new_tokens` tokens.

    Parameters
    ----------
    context : int (B, T), or a list of B rows of any lengths, with at least one token in each row.
        If a row is longer than max_len, the model sees only its last max_len tokens.
    max_new_tokens : the largest number of tokens to add.
    temperature, top_k, top_p, min_p, repetition_penalty : how a token is chosen: see
        `minigpt.core.sampling.Sampling`. Temperature 0 always chooses the most likely token.
    seed : a whole number for the same choices each time.
    stop : a token id that ends a row, or several. All rows keep the same length: a row that has
        ended repeats its stop id until every row has ended.
    allowed : bool (V,), True for the ids that may be drawn; None allows all.

    Returns
    -------
    int (B, T + new): the context and its continuation. Shorter rows are padded with zeros on the
    left, which does not influence their continuation.
    """
    check_model(model)
    sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty)
    ids, _ = pad_left(context, model.vocab_size)
    choices = stream_choices(model, context, max_new_tokens, sampling, seed, stop, allowed)
    return np.concatenate([ids, np.stack([tokens for tokens, _ in choices], axis=1)], axis=1)


miniGPT.generate = generate


def stream_choices(
    model: miniGPT, context: Any, max_new_tokens: int, sampling: Sampling | None = None,
    seed: int | None = None, stop: int | Sequence[int] | None = None, allowed: Array | None = None,
) -> Iterator[Choice]:  # fmt: skip
    """Yield each `Choice`, a token for each row, when it is made; arguments as for `generate`."""
    check_model(model)
    ids, padding = pad_left(context, model.vocab_size)
    sampling = Sampling() if sampling is None else sampling
    stops = check_generation(model.vocab_size, max_new_tokens, sampling, stop, allowed)
    rng = rng_of(seed)

    def choices() -> Iterator[Choice]:
        rows, ended = np.arange(len(ids)), np.zeros(len(ids), dtype=bool)
        seen = np.zeros((len(ids), model.vocab_size), dtype=bool)
        for row in rows:
            seen[row, ids[row, padding[row] :]] = True
        reader = Reader(model, ids, padding)
        for remaining in reversed(range(max_new_tokens)):
            logits = reader.logits if allowed is None else np.where(allowed, reader.logits, -np.inf)
            tokens, log_probs = sampling.choose(logits, rng, seen)
            tokens = np.where(ended, reader.window[:, -1], tokens)
            ended |= np.isin(tokens, stops)
            yield tokens, log_probs
            if remaining == 0 or ended.all():
                return
            seen[rows, tokens] = True
            reader.read(tokens)

    return choices()


def pad_left(context: Any, vocab_size: int) -> tuple[Array, Array]:
    """Return ids (B, T), rows padded with zeros on the left, and the number of zeros, int (B,)."""
    rows = check_context(context, vocab_size)
    padding = max(map(len, rows)) - np.array([len(row) for row in rows])
    return np.stack([np.pad(row, (n, 0)) for row, n in zip(rows, padding, strict=True)]), padding


class Reader:
    """Reads texts token by token with a cache; `logits` (B, V) are the scores for the next token.

    Learned positions cannot slide: once the texts are longer than max_len, each new token moves
    all others to another position, so the window of the last max_len tokens is read again.

    Parameters: ids, int (B, T), the beginnings of the texts; padding, int (B,), the number of ids
    at the left of each row that are padding.
    """

    def __init__(self, model: miniGPT, ids: Array, padding: Array | None = None) -> None:
        self.model = twin(model).eval()
        self.window = check_ids(ids, model.vocab_size)
        self.padding = np.zeros(len(ids), int) if padding is None else padding
        self.cache = new_cache(model, len(ids))
        self._read_window()

    def read(self, tokens: Array) -> None:
        """Read one more token of each text, int (B,)."""
        tokens = check_ids(tokens, self.model.vocab_size)[:, None]
        self.window = np.concatenate([self.window, tokens], axis=1)
        if self.cache[0].length < self.model.max_len:
            self.logits = last_logits(self.model, tokens, self.cache)
        else:
            self._read_window()

    def _read_window(self) -> None:
        too_many = max(0, self.window.shape[1] - self.model.max_len)
        self.window = self.window[:, too_many:]
        self.padding = np.maximum(self.padding - too_many, 0)
        for cache in self.cache:
            cache.length = 0
            cache.padding = self.padding if self.padding.any() else None
        self.logits = last_logits(self.model, self.window, self.cache)


@kernel
def last_logits(model: miniGPT, ids: Array, cache: list[KVCache]) -> Array:
    """Read ids (B, T) and return the logits (B, V) for the token after the last of them."""
    return model.head.forward(model.hidden(ids, cache)[:, -1])


def new_cache(model: miniGPT, batch_size: int) -> list[KVCache]:
    """Return an empty cache for `batch_size` texts: one `KVCache` for each block of the model."""
    shape = (batch_size, model.n_heads, model.max_len, model.d_model // model.n_heads)
    return [KVCache(shape, model.dtype) for _ in model.blocks]
