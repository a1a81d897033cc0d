"""Switch heads off, to see what the model answers without them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.checks import check_index, is_list
from minigpt.core.layers import twin
from minigpt.support.checked import checked

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT


@checked
def without_heads(model: miniGPT, heads: Iterable[tuple[int, int]]) -> miniGPT:
    """Return a model that shares the weights of `model`, but in which some heads add nothing.

    What a head gathers reaches the residual stream through its rows of the projection W_o. The
    returned model has zeros there, so the heads still attend, without effect ("zero ablation").

    Parameters
    ----------
    model : miniGPT, which stays unchanged.
    heads : (layer, head) of each head to switch off.

    Raises
    ------
    ValueError
        If a layer or head is out of range.
    """
    if not is_list(heads):
        raise TypeError(f"heads must be a list of pairs (layer, head), got {heads!r:.100}")
    other = twin(model)
    for pair in heads:
        if np.shape(pair) != (2,):
            raise ValueError(f"heads must be pairs (layer, head), such as [(0, 1)], got {pair!r}")
        layer, head = pair
        check_index(model.n_layers, layer=layer)
        attention = other.blocks[layer].attention
        check_index(attention.n_heads, head=head)
        projection = attention.projection
        projection.weight = projection.weight.copy()
        projection.weight.reshape(attention.n_heads, -1, model.d_model)[head] = 0
    return other
