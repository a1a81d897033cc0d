"""The loss as a training step takes it: once through the logits, and in their place."""

import numpy as np

from minigpt.checks import check_targets
from minigpt.functional import Array

PIECE = 2**16
"""How many logits to work on at a time: few enough for a core's cache."""


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
    chosen = check_targets(logits, targets).ravel()
    rows = logits.reshape(-1, logits.shape[-1])
    surprise = np.empty(len(rows), logits.dtype)
    n = max(1, PIECE // rows.shape[1])
    for start in range(0, len(rows), n):
        part, right = rows[start : start + n], chosen[start : start + n]
        each = np.arange(len(part))
        largest, of_right = part.max(axis=-1), part[each, right]
        part -= largest[:, None]
        sums = np.exp(part, out=part).sum(axis=-1)
        surprise[start : start + n] = largest + np.log(sums) - of_right
        part /= sums[:, None]
        part[each, right] -= 1
        part /= len(rows) / weight
    return float(np.mean(surprise)) * weight
