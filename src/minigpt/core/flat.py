"""All parameters of a model in one flat array, all gradients in another.

An optimizer step, a clip or a sum over threads is then one line over one array; the layers go on
seeing their own arrays, which are views of their part of the flat ones.

A model is laid flat when its `flat`, `params()` or `grads()` is first asked for. Until then its
layers hold the arrays they were made with; those of a model that was opened from a file lie in
the file, and only to write text they need not be copied.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import numpy as np

from minigpt.core.checks import check_model, check_whole
from minigpt.core.functional import Array
from minigpt.core.layers import Layer
from minigpt.support.brief import brief

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT


LAYING = threading.Lock()
"""Held by the thread that lays a model flat."""


class Flat(NamedTuple):
    """The parameters and gradients of a model, matrices first, each as one array (n,).

    The layers see parts of these very arrays, so change them in place: `flat.params[...] = …`.
    What is frozen does not learn, and is not among them.
    """

    params: Array
    grads: Array
    n_matrix_params: int
    """How many of the numbers, from the first on, are matrices': weight decay is for them."""

    named_params: dict[str, Array]
    """The same, array by array, and those that are frozen too."""

    named_grads: dict[str, Array]

    places: dict[str, slice]
    """Where in the flat arrays each of those lies that learn."""

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "flat parameters are views of each other, and copies would not be: copy or pickle the "
            "model (and its optimizer with it), not its flat arrays"
        )

    def __repr__(self) -> str:
        return brief(self)


def lay_flat(layer: Layer, params: Array | None = None) -> Flat:
    """Move the parameters and gradients of `layer` into flat arrays, and bind it to views of them.

    With `params`, the flat parameters of a layer built alike, both share their weights, while
    each has gradients of its own.
    """
    learning = [slot for slot in layer.slots() if not slot[1].frozen]
    slots = sorted(learning, key=lambda slot: getattr(slot[1], slot[2]).ndim < 2)
    values = [getattr(owner, name) for _, owner, name in slots]
    slopes = [getattr(owner, "d_" + name) for _, owner, name in slots]
    if params is None:
        params = np.concatenate([value.ravel() for value in values])
    grads = np.concatenate([slope.ravel() for slope in slopes])
    places, start = {}, 0
    for (path, owner, name), value in zip(slots, values, strict=True):
        part = places[path] = slice(start, start + value.size)
        setattr(owner, name, params[part].reshape(value.shape))
        setattr(owner, "d_" + name, grads[part].reshape(value.shape))
        start += value.size
    n_matrix_params = sum(value.size for value in values if value.ndim >= 2)
    named = Layer.params(layer), Layer.grads(layer)
    return Flat(params, grads, n_matrix_params, *named, places)


def freeze(model: miniGPT, n_blocks: int) -> None:
    """Let the embeddings and the first `n_blocks` blocks of `model` learn no more.

    `backward` then stops above them, their gradients are 0, and `model.flat` holds only what is
    left to learn. A head that is tied to the token embedding is frozen with it. Call it before
    an optimizer is made.

    Raises
    ------
    ValueError
        If the model does not have so many blocks.
    """
    check_model(model)
    check_whole(n_blocks=n_blocks)
    if not 0 < n_blocks <= model.n_layers:
        raise ValueError(
            f"n_blocks to freeze must be from 1 to {model.n_layers}, the blocks of the model, "
            f"got {n_blocks}"
        )
    for layer in (model.token_embedding, model.position_embedding, *model.blocks[:n_blocks]):
        layer.frozen = True
        for _, owner, name in layer.slots():
            owner.frozen = True
            param = np.array(getattr(owner, name))  # out of the file, which may be replaced
            setattr(owner, name, param)
            setattr(owner, "d_" + name, np.zeros(param.shape, param.dtype))
    model.head.frozen = model.tie_weights
    model.bind()
