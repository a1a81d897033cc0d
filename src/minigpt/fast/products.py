"""Linear layers: matrix products on all threads, gradients written directly into their arrays."""

import numpy as np

from minigpt.core.functional import Array, as_matrix
from minigpt.fast.threads import product


def linear(x: Array, weight: Array, bias: Array | None) -> tuple[Array, Array]:
    """Return y = x W + b; keep x: see `functional.linear`."""
    y = product(as_matrix(x), weight)
    if bias is not None:
        y += bias
    return y.reshape(*x.shape[:-1], weight.shape[1]), x


def linear_backward(
    dy: Array, x: Array, weight: Array, d_weight: Array | None, d_bias: Array | None
) -> Array:
    """Return dx; write dW and db: see `functional.linear_backward`."""
    rows = as_matrix(dy)
    if d_weight is not None:
        product(as_matrix(x).T, rows, out=d_weight)
    if d_bias is not None:
        np.sum(rows, axis=0, out=d_bias)
    return product(rows, weight.T).reshape(x.shape)
