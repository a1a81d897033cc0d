"""Where tokens look: what is drawn and listed of attention."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.functional import Array
from minigpt.show.explain.page_words import (
    percent,
    quoted,
)

if TYPE_CHECKING:
    from minigpt.inside import Trace

ATTENTION_TOKENS = 40
"""Tokens in a picture of attention: the last of the text."""


def window(seen: Trace, n: int = ATTENTION_TOKENS) -> Trace:
    """Return what a trace holds of the last `n` tokens looking at each other, to be drawn."""
    blocks = [dataclasses.replace(b, weights=b.weights[:, -n:, -n:]) for b in seen.blocks]
    return dataclasses.replace(seen, ids=seen.ids[-n:], blocks=blocks)


def only_last(seen: Trace, n: int = ATTENTION_TOKENS) -> str:
    """Say what a row sums to, and what `window` leaves out."""
    if len(seen.ids) <= n:
        return "Each row sums to 100%."
    return (
        f"Only the last {n} of {len(seen.ids)} tokens are drawn; what a row lacks to 100% goes to "
        "those before."
    )


def telling_head(weights: Array) -> tuple[int, int]:
    """Choose the head in which the last token looks most at one other, and that: (H, T, T)."""
    others = weights[:, -1, :-1] if weights.shape[-1] > 1 else weights[:, -1]
    head, key = np.unravel_index(int(others.argmax()), others.shape)
    return int(head), int(key)


def looks(seen: Trace, layer: int, h: int) -> list[str]:
    """Write what the last token looks at most in one head."""
    row = seen.blocks[layer].weights[h, -1]
    most = np.argsort(-row, kind="stable")[:3]
    cells = [f"{quoted(seen.vocabulary[seen.ids[j]])} {percent(float(row[j]))}" for j in most]
    return cells + [""] * (3 - len(cells))


def by_share(row: Array) -> list[int]:
    """Order the places that a token looks at by their share (T,), the most first."""
    return [int(j) for j in np.argsort(-row, kind="stable")]
