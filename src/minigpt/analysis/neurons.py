"""What fires the neurons of a feed-forward layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.checks import check_ids, check_scores
from minigpt.functional import Array
from minigpt.tracing.record import shadow

if TYPE_CHECKING:
    from minigpt.model import miniGPT


def neuron_activations(model: miniGPT, ids: Array, layer: int) -> Array:
    """Give the activations (N, F) of the neurons of block `layer` for each token of a text.

    A text longer than the context is read in windows, one after another.

    Parameters
    ----------
    model : miniGPT
    ids : int (N,), N of at least 1.
    layer : from 0 to n_layers − 1.
    """
    if not 0 <= layer < model.n_layers:
        raise ValueError(f"layer must be from 0 to {model.n_layers - 1}, got {layer}")
    ids = check_ids(ids, model.vocab_size)
    if ids.ndim != 1 or not ids.size:
        raise ValueError(f"ids must have the shape (N,), with at least one, got {ids.shape}")
    twin = shadow(model).eval()
    del twin.blocks[layer + 1 :]
    activations = []
    for start in range(0, len(ids), model.max_len):
        twin.hidden(ids[None, start : start + model.max_len])
        activation = twin.blocks[layer].feed_forward.activation
        activations.append(activation.forward(activation.x)[0])
    return np.concatenate(activations)


def most_selective(activations: Array, n: int = 6) -> Array:
    """Give the `n` neurons (n,) of activations (N, F) that are silent mostly and seldom loud.

    They are those of the largest kurtosis, the mean fourth power of the deviations over the square
    of the variance.
    """
    activations = check_scores(activations, "activations").astype(float)
    deviations = activations - activations.mean(axis=0)
    variance = (deviations**2).mean(axis=0)
    kurtosis = (deviations**4).mean(axis=0) / np.maximum(variance**2, np.finfo(float).tiny)
    return np.argsort(-kurtosis, kind="stable")[:n]


def strongest(values: Array, n: int = 6, apart: int = 8) -> list[int]:
    """Give the places of the `n` largest of values (N,), each at least `apart` from the others."""
    places: list[int] = []
    values = check_scores(values, "values").astype(float)  # small unsigned numbers would wrap
    for i in np.argsort(-values, kind="stable"):
        if all(abs(int(i) - place) >= apart for place in places):
            places.append(int(i))
        if len(places) == n:
            break
    return places
