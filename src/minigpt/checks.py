"""Checks at the doors: errors that say what was given, what was expected and what to do."""

import difflib
from collections.abc import Iterable
from typing import Any

import numpy as np


def check_sizes(**sizes: Any) -> None:
    """Raise unless every named size is a whole number of at least 1."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | np.integer):
            raise TypeError(f"{name} must be a whole number, got {size!r}")
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")


def check_ids(ids: Any, size: int, what: str = "token ids") -> np.ndarray[Any, np.dtype[Any]]:
    """Give `ids` as an integer array, each from 0 to `size` − 1, or raise.

    NumPy would take a negative id for one counted from the end, without a word.
    """
    array = np.asarray(ids)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{what} must be integers, got an array of {array.dtype}")
    if array.size and (array.min() < 0 or array.max() >= size):
        wrong = array[(array < 0) | (array >= size)].flat[0]
        raise ValueError(f"{what} must be from 0 to {size - 1}, got {wrong}")
    return array


def check_text(ids: Any, vocab_size: int, room: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Give `ids` as an integer array (B, T) with T ≤ room, the rest of the context, or raise."""
    array = check_ids(ids, vocab_size)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"ids must have the shape (batch, time), got shape {array.shape}")
    if array.shape[1] > room:
        raise ValueError(
            f"{array.shape[1]} tokens do not fit the context, which has room for {room}: "
            "give the model the last ones only, or make it with a larger max_len"
        )
    return array


def check_targets(logits: Any, targets: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Give `targets` as an integer array with one id for each row of logits (..., V), or raise."""
    targets = check_ids(targets, logits.shape[-1], "targets")
    if targets.shape != logits.shape[:-1]:
        raise ValueError(
            f"targets must have one id for each position, shape {logits.shape[:-1]}, "
            f"got shape {targets.shape}"
        )
    return targets


def unknown(what: str, given: str, known: Iterable[str]) -> str:
    """Say that `given` is no known `what`; suggest the nearest, and list what is known."""
    known, given = list(known), given[:100]
    nearest = difflib.get_close_matches(given, known, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"unknown {what} {given!r}: {hint}Known: {', '.join(known)}"
