"""Generate tokens: read the context, then choose one next token after another.

Generation only ever reads the model. It works on a `twin`, without dropout, so that any number of
threads may write with one model, also while another thread trains it or switches its mode: each
token then comes from the weights as they are at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from minigpt.core.cache import new_cache
from minigpt.core.checks import (
    check_has,
    check_ids,
    check_model,
    check_sizes,
    is_list,
    rng_of,
    unmasked,
)
from minigpt.core.functional import Array
from minigpt.core.layers import twin
from minigpt.core.sampling import Sampling
from minigpt.fast.threads import on_all_cores
from minigpt.support.checked import checked

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT

Choice: TypeAlias = tuple[Array, Array]
"""The next tokens, int (B,), and the log-probabilities of choosing them, float64 (B,)."""


@checked
def generate(
    model: miniGPT,
    context: Any,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    repetition_penalty: float = 1.0,
    seed: int | None = None,
    stop: int | Sequence[int] | None = None,
    allowed: Array | None = None,
) -> Array:
    """Continue each row of `context` by up to `max_new_tokens` tokens.

    Parameters
    ----------
    context : int (B, T), or a list of B rows of any lengths, at least one token in each; of a
        long row, the last max_len count.
    max_new_tokens : how many tokens to add at most.
    temperature, top_k, top_p, min_p, repetition_penalty : how a token is chosen: see
        `minigpt.core.sampling.Sampling`. Temperature 0 always takes the likeliest.
    seed : a whole number for the same choices each time.
    stop : a token id that ends a row, or several. The rows of a batch stay equally long: one that
        has ended is filled up with the id that ended it, and all end when the last has.
    allowed : bool (V,), the ids that may be drawn; all if None.

    Returns
    -------
    int (B, T + new): the context and what follows it. Rows that were shorter than the longest
    are filled up with zeros on the left; what follows is what would have followed them alone.

    Raises
    ------
    ValueError, TypeError
        If the context is empty or not of ids, or a setting makes no sense.
    """
    check_model(model)
    sampling = Sampling(temperature, top_k, top_p, min_p, repetition_penalty)
    ids, _ = side_by_side(context, model.vocab_size)
    tokens = list(stream(model, context, max_new_tokens, sampling, seed, stop, allowed))
    return np.concatenate([ids, np.stack(tokens, axis=1)], axis=1)


@checked
def stream(
    model: miniGPT,
    context: Any,
    max_new_tokens: int,
    sampling: Sampling | None = None,
    seed: int | None = None,
    stop: int | Sequence[int] | None = None,
    allowed: Array | None = None,
) -> Iterator[Array]:
    """Yield the new tokens as they come, int (B,) each; all else as `generate`."""
    choices = stream_choices(model, context, max_new_tokens, sampling, seed, stop, allowed)
    return (tokens for tokens, _ in choices)


def stream_choices(
    model: miniGPT,
    context: Any,
    max_new_tokens: int,
    sampling: Sampling | None = None,
    seed: int | None = None,
    stop: int | Sequence[int] | None = None,
    allowed: Array | None = None,
) -> Iterator[Choice]:
    """Yield each `Choice` as it is made: see `Sampling.choose`."""
    check_model(model)
    ids, padding = side_by_side(context, model.vocab_size)
    check_sizes(max_new_tokens=max_new_tokens)
    no_stop = stop is None or np.size(stop) == 0
    stops = np.empty(0, int) if no_stop else check_ids(stop, model.vocab_size, "stop")
    if stops.ndim > 1:
        raise ValueError(f"stop must be a token id, or a list of them, got {stop!r:.100}")
    if allowed is not None and not (np.shape(allowed) == (model.vocab_size,) and np.any(allowed)):
        raise ValueError(
            f"allowed must say of each of the {model.vocab_size} ids whether it may be drawn, and "
            f"allow one at least, got {allowed!r:.100}"
        )
    sampling = Sampling() if sampling is None else sampling
    check_has("sampling", sampling, "probabilities", "a Sampling")
    return _choose(model, ids, padding, max_new_tokens, sampling, rng_of(seed), stops, allowed)


def _choose(
    model: miniGPT,
    ids: Array,
    padding: Array,
    max_new_tokens: int,
    sampling: Sampling,
    rng: np.random.Generator,
    stops: Array,
    allowed: Array | None,
) -> Iterator[Choice]:
    rows = np.arange(len(ids))
    seen = np.zeros((len(ids), model.vocab_size), dtype=bool)
    for row in rows:
        seen[row, ids[row, padding[row] :]] = True
    ended = np.zeros(len(ids), dtype=bool)
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


def side_by_side(context: Any, vocab_size: int) -> tuple[Array, Array]:
    """Put rows of ids under each other, the shorter ones filled up with zeros on the left.

    Returns
    -------
    ids : int (B, T), T the length of the longest row.
    padding : int (B,), how many zeros were filled in.
    """
    is_many = is_list(context) and not isinstance(context, Iterator)  # which can be read once
    rows = [unmasked(row) for row in context] if is_many else []
    if (rows and all(row.ndim == 0 for row in rows)) or isinstance(context, str | bytes):
        is_text = not rows or rows[0].dtype.kind in "US"
        given, row = ("a text", "tokenizer.encode(text)") if is_text else ("one row of ids", "ids")
        raise ValueError(
            f"context must have the shape (batch, time), got {given}, {context!r:.100}: put "
            f"{row} in a list, as in generate([{row}], …)"
        )
    if not rows or any(row.ndim != 1 or row.size == 0 for row in rows):
        is_empty = is_many and all(row.size == 0 for row in rows)
        nothing = ": an empty prompt has nothing to continue" if is_empty else ""
        raise ValueError(
            "context must have the shape (batch, time), or be a list of rows, with at least one "
            f"token in each row, got {context!r:.200}{nothing}"
        )
    rows = [check_ids(row, vocab_size) for row in rows]
    longest = max(map(len, rows))
    padding = np.array([longest - len(row) for row in rows])
    return np.stack([np.pad(row, (n, 0)) for row, n in zip(rows, padding, strict=True)]), padding


class Reader:
    """Reads texts token by token with a cache, and has the logits of what comes next.

    Learned positions cannot slide: once the texts are longer than the context, each new token
    moves all others to another position, and the window is read anew.

    Parameters
    ----------
    model : miniGPT
    ids : int (B, T), the beginnings of the texts; of a long one, the last max_len count.
    padding : int (B,), how many of the ids at the left of each row are filled in, and no text.

    Attributes
    ----------
    logits : (B, V), the scores of the next token of each text.
    """

    def __init__(self, model: miniGPT, ids: Array, padding: Array | None = None) -> None:
        self.model = twin(model).eval()
        self.window = check_ids(ids, model.vocab_size)
        self.padding = np.zeros(len(ids), int) if padding is None else padding
        self.cache = new_cache(model, len(ids))
        self._read_window()

    def read(self, tokens: Array) -> None:
        """Read one more token (B,) of each text."""
        tokens = check_ids(tokens, self.model.vocab_size)
        self.window = np.concatenate([self.window, tokens[:, None]], axis=1)
        if self.cache[0].length < self.model.max_len:
            self._forward(tokens[:, None])
        else:
            self._read_window()

    def _read_window(self) -> None:
        too_many = max(0, self.window.shape[1] - self.model.max_len)
        self.window = self.window[:, too_many:]
        self.padding = np.maximum(self.padding - too_many, 0)
        for cache in self.cache:
            cache.length = 0
            cache.padding = self.padding if self.padding.any() else None
        self._forward(self.window)

    def _forward(self, ids: Array) -> None:
        with on_all_cores():
            hidden = self.model.hidden(ids, self.cache)
            self.logits = self.model.head.forward(hidden[:, -1])  # only these are asked for
