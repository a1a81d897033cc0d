"""Gradients by central differences: what every hand-derived one is held against."""

from collections.abc import Callable

import numpy as np


def numeric_gradient(loss: Callable[[], float], array: np.ndarray, step: float = 1e-5):
    """Give ∂loss/∂array by moving each entry of `array` up and down, in place."""
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        kept = array[index]
        array[index] = kept + step
        above = loss()
        array[index] = kept - step
        below = loss()
        array[index] = kept
        gradient[index] = (above - below) / (2 * step)
    return gradient


def relative_error(a: np.ndarray, b: np.ndarray) -> float:
    """Give the largest difference, relative to the largest entry of the two gradients."""
    scale = max(np.abs(a).max(), np.abs(b).max(), 1e-12)
    return float(np.abs(a - b).max() / scale)


def layer_errors(layer, x: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Give the relative error of every gradient of a float64 layer, that of its input as "x"."""
    rng = np.random.default_rng(seed)
    for param in layer.params().values():
        param += rng.normal(0, 0.5, param.shape)  # away from zeros, ones and symmetry
    dy = rng.normal(size=layer.forward(x).shape)

    def loss() -> float:
        return float((layer.forward(x) * dy).sum())

    layer.forward(x)
    for grad in layer.grads().values():
        grad[...] = np.nan  # backward has to write, not add
    dx = layer.backward(dy)
    errors = {
        name: relative_error(layer.grads()[name].copy(), numeric_gradient(loss, param))
        for name, param in layer.params().items()
    }
    if x.dtype == np.float64:
        errors["x"] = relative_error(dx, numeric_gradient(loss, x))
    return errors
