"""The loss of a training step, computed in place on one chunk of logits after another.

With the vocabulary of GPT-2, the logits of all tokens would be the largest array of a step. Here
they never all exist at once, and each exp is computed only once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt.core.checks_arrays import check_targets, check_vectors
from minigpt.core.functional import Array, as_matrix
from minigpt.core.layers import Linear
from minigpt.fast.threads import product, share_out

LOGITS_PER_CHUNK = 2**24
"""Logits in a chunk. With GPT-2's vocabulary, these are the logits of 333 tokens."""

LOGITS_PER_PIECE = 2**17
"""Logits in a piece: few enough for the cache of one core."""

PRODUCT_ENTRIES_PER_PIECE = 2**22
"""Entries of a product that are computed at once before they are added to the gradient."""


def head_loss(head: Linear, hidden: Array, targets: Any, share: float = 1.0) -> tuple[float, Array]:
    """Return the loss and its gradient with respect to `hidden`: see `model.head_loss`."""
    rows = as_matrix(check_vectors(hidden, len(head.weight)))
    vocab_size = head.weight.shape[1]
    right = check_targets((*hidden.shape[:-1], vocab_size), targets).ravel()
    n = max(1, LOGITS_PER_CHUNK // vocab_size)
    d_hidden = np.empty_like(rows)
    memory = np.empty((min(n, len(rows)), vocab_size), rows.dtype)
    loss = 0.0
    for start in range(0, len(rows), n):
        chunk = slice(start, start + n)
        x = rows[chunk]
        logits = product(x, head.weight, out=memory[: len(x)])
        loss += cross_entropy_in_place(logits, right[chunk], share * len(x) / len(rows))
        product(logits, head.weight.T, out=d_hidden[chunk])
        if head.d_weight is not None:
            _write_product(x, logits, head.d_weight, add=start > 0)
    return loss, d_hidden.reshape(hidden.shape)


def _write_product(x: Array, dy: Array, d_weight: Array, add: bool) -> None:
    """Write xᵀ dy into `d_weight`, or add it, some rows at a time."""
    if not add:
        product(x.T, dy, out=d_weight)
        return
    if not d_weight.flags.c_contiguous:  # a tied head: use the rows of its transpose
        x, dy, d_weight = dy, x, d_weight.T
    n = max(1, PRODUCT_ENTRIES_PER_PIECE // d_weight.shape[1])

    def add_to(part: slice) -> None:
        for start in range(part.start, part.stop, n):
            piece = slice(start, min(start + n, part.stop))
            d_weight[piece] += x.T[piece] @ dy

    share_out(add_to, len(d_weight), d_weight.size)


def cross_entropy_in_place(logits: Array, targets: Array, share: float) -> float:
    """Return `share` times the cross-entropy, and overwrite logits (N, V) with its gradient."""
    surprise = np.empty(len(logits), logits.dtype)
    n = max(1, LOGITS_PER_PIECE // logits.shape[1])

    def overwrite(rows: slice) -> None:
        for start in range(rows.start, rows.stop, n):
            piece = slice(start, min(start + n, rows.stop))
            part, right = logits[piece], targets[piece]
            each = np.arange(len(part))
            largest = part.max(axis=-1, keepdims=True)
            infinite = np.isposinf(part) if np.isposinf(largest).any() else None
            with np.errstate(invalid="ignore", over="ignore"):  # ∞ − ∞ becomes 0 below
                part -= largest
            if infinite is not None:
                part[infinite] = 0
            target_scores = part[each, right]
            sums = np.exp(part, out=part).sum(axis=-1)
            surprise[piece] = np.log(sums) - target_scores
            part /= sums[:, None]
            part[each, right] -= 1
            part /= len(logits) / share

    share_out(overwrite, len(logits), logits.size)
    return float(np.mean(surprise, dtype=float)) * share
