"""A quick look at a model that learns: small enough to send while it does."""

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
GLIMPSE_POINTS = 400


class Glimpses:
    """Looks at the heads and embeddings of a model again and again.

    Parameters
    ----------
    tokenizer : that of the model.
    text : what the heads are shown at; its first tokens count.
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
        """Return "points" (N, 2) of the first tokens' vectors, and "pieces" (N,).

        They lie along the two principal components, which turn and change sides as a model
        learns: so they are turned to lie as near as can be to where they were the last time.
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
    """Find how to turn or mirror `points` (N, 2) so that they come nearest to `others`.

    Source: Schönemann, "A generalized solution of the orthogonal Procrustes problem", 1966.
    """
    left, _, right = np.linalg.svd(points.T @ others)
    return left @ right
