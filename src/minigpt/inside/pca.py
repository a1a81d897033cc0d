"""Principal components: the flat view of many vectors that shows most of their variance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from minigpt.core.checks import check_sizes
from minigpt.core.checks_arrays import check_scores
from minigpt.core.functional import Array
from minigpt.support.brief import brief
from minigpt.support.checked import checked


class PCA(NamedTuple):
    """The coordinates of vectors along the directions in which they differ most.

    Attributes
    ----------
    points : float64 (N, n), the coordinates.
    directions : (n, C), of length 1 and orthogonal to each other.
    shares : (n,), the share of the total variance along each direction.
    """

    points: Array
    directions: Array
    shares: Array

    def __repr__(self) -> str:
        return brief(self)


@checked
def pca(vectors: Array, n: int = 2) -> PCA:
    """Compute the `n` directions of most variance among `vectors` (N, C), and the coordinates.

    With the centred vectors X = U S Vᵀ, the rows of Vᵀ are the directions, and the variance along
    each is proportional to its S². The sign of a direction is arbitrary: its largest entry is made
    positive, so that a picture never flips.
    """
    vectors = check_scores(vectors, "vectors").astype(float)
    check_sizes(n=n)
    if vectors.ndim != 2 or not vectors.size:
        raise ValueError(f"vectors must have the shape (N, C), got {vectors.shape}")
    centred = vectors - vectors.mean(axis=0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:n]
    largest = np.abs(directions).argmax(axis=1)
    directions *= np.sign(directions[np.arange(len(directions)), largest])[:, None]
    variance = sizes**2
    shares = variance[:n] / max(variance.sum(), np.finfo(float).tiny)
    return PCA(centred @ directions.T, directions, shares)
