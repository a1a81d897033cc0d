"""Freezing: the lower blocks of a model stop learning, and no gradient flows through them."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigpt.core.checks import check_whole
from minigpt.core.checks_model import check_model
from minigpt.core.functional import Array
from minigpt.core.layers import Layer
from minigpt.core.model import lay_flat, miniGPT


def freeze(model: miniGPT, n_blocks: int) -> None:
    """Freeze the embeddings and the first `n_blocks` blocks of `model`: they stop learning.

    `backward` then stops above them, they have no gradients, and `model.flat` holds only the
    parameters that still learn. A head that is tied to the token embedding is frozen with it.
    Freeze a model before its optimizer is made.

    Raises
    ------
    ValueError
        If the model has fewer blocks.
    """
    check_model(model)
    check_whole(n_blocks=n_blocks)
    if not 0 < n_blocks <= model.n_layers:
        raise ValueError(
            f"n_blocks to freeze must be from 1 to {model.n_layers}, the blocks of the model, "
            f"got {n_blocks}"
        )
    for layer in (model.token_embedding, model.position_embedding, *model.blocks[:n_blocks]):
        _freeze(layer)
    model.flat = lay_flat(model)


def is_frozen(layer: Layer) -> bool:
    """Return whether `layer` is frozen."""
    return "backward" in vars(layer)


def _freeze(layer: Layer) -> None:
    for _, owner, name in layer.slots():
        setattr(owner, name, np.array(getattr(owner, name)))  # a copy: the mapped file may change
        setattr(owner, "d_" + name, None)
    layer.backward = frozen_backward  # type: ignore[attr-defined]


def frozen_backward(dy: Array, **options: Any) -> Array:
    """Return dy unchanged: the `backward` of a frozen layer, below which nothing learns."""
    return dy
