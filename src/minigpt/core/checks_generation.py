"""Error checks of sampling and generation."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from minigpt.core.checks import check_has, check_numbers, check_sizes, is_list
from minigpt.core.checks_arrays import Floats, check_ids, check_scores, unmasked


def check_sampling(
    temperature: Any, top_k: Any, top_p: Any, min_p: Any, repetition_penalty: Any
) -> None:
    """Raise unless each setting of `minigpt.core.sampling.Sampling` is valid."""
    check_numbers(temperature=temperature, repetition_penalty=repetition_penalty)
    check_numbers(**{n: p for n, p in {"top_p": top_p, "min_p": min_p}.items() if p is not None})
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be 0 (greedy) or more, got {temperature}")
    if top_k is not None:
        check_sizes(top_k=top_k)
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be more than 0 and at most 1, got {top_p}")
    if min_p is not None and not 0 <= min_p <= 1:
        raise ValueError(f"min_p must be from 0 to 1, got {min_p}")
    if not 0 < repetition_penalty < float("inf"):
        raise ValueError(
            f"repetition_penalty must be more than 0 (1 for none), got {repetition_penalty}"
        )


def check_next_scores(logits: Any, seen: Any) -> Floats:
    """Return `logits` (B, V) as floats, or raise. `seen` must be None or have the same shape."""
    logits = check_scores(logits, "logits")
    if logits.ndim != 2:
        raise ValueError(f"logits must have the shape (batch, V), got {logits.shape}")
    if seen is not None and np.shape(seen) != logits.shape:
        raise ValueError(f"seen must have the shape {logits.shape}, got {np.shape(seen)}")
    return logits


def check_not_nan(probabilities: Floats) -> None:
    """Raise if a probability of the next token is NaN."""
    if np.isnan(probabilities).any():
        raise ValueError(
            "the scores of the next token are not all numbers: the weights of the model are "
            "damaged, or its training has diverged"
        )


def check_context(context: Any, vocab_size: int) -> list[Floats]:
    """Return the rows of `context`, an integer array (T,) each, of any lengths T ≥ 1, or raise."""
    is_many = is_list(context) and not isinstance(context, Iterator)  # it could be read only once
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
    return [check_ids(row, vocab_size) for row in rows]


def check_generation(
    vocab_size: int, max_new_tokens: Any, sampling: Any, stop: Any, allowed: Any
) -> Floats:
    """Return the ids that end a text, int (n,), or raise if an argument of `generate` is wrong."""
    check_sizes(max_new_tokens=max_new_tokens)
    check_has("sampling", sampling, "probabilities", "a Sampling")
    no_stop = stop is None or np.size(stop) == 0
    stops = np.empty(0, int) if no_stop else check_ids(stop, vocab_size, "stop")
    if stops.ndim > 1:
        raise ValueError(f"stop must be a token id or a list of token ids, got {stop!r:.100}")
    if allowed is not None and not (np.shape(allowed) == (vocab_size,) and np.any(allowed)):
        raise ValueError(
            f"allowed must have one entry for each of the {vocab_size} ids, True where the id may "
            f"be drawn, and at least one True, got {allowed!r:.100}"
        )
    return stops
