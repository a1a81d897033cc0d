"""Small pictures of a model while it learns: heads and embeddings, sent every second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.functional import Array
from minigpt.inside import pca, trace
from minigpt.inside.pieces import visible, vocabulary_of

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.text.tokenizers import Tokenizer

GLIMPSE_TOKENS = 24
"""Tokens of the text at which the heads are shown."""
GLIMPSE_POINTS = 400
"""Tokens whose embeddings are shown."""


class Glimpses:
    """Computes pictures of the heads and embeddings of a model at different steps.

    Parameters
    ----------
    tokenizer : the tokenizer of the model.
    text : its first tokens are the input for the heads.
    """

    def __init__(self, tokenizer: Tokenizer, text: str) -> None:
        self.tokenizer = tokenizer
        self.ids = tokenizer.encode(text)[:GLIMPSE_TOKENS] or [0]
        self.points: Array | None = None

    def heads(self, model: miniGPT) -> dict[str, Any]:
        """Return the attention weights of all heads: "weights" (L, H, T, T), and "pieces" (T,)."""
        seen = trace(model, self.ids, self.tokenizer)
        pieces = [visible(piece) for piece in seen.pieces]
        return {"pieces": pieces, "weights": np.round(seen.weights.astype(float), 3).tolist()}

    def embeddings(self, model: miniGPT) -> dict[str, Any]:
        """Return "points" (N, 2) of the first N tokens' vectors, and their "pieces" (N,).

        Their coordinates are the two principal components. These rotate and change their signs as
        a model learns, so the points are rotated back, as near as possible to the last ones.
        """
        points = pca(model.token_embedding.weight[:GLIMPSE_POINTS]).points
        if self.points is not None:
            points = points @ rotation(points, self.points)
        self.points = points
        pieces = vocabulary_of(self.tokenizer, model.vocab_size)[: len(points)]
        return {
            "pieces": [visible(piece) for piece in pieces],
            "points": np.round(points, 4).tolist(),
        }


def rotation(points: Array, others: Array) -> Array:
    """Return the rotation or reflection (2, 2) that brings `points` (N, 2) nearest to `others`.

    Source: Schönemann, "A generalized solution of the orthogonal Procrustes problem", 1966.
    """
    left, _, right = np.linalg.svd(points.T @ others)
    return left @ right
