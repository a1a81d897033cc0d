"""How a next token is chosen from the scores that the model gives to all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigpt.core.checks import check_has, check_numbers, check_scores, check_sizes
from minigpt.core.functional import Array, softmax
from minigpt.support.checked import check_names


@dataclass(frozen=True)
class Sampling:
    """What is done to the logits before a token is drawn, always in this order.

    It is the order of Hugging Face transformers, whose definitions these are.

    Parameters
    ----------
    repetition_penalty : makes tokens that the text has already less likely, if more than 1: their
        positive logits are divided by it, their negative ones multiplied. Source: Keskar et al.,
        "CTRL", 2019, section 4.1.
    temperature : divides the logits. Below 1 the likely becomes likelier, above 1 less so; 0 is
        greedy, always taking the likeliest, and then what follows has no effect.
    top_k : keeps the k likeliest tokens, and those that tie with the last of them.
    top_p : keeps the fewest likeliest tokens that together reach this probability. Source:
        Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020, section 3.1.
    min_p : keeps the tokens at least this times as likely as the likeliest. Source: Nguyen et al.,
        "Turning Up the Heat: Min-p Sampling", 2024, section 3.

    What is left is made to sum to 1 again. The likeliest token is always left.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0

    def __new__(cls, *_: Any, **given: Any) -> Sampling:
        """Refuse an unknown name, and suggest the nearest."""
        check_names(given, cls.__dataclass_fields__)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        check_numbers(temperature=self.temperature, repetition_penalty=self.repetition_penalty)
        given = {"top_p": self.top_p, "min_p": self.min_p}
        check_numbers(**{name: p for name, p in given.items() if p is not None})
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be 0 (greedy) or more, got {self.temperature}")
        if self.top_k is not None:
            check_sizes(top_k=self.top_k)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be more than 0 and at most 1, got {self.top_p}")
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            raise ValueError(f"min_p must be from 0 to 1, got {self.min_p}")
        if not 0 < self.repetition_penalty < float("inf"):
            raise ValueError(
                f"repetition_penalty must be more than 0 (1 for none), got "
                f"{self.repetition_penalty}"
            )

    def scores(self, logits: Array, seen: Array | None = None) -> Array:
        """Give logits (B, V) as they are after all of it, float64; −inf for what is not kept.

        Parameters
        ----------
        logits : float (B, V).
        seen : bool (B, V), the tokens that the text has already; only for `repetition_penalty`.
        """
        # In float64, so that probabilities do sum to 1.
        scores = check_scores(logits, "logits").astype(float)
        if scores.ndim != 2:
            raise ValueError(f"logits must have the shape (batch, V), got {logits.shape}")
        if seen is not None and np.shape(seen) != scores.shape:
            raise ValueError(f"seen must have the shape {scores.shape}, got {np.shape(seen)}")
        if seen is not None and self.repetition_penalty != 1:
            penalty, seen = self.repetition_penalty, np.asarray(seen, bool)
            scores[seen] = np.where(scores < 0, scores * penalty, scores / penalty)[seen]
        if self.temperature == 0:
            return scores
        scores -= scores.max(axis=-1, keepdims=True)
        with np.errstate(over="ignore"):  # what is too unlikely for a number becomes −inf
            scores /= self.temperature
        if self.top_k is not None and self.top_k < scores.shape[-1]:
            kth_best = np.partition(scores, -self.top_k, axis=-1)[:, -self.top_k, None]
            scores[scores < kth_best] = -np.inf
        if self.top_p is not None and self.top_p < 1:  # rounded sums reach 1 too early
            probabilities = softmax(scores)
            order = np.argsort(-probabilities, axis=-1, kind="stable")
            in_order = np.take_along_axis(probabilities, order, axis=-1)
            reached_before = np.empty(scores.shape, dtype=bool)
            np.put_along_axis(
                reached_before, order, in_order.cumsum(axis=-1) - in_order >= self.top_p, axis=-1
            )
            scores[reached_before] = -np.inf
        if self.min_p is not None:
            probabilities = softmax(scores)
            likeliest = probabilities.max(axis=-1, keepdims=True)
            scores[probabilities < self.min_p * likeliest] = -np.inf
        return scores

    def probabilities(self, logits: Array, seen: Array | None = None) -> Array:
        """Turn logits (B, V) into the probabilities (B, V) that a token is drawn with."""
        scores = self.scores(logits, seen)
        if self.temperature == 0:
            return (np.arange(scores.shape[-1]) == scores.argmax(axis=-1)[:, None]).astype(float)
        return softmax(scores)

    def choose(
        self, logits: Array, rng: np.random.Generator, seen: Array | None = None
    ) -> tuple[Array, Array]:
        """Choose a token for each row of logits (B, V).

        Returns
        -------
        tokens : int (B,)
        log_probs : float64 (B,), the natural logarithm of the probability each was drawn with;
            of a greedy choice (temperature 0), of its probability at temperature 1.

        Raises
        ------
        ValueError
            If a score is not a number (NaN).
        """
        check_has("rng", rng, "random", "a NumPy Generator")
        with np.errstate(invalid="ignore"):  # the probabilities tell
            scores = self.scores(logits, seen)
            probabilities = softmax(scores)
        if np.isnan(probabilities).any():
            raise ValueError(
                "the scores of the next token are not all numbers: the weights of the model are "
                "damaged, or its training has diverged"
            )
        tokens = scores.argmax(axis=-1) if self.temperature == 0 else draw(probabilities, rng)
        chosen = np.take_along_axis(probabilities, tokens[:, None], axis=-1)[:, 0]
        return tokens, np.log(chosen)


def draw(probabilities: Array, rng: np.random.Generator) -> Array:
    """Draw a token for each row of probabilities (B, V): the one a random number falls on."""
    cumulative = probabilities.cumsum(axis=-1)
    cumulative /= cumulative[:, -1:]
    return (rng.random((len(probabilities), 1)) < cumulative).argmax(axis=-1)
