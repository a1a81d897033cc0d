"""Choose what the page draws and lists of attention."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.functional import Array
from minigpt.show.explain.page_words import percent, quoted

if TYPE_CHECKING:
    from minigpt.inside import Trace

ATTENTION_TOKENS = 40
"""Tokens in a picture of attention: the last ones of the text."""


def last_tokens(seen: Trace, n: int = ATTENTION_TOKENS) -> Trace:
    """Return a trace to draw: only the attention weights among the last `n` tokens."""
    blocks = [dataclasses.replace(b, weights=b.weights[:, -n:, -n:]) for b in seen.blocks]
    return dataclasses.replace(seen, ids=seen.ids[-n:], blocks=blocks)


def row_sums(seen: Trace, n: int = ATTENTION_TOKENS) -> str:
    """Describe what a row of `last_tokens` sums to, and what is left out."""
    if len(seen.ids) <= n:
        return "Each row sums to 100%."
    return (
        f"Only the last {n} of {len(seen.ids)} tokens are drawn; what is missing from 100% in a "
        "row goes to earlier tokens."
    )


def most_focused_head(weights: Array) -> tuple[int, int]:
    """Return (head, key) of the largest weight that the last token gives to another token.

    Parameters
    ----------
    weights : (H, T, T), the attention weights of a block.
    """
    others = weights[:, -1, :-1] if weights.shape[-1] > 1 else weights[:, -1]
    head, key = np.unravel_index(int(others.argmax()), others.shape)
    return int(head), int(key)


def most_attended(seen: Trace, layer: int, h: int) -> list[str]:
    """Return the three tokens that the last token attends to most in one head, as cells."""
    row = seen.blocks[layer].weights[h, -1]
    most = np.argsort(-row, kind="stable")[:3]
    cells = [f"{quoted(seen.vocabulary[seen.ids[j]])} {percent(float(row[j]))}" for j in most]
    return cells + [""] * (3 - len(cells))


def by_share(row: Array) -> list[int]:
    """Return the positions in the order of their attention weights (T,), largest first."""
    return [int(j) for j in np.argsort(-row, kind="stable")]
