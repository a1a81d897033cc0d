"""Choose the next token from the scores that the model computes for all tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigpt.core.checks import check_has
from minigpt.core.checks_generation import check_next_scores, check_not_nan, check_sampling
from minigpt.core.functional import Array, softmax


@dataclass(frozen=True)
class Sampling:
    """How logits are changed before a token is drawn, in the order of this list.

    Order and definitions are those of Hugging Face transformers.

    Parameters
    ----------
    repetition_penalty : above 1, makes tokens that are already in the text less likely: positive
        logits are divided by it, negative ones multiplied. Source: Keskar et al., "CTRL", 2019,
        section 4.1.
    temperature : divides the logits. Below 1, likely tokens become more likely; above 1, less. 0
        is greedy: it always chooses the most likely token, and the next settings have no effect.
    top_k : keeps the k most likely tokens, and those that tie with the last of them.
    top_p : keeps the most likely tokens, as few as together reach this probability. Source:
        Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020, section 3.1.
    min_p : keeps tokens whose probability is at least min_p times the largest one. Source: Nguyen
        et al., "Turning Up the Heat: Min-p Sampling", 2024, section 3.

    The most likely token is always kept. The probabilities kept are scaled to sum to 1 again.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        check_sampling(**vars(self))

    def scores(self, logits: Array, seen: Array | None = None) -> Array:
        """Return the changed logits (B, V), float64; −inf for tokens that are not kept.

        `seen`, bool (B, V): the tokens that are already in the text, for `repetition_penalty`.
        """
        scores = check_next_scores(logits, seen).astype(float)  # float64: probabilities sum to 1
        if seen is not None and self.repetition_penalty != 1:
            penalty = self.repetition_penalty
            penalised = np.where(scores < 0, scores * penalty, scores / penalty)
            scores = np.where(seen, penalised, scores)
        if self.temperature == 0:
            return scores
        with np.errstate(over="ignore"):  # very unlikely tokens get −inf
            scores = (scores - scores.max(axis=-1, keepdims=True)) / self.temperature
        if self.top_k is not None and self.top_k < scores.shape[-1]:
            kth_best = np.partition(scores, -self.top_k, axis=-1)[:, -self.top_k, None]
            scores[scores < kth_best] = -np.inf
        if self.top_p is not None and self.top_p < 1:  # a rounded sum may reach 1 too early
            probabilities = softmax(scores)
            order = np.argsort(-probabilities, axis=-1, kind="stable")
            in_order = np.take_along_axis(probabilities, order, axis=-1)
            before = in_order.cumsum(axis=-1) - in_order  # the sum of all more likely ones
            dropped = np.empty(scores.shape, dtype=bool)
            np.put_along_axis(dropped, order, before >= self.top_p, axis=-1)
            scores[dropped] = -np.inf
        if self.min_p is not None:
            p = softmax(scores)
            scores[p < self.min_p * p.max(axis=-1, keepdims=True)] = -np.inf
        return scores

    def probabilities(self, logits: Array, seen: Array | None = None) -> Array:
        """Return the probability (B, V) of drawing each token, from logits (B, V)."""
        scores = self.scores(logits, seen)
        if self.temperature == 0:
            return (np.arange(scores.shape[-1]) == scores.argmax(axis=-1)[:, None]).astype(float)
        return softmax(scores)

    def choose(
        self, logits: Array, rng: np.random.Generator, seen: Array | None = None
    ) -> tuple[Array, Array]:
        """Choose a token for each row of logits (B, V); return tokens and log-probabilities.

        Both are (B,). A log-probability is the natural logarithm of the probability of drawing the
        token; for a greedy choice (temperature 0), of its probability at temperature 1.
        """
        check_has("rng", rng, "random", "a NumPy Generator")
        with np.errstate(invalid="ignore"):  # NaN is reported below
            scores = self.scores(logits, seen)
            probabilities = softmax(scores)
        check_not_nan(probabilities)
        tokens = scores.argmax(axis=-1) if self.temperature == 0 else draw(probabilities, rng)
        chosen = np.take_along_axis(probabilities, tokens[:, None], axis=-1)[:, 0]
        return tokens, np.log(chosen)


def draw(probabilities: Array, rng: np.random.Generator) -> Array:
    """Return a random token for each row of probabilities (B, V), drawn with them: int (B,)."""
    cumulative = probabilities.cumsum(axis=-1)
    cumulative /= cumulative[:, -1:]
    return (rng.random((len(probabilities), 1)) < cumulative).argmax(axis=-1)
