"""Find which tokens activate the neurons of a feed-forward layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.checks import check_index, check_sizes
from minigpt.core.checks_arrays import check_ids, check_scores
from minigpt.core.functional import Array
from minigpt.core.layers import twin
from minigpt.support.checked import checked

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT


@checked
def neuron_activations(model: miniGPT, ids: Any, layer: int) -> Array:
    """Return the activations (N, F) of the neurons of block `layer` for each token of a text.

    A text longer than the context is read in consecutive windows.

    Parameters
    ----------
    model : miniGPT
    ids : int (N,), at least one.
    layer : from 0 to n_layers − 1.
    """
    check_index(model.n_layers, layer=layer)
    ids = check_ids(ids, model.vocab_size)
    if ids.ndim != 1 or not ids.size:
        raise ValueError(f"ids must have the shape (N,), with at least one, got {ids.shape}")
    other = twin(model).eval()
    del other.blocks[layer + 1 :]
    activations = []
    for start in range(0, len(ids), model.max_len):
        other.hidden(ids[None, start : start + model.max_len])
        activation = other.blocks[layer].feed_forward.activation
        activations.append(activation.forward(activation.kept[0])[0])
    return np.concatenate(activations)


@checked
def most_selective(activations: Array, n: int = 6) -> Array:
    """Return the `n` neurons (n,) of `activations` (N, F) that are mostly silent and rarely active.

    These have the largest kurtosis: the mean fourth power of the deviations, divided by the
    squared variance.
    """
    activations = _with_axes(activations, 2, "activations")
    check_sizes(n=n)
    deviations = activations - activations.mean(axis=0)
    variance = (deviations**2).mean(axis=0)
    kurtosis = (deviations**4).mean(axis=0) / np.maximum(variance**2, np.finfo(float).tiny)
    return np.argsort(-kurtosis, kind="stable")[:n]


@checked
def strongest(values: Array, n: int = 6, apart: int = 8) -> list[int]:
    """Return the indices of the `n` largest `values` (N,), at least `apart` from each other."""
    values = _with_axes(values, 1, "values")
    check_sizes(n=n, apart=apart)
    places: list[int] = []
    for i in np.argsort(-values, kind="stable"):
        if all(abs(int(i) - place) >= apart for place in places):
            places.append(int(i))
        if len(places) == n:
            break
    return places


def _with_axes(x: Array, n: int, name: str) -> Array:
    x = check_scores(x, name).astype(float)  # small unsigned numbers would wrap around
    if x.ndim != n:
        raise ValueError(f"{name} must have the shape {('(N,)', '(N, F)')[n - 1]}, got {x.shape}")
    return x
