"""Measure slopes by central differences, and how far rounding can have moved each of them.

Move one number p up and down by a small step h, and the loss L = Σ r · y answers:

    ∂L/∂p ≈ Σ r · (y(p + h) − y(p − h)) / 2h

Two numbers of 16 digits are subtracted here. What rounding did to each of them stays in the
difference, and dividing by h makes it large: with y = 1 and h = 1e-5, a slope that is truly 0 is
measured as 1e-11. So a slope is never known better than to

    Σ |r · what rounding can do to y| / 2h

with the sum over those y that p moves. How much it can do to y is found by trial: move all numbers
that go in by their last digit, and see how far y moves. That grows with the numbers inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minigpt.core.functional import Array

# The first step is right nearly always. Smaller ones stay on one side of a kink, as in ReLU, and
# larger ones rise above rounding; a gradient that is wrong is wrong for all of them.
STEP = 1e-5
STEPS = (1e-2, 1e-3, 1e-4, STEP, 1e-6, 1e-7)

LIMIT = 1e-6
"""The largest relative error of a right gradient. A wrong one is off by far more."""

TELLING = 1e-3
"""A step is no witness where rounding moves its slopes by more than this part of the largest."""

TRIALS = 4
LAST_DIGITS = 4 * float(np.finfo(np.float64).eps)  # a sum of many numbers loses more than one ε


class Slopes:
    """Measures slopes of L = Σ r · y.

    Parameters
    ----------
    forward : computes y from what stands in `arrays`.
    arrays : the numbers that go in, of float64; moved in place, and moved back.
    r : as y.
    rng : where chance comes from.
    """

    def __init__(
        self,
        forward: Callable[[], Array],
        arrays: Sequence[Array],
        r: Array,
        rng: np.random.Generator,
    ) -> None:
        self.forward, self.r = forward, r
        self.doubt = np.abs(r) * rounding(forward, arrays, rng)

    def measure(self, array: Array, chosen: Array, derived: Array) -> tuple[Array, Array]:
        """Measure the slopes of the chosen entries of `array`; also how far rounding moves each.

        One that differs from what `backward` derived is measured with other steps too. Steps at
        which rounding hides the slope say nothing; of the others the one that comes nearest counts.
        """
        # Numbers of 1e8 or 1e-8 need steps of their own size.
        units = dict.fromkeys((magnitude(array), 1.0))
        first = STEP * next(iter(units))
        found = np.array([self.slope(array, i, first) for i in chosen]).reshape(-1, 2)
        largest = float(np.abs(derived).max(initial=0, where=np.isfinite(derived)))
        for j in np.flatnonzero(~(np.abs(derived - found[:, 0]) <= LIMIT * largest)):
            tried = np.concatenate([self.slopes(array, chosen[j], unit) for unit in units])
            slopes, doubts = tried.T
            certain = np.nanmax(np.abs(slopes) - doubts, initial=largest)
            telling = tried[doubts <= max(TELLING * certain, 10 * doubts.min())]
            excess = np.abs(telling[:, 0] - derived[j]) - telling[:, 1]
            right = excess.min() <= LIMIT * largest
            found[j] = telling[excess.argmin() if right else telling[:, 1].argmin()]
        return found[:, 0], found[:, 1]

    def slopes(self, array: Array, i: int, unit: float) -> Array:
        """Measure one slope with all steps: a row for each, the slope and its doubt.

        What a curve adds to a slope grows with the square of the step, so that it shows in the
        difference of two slopes, 99 parts in the wider and 1 part in the other.
        """
        slopes, doubts = np.array([self.slope(array, i, step * unit) for step in STEPS]).T
        curve = np.abs(np.diff(slopes))
        doubts[1:] += curve / 99
        doubts[0] += curve[0]
        return np.stack([slopes, np.nan_to_num(doubts, nan=np.inf)], axis=1)

    def slope(self, array: Array, i: int, step: float) -> tuple[float, float]:
        """Measure ∂L/∂(the i-th number of `array`), and how far rounding can have moved it."""
        kept = array.flat[i]
        array.flat[i] = up = kept + step
        above = self.forward()
        array.flat[i] = down = kept - step
        below = self.forward()
        array.flat[i] = kept
        if up == down:
            return 0.0, np.inf
        # The difference first: what p does not change cancels, and with it all its rounding.
        difference = above - below
        # Where nothing moves, the slope may still be as small as rounding can swallow.
        moved = difference != 0 if difference.any() else ...
        doubt = np.sum(self.doubt[moved])
        return float(np.sum(difference * self.r) / (up - down)), float(doubt / (up - down))


def magnitude(array: Array) -> float:
    """Return the power of ten nearest to the numbers of `array`; 1 if all are 0."""
    finite = np.abs(array[np.isfinite(array) & (array != 0)])
    return float(10.0 ** np.round(np.log10(finite).mean())) if finite.size else 1.0


def rounding(
    forward: Callable[[], Array], arrays: Sequence[Array], rng: np.random.Generator
) -> Array:
    """Compute how far rounding can move each number of y: as far as last digits of what goes in."""
    kept = [array.copy() for array in arrays]
    y = forward()
    moved = LAST_DIGITS * (np.abs(y) if y.any() else np.ones_like(y))  # nothing has no digits
    for _ in range(TRIALS):
        for array, before in zip(arrays, kept, strict=True):
            array[...] = before * (1 + LAST_DIGITS * rng.choice([-1, 1], array.shape))
        moved = np.maximum(moved, np.abs(forward() - y))
        for array, before in zip(arrays, kept, strict=True):
            array[...] = before
    return moved
