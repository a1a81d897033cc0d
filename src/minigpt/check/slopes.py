"""Measure slopes by central differences, and the uncertainty of each because of rounding.

Move one number p up and down by a small step h. The slope of the loss L = Σ r · y is

    ∂L/∂p ≈ Σ r · (y(p + h) − y(p − h)) / 2h

Two numbers of 16 digits are subtracted here. Their rounding errors stay in the difference, and
dividing by h makes them large: with y = 1 and h = 1e-5, a slope that is exactly 0 is measured as
1e-11. So a slope is known only up to the uncertainty

    Σ |r · rounding error of y| / 2h

where the sum is over those y that p moves. The rounding error of y is found by experiment: change
all input numbers in their last digit, and see how far y moves. This error grows with the size of
the numbers inside the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minigpt.core.functional import Array

# STEP is nearly always right. Smaller steps stay on one side of a kink, as in ReLU; larger ones
# make rounding unimportant. A wrong gradient is wrong for all steps.
STEP = 1e-5
STEPS = (1e-2, 1e-3, 1e-4, STEP, 1e-6, 1e-7)

LIMIT = 1e-6
"""The largest relative error of a right gradient. The error of a wrong one is far larger."""

MAX_RELATIVE_UNCERTAINTY = 1e-3
"""A step is not used if its slope's uncertainty is more than this part of the largest slope."""

TRIALS = 4
LAST_DIGITS = 4 * float(np.finfo(np.float64).eps)  # a sum of many numbers is off by more than one ε


class Slopes:
    """Measures slopes of L = Σ r · y.

    Parameters
    ----------
    forward : computes y from the numbers in `arrays`.
    arrays : the float64 inputs, which are changed in place and restored.
    r : the factors, of y's shape.
    rng : the random generator.
    """

    def __init__(
        self,
        forward: Callable[[], Array],
        arrays: Sequence[Array],
        r: Array,
        rng: np.random.Generator,
    ) -> None:
        self.forward, self.r = forward, r
        self.uncertainty = np.abs(r) * rounding_error(forward, arrays, rng)

    def measure(self, array: Array, chosen: Array, derived: Array) -> tuple[Array, Array]:
        """Return the slopes of the chosen entries of `array`, and the uncertainty of each.

        A slope that differs from `derived`, the result of `backward`, is measured with other steps
        too. Steps at which rounding hides the slope are ignored; of the others, the slope nearest
        to `derived` counts.
        """
        # Numbers of 1e8 or 1e-8 need steps of their own size.
        units = dict.fromkeys((magnitude(array), 1.0))
        first = STEP * next(iter(units))
        found = np.array([self.slope(array, i, first) for i in chosen]).reshape(-1, 2)
        largest = float(np.abs(derived).max(initial=0, where=np.isfinite(derived)))
        for j in np.flatnonzero(~(np.abs(derived - found[:, 0]) <= LIMIT * largest)):
            tried = np.concatenate([self.slopes(array, chosen[j], unit) for unit in units])
            slopes, uncertainties = tried.T
            certain = np.nanmax(np.abs(slopes) - uncertainties, initial=largest)
            allowed = max(MAX_RELATIVE_UNCERTAINTY * certain, 10 * uncertainties.min())
            usable = tried[uncertainties <= allowed]
            excess = np.abs(usable[:, 0] - derived[j]) - usable[:, 1]
            right = excess.min() <= LIMIT * largest
            found[j] = usable[excess.argmin() if right else usable[:, 1].argmin()]
        return found[:, 0], found[:, 1]

    def slopes(self, array: Array, i: int, unit: float) -> Array:
        """Return a slope measured with all steps: a row (slope, uncertainty) for each step.

        The error from curvature grows with the square of the step: of two neighbouring steps, the
        larger has 100 times the error of the smaller. So the difference of their slopes is 99 times
        the error of the smaller one.
        """
        slopes, uncertainties = np.array([self.slope(array, i, step * unit) for step in STEPS]).T
        curve = np.abs(np.diff(slopes))
        uncertainties[1:] += curve / 99
        uncertainties[0] += curve[0]
        return np.stack([slopes, np.nan_to_num(uncertainties, nan=np.inf)], axis=1)

    def slope(self, array: Array, i: int, step: float) -> tuple[float, float]:
        """Return ∂L/∂(the i-th number of `array`), and the uncertainty of this slope."""
        kept = array.flat[i]
        array.flat[i] = up = kept + step
        above = self.forward()
        array.flat[i] = down = kept - step
        below = self.forward()
        array.flat[i] = kept
        if up == down:
            return 0.0, np.inf
        # Subtract before summing: numbers that p does not change cancel, rounding included.
        difference = above - below
        # If nothing moves, the slope may still be too small to show beside rounding.
        moved = difference != 0 if difference.any() else ...
        uncertainty = np.sum(self.uncertainty[moved])
        return float(np.sum(difference * self.r) / (up - down)), float(uncertainty / (up - down))


def magnitude(array: Array) -> float:
    """Return the typical size of the numbers in `array`, a power of ten; 1 if all are 0."""
    finite = np.abs(array[np.isfinite(array) & (array != 0)])
    return float(10.0 ** np.round(np.log10(finite).mean())) if finite.size else 1.0


def rounding_error(
    forward: Callable[[], Array], arrays: Sequence[Array], rng: np.random.Generator
) -> Array:
    """Return how far y moves when the last digits of the inputs change: its rounding error."""
    kept = [array.copy() for array in arrays]
    y = forward()
    moved = LAST_DIGITS * (np.abs(y) if y.any() else np.ones_like(y))  # 0 has no digits
    for _ in range(TRIALS):
        for array, before in zip(arrays, kept, strict=True):
            array[...] = before * (1 + LAST_DIGITS * rng.choice([-1, 1], array.shape))
        moved = np.maximum(moved, np.abs(forward() - y))
        for array, before in zip(arrays, kept, strict=True):
            array[...] = before
    return moved
