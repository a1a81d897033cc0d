"""The mathematics without parameters: each function stands beside its derivative.

Notation, here and in the layers: `dy` is the gradient of the loss L with respect to `y`, an array
of y's shape with entries ∂L/∂y. A function `f_backward` takes `dy` and gives `dx`, by the chain
rule: dx_i = Σ_j dy_j · ∂y_j/∂x_i.
"""

from typing import Any, TypeAlias

import numpy as np

from minigpt.core.checks import check_gradient, check_scores, check_targets

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def softmax(x: Array, axis: int = -1) -> Array:
    """Turn scores into probabilities: positive, and summing to 1 along `axis`.

        y_i = exp(x_i) / Σ_j exp(x_j)

    Subtracting the largest score first changes nothing, since it cancels, but keeps exp finite.

    Parameters
    ----------
    x : scores, array of any shape. A score of −inf gets the probability 0, one of +inf all of
        it, in equal shares if there are several. If all are −inf, the result is NaN.
    axis : the axis along which the result sums to 1.

    Returns
    -------
    Probabilities of x's shape and dtype; float64 if x has integers, float32 if it has float16.
    """
    x = check_scores(x, axis=axis)
    y: Array = np.exp(below_largest(x, axis))
    y /= y.sum(axis=axis, keepdims=True)
    return y


def below_largest(x: Array, axis: int = -1, out: Array | None = None) -> Array:
    """Subtract the largest score along `axis` from all of them. Of a score of +∞, 0 is left."""
    largest = x.max(axis=axis, keepdims=True)
    infinite = np.isposinf(x) if np.isposinf(largest).any() else None
    with np.errstate(over="ignore", invalid="ignore"):  # −∞ is right there, and ∞ − ∞ follows
        below: Array = np.subtract(x, largest, out=out)
    if infinite is not None:
        below[infinite] = 0
    return below


def softmax_backward(dy: Array, y: Array) -> Array:
    """Gradient of `softmax` along the last axis, from its output `y`.

    With ∂y_j/∂x_i = y_j (δ_ij − y_i):   dx_i = y_i · (dy_i − Σ_j dy_j y_j)
    """
    y = check_scores(y, "y")
    dy = check_gradient(dy, y.shape)
    dx: Array = dy * y
    dx -= y * dx.sum(axis=-1, keepdims=True)
    return dx


def cross_entropy(logits: Array, targets: Array) -> float:
    """Mean surprise, in nats, at the right answers: the loss of a language model.

        L = −(1/N) Σ_n log softmax(logits_n)[target_n]
          =  (1/N) Σ_n ( log Σ_j exp(logits_nj) − logits_n[target_n] )

    Parameters
    ----------
    logits : (..., V), one score for each of V answers.
    targets : int (...), the right answers, from 0 to V − 1.

    Returns
    -------
    The loss as a Python float. Guessing evenly among V answers costs ln V.
    """
    logits = check_scores(logits, "logits")
    right = check_targets(logits.shape, targets).ravel()
    rows = below_largest(logits.reshape(-1, logits.shape[-1]))  # which changes nothing, as above
    surprise = np.log(np.exp(rows).sum(axis=-1)) - rows[np.arange(len(rows)), right]
    return float(np.mean(surprise, dtype=float))


def cross_entropy_backward(logits: Array, targets: Array) -> Array:
    """Gradient of `cross_entropy` with respect to the logits.

    The derivative of log Σ exp is softmax, that of −logits[target] is −1 at the target, so
    dlogits = (softmax(logits) − one_hot(targets)) / N: what was predicted less what was right.
    """
    logits = check_scores(logits, "logits")
    right = check_targets(logits.shape, targets).ravel()
    rows = softmax(logits.reshape(-1, logits.shape[-1]))
    rows[np.arange(len(rows)), right] -= 1
    rows /= len(rows)
    return rows.reshape(logits.shape)


def causal_mask(n_queries: int, n_keys: int) -> Array:
    """Tell which keys lie in a query's future: bool (n_queries, n_keys), True where it is so.

    The queries are the last `n_queries` of the `n_keys` positions, so query i stands at position
    n_keys − n_queries + i and sees the keys up to itself.
    """
    return np.triu(np.ones((n_queries, n_keys), dtype=bool), k=1 + n_keys - n_queries)
