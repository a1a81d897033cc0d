"""Switch heads off, to see what the model would answer without them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from minigpt.layers import twin

if TYPE_CHECKING:
    from minigpt.model import miniGPT


def without_heads(model: miniGPT, heads: Iterable[tuple[int, int]]) -> miniGPT:
    """Give a model that shares all weights of `model`, but in which some heads write nothing.

    What a head has gathered reaches the residual stream through its rows of the projection W_o.
    With those at zero the head still looks, and nobody hears of it ("zero ablation").

    Parameters
    ----------
    model : stays as it was.
    heads : (layer, head) of each head to switch off.

    Raises
    ------
    ValueError
        If there is no such head.
    """
    other = twin(model)
    for layer, head in heads:
        if not 0 <= layer < model.n_layers:
            raise ValueError(f"layer must be from 0 to {model.n_layers - 1}, got {layer}")
        attention = other.blocks[layer].attention
        if not 0 <= head < attention.n_heads:
            raise ValueError(f"head must be from 0 to {attention.n_heads - 1}, got {head}")
        projection = attention.projection
        projection.weight = projection.weight.copy()
        projection.weight.reshape(attention.n_heads, -1, model.d_model)[head] = 0
    return other
