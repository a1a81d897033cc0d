"""All parameters of a model in one flat array, all gradients in another.

An optimizer step, a clip or a sum over threads is then one line over one array; the layers go on
seeing their own arrays, which are views of their part of the flat ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigpt.functional import Array
from minigpt.layers import Layer


class Flat(NamedTuple):
    """The parameters and gradients of a model, matrices first, each as one array (n,).

    The layers see parts of these very arrays, so change them in place: `flat.params[...] = …`.
    """

    params: Array
    grads: Array
    n_matrix_params: int
    """How many of the numbers, from the first on, are matrices': weight decay is for them."""


def lay_flat(layer: Layer, params: Array | None = None) -> Flat:
    """Move the parameters and gradients of `layer` into flat arrays, and bind it to views of them.

    With `params`, the flat parameters of a layer built alike, both share their weights, while
    each has gradients of its own.
    """
    slots = sorted(layer.slots(), key=lambda slot: getattr(slot[1], slot[2]).ndim < 2)
    values = [getattr(owner, name) for _, owner, name in slots]
    slopes = [getattr(owner, "d_" + name) for _, owner, name in slots]
    if params is None:
        params = np.concatenate([value.ravel() for value in values])
    grads = np.concatenate([slope.ravel() for slope in slopes])
    start = 0
    for (_, owner, name), value in zip(slots, values, strict=True):
        part = slice(start, start + value.size)
        setattr(owner, name, params[part].reshape(value.shape))
        setattr(owner, "d_" + name, grads[part].reshape(value.shape))
        start += value.size
    return Flat(params, grads, sum(value.size for value in values if value.ndim >= 2))
