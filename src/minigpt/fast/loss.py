"""The loss as a training step takes it: once through the logits, and in their place.

With a large vocabulary not all logits are ever there at once: see `head_loss`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.checks import check_floats, check_targets, check_vectors, check_writable
from minigpt.core.functional import Array, below_largest
from minigpt.fast.threads import product, share_out

if TYPE_CHECKING:
    from minigpt.core.layers import Linear

PIECE = 2**17
"""How many logits to work on at a time: few enough for a core's cache."""

CHUNK = 2**24
"""How many logits there may be at once. With GPT-2's vocabulary they are those of 333 tokens."""

PRODUCT = 2**22
"""How many numbers of a product that is to be added there may be at once."""


def head_loss(
    head: Linear, hidden: Array, targets: Array, weight: float = 1.0
) -> tuple[float, Array]:
    """Give `weight` times the cross-entropy, and its gradient with respect to `hidden`.

    That with respect to the head's weight is written, unless the head is frozen. It is as if the
    head, the loss and the head's `backward` took their turns, but by a chunk of tokens at a time:
    with the vocabulary of GPT-2, the logits of all tokens would be the largest array of all.

    Parameters
    ----------
    head : with no bias.
    hidden : float (..., C), what the head makes logits of.
    targets : int (...), the right answers.
    weight : of this loss in that of a larger batch.
    """
    hidden = check_vectors(hidden, len(head.weight))
    vocab_size = head.weight.shape[1]
    right = check_targets((*hidden.shape[:-1], vocab_size), targets).ravel()
    rows = hidden.reshape(-1, hidden.shape[-1])
    n = max(1, CHUNK // vocab_size)
    dhidden = np.empty_like(rows)
    memory = np.empty((min(n, len(rows)), vocab_size), rows.dtype)
    loss = 0.0
    for start in range(0, len(rows), n):
        chunk = slice(start, start + n)
        x = rows[chunk]
        logits = product(x, head.weight, out=memory[: len(x)])
        loss += cross_entropy_in_place(logits, right[chunk], weight * len(x) / len(rows))
        product(logits, head.weight.T, out=dhidden[chunk])
        if not head.frozen:
            _write_product(x, logits, head.d_weight, add=start > 0)
    return loss, dhidden.reshape(hidden.shape)


def _write_product(x: Array, dy: Array, d_weight: Array, add: bool) -> None:
    """Write xᵀ dy into `d_weight`, or add it some rows at a time."""
    if not add:
        product(x.T, dy, out=d_weight)
        return
    if not d_weight.flags.c_contiguous:  # of a tied head: then rows are those of its transpose
        x, dy, d_weight = dy, x, d_weight.T
    n = max(1, PRODUCT // d_weight.shape[1])

    def add_to(part: slice) -> None:
        for start in range(part.start, part.stop, n):
            piece = slice(start, min(start + n, part.stop))
            d_weight[piece] += x.T[piece] @ dy

    share_out(add_to, len(d_weight), d_weight.size)


def cross_entropy_in_place(logits: Array, targets: Array, weight: float = 1.0) -> float:
    """Give `weight` times the cross-entropy, and overwrite the logits with its gradient.

    The same numbers as `functional.cross_entropy` and `cross_entropy_backward`, but each exp is
    taken once, some rows at a time, and there is one array of this size instead of three. With
    the vocabulary of GPT-2 it is the largest of all.

    Parameters
    ----------
    logits : float (..., V); afterwards the gradient with respect to them.
    targets : int (...), the right answers, from 0 to V − 1.
    weight : of this loss in that of a larger batch.
    """
    c_order = check_floats(logits, "logits")
    check_writable(logits, "logits")
    chosen = check_targets(logits.shape, targets).ravel()
    rows = c_order.reshape(-1, logits.shape[-1])
    surprise = np.empty(len(rows), rows.dtype)
    n = max(1, PIECE // rows.shape[1])

    def overwrite(rows_of_thread: slice) -> None:
        for start in range(rows_of_thread.start, rows_of_thread.stop, n):
            piece = slice(start, min(start + n, rows_of_thread.stop))
            part, right = rows[piece], chosen[piece]
            each = np.arange(len(part))
            below_largest(part, out=part)
            of_right = part[each, right]
            sums = np.exp(part, out=part).sum(axis=-1)
            surprise[piece] = np.log(sums) - of_right
            part /= sums[:, None]
            part[each, right] -= 1
            part /= len(rows) / weight

    share_out(overwrite, len(rows), rows.size)
    if c_order is not logits:  # which lie otherwise in memory
        logits[...] = c_order
    return float(np.mean(surprise, dtype=float)) * weight
