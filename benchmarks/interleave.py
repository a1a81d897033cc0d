"""Compare pieces of work fairly: in turns, A B A B …, with medians and spreads over all rounds.

The speed of a machine changes from minute to minute, as other programs use it and as it grows warm.
If two sides are measured one after the other, one of them gets the better minute. In turns, both
get the same weather, and the ratios within the rounds are more reliable than the ratio of two
averages.

Other things could also favour a side. This is what we do about them:

- The first run fills caches, starts threads and compiles: it is not counted.
- NumPy and PyTorch have different thread pools. The threads of a side that has just finished still
  spin for a moment, waiting for more work: the next side starts after a pause.
- Garbage of one side could be collected in the time of the other: it is collected before each
  turn, and never during one.
- A clock is too coarse for short work: each turn repeats its work until it takes long enough.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

Work: TypeAlias = Callable[[], Any]
"""The function that is timed."""

Side: TypeAlias = Callable[[], AbstractContextManager[Work]]
"""Returns a context that yields the work, and that is entered and left outside the timed part."""

PAUSE = 0.05
"""Seconds in which the threads of the previous side go to sleep."""


def always(work: Work) -> Side:
    """Return a side for work that needs no preparation."""
    return lambda: nullcontext(work)


def fresh(prepare: Callable[[], Work]) -> Side:
    """Return a side that prepares its work again for each turn, so that it remembers nothing."""
    return lambda: nullcontext(prepare())


class Spread(NamedTuple):
    """The median of all rounds, and the two quartiles around it."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Return the spread of `values`, one for each round."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))

    def times(self, factor: float) -> Spread:
        """Return this spread multiplied by a positive constant."""
        return Spread(*(factor * value for value in self))


@dataclass(frozen=True)
class Rounds:
    """The seconds that each side took for doing its work once, in each round."""

    seconds: Mapping[str, list[float]]

    def median(self, side: str) -> float:
        """Return the median of one side in seconds."""
        return statistics.median(self.seconds[side])

    def ratio(self, numerator: str, denominator: str) -> Spread:
        """Return the spread of (seconds of one side / seconds of another) within each round."""
        pairs = zip(self.seconds[numerator], self.seconds[denominator], strict=True)
        return Spread.of([a / b for a, b in pairs])


def interleave(
    sides: Mapping[str, Side], rounds: int, at_least: float = 0.3, warm_up: bool = True
) -> Rounds:
    """Time all sides in turns, and return the seconds of each.

    Parameters
    ----------
    sides : sides by name, in the order of their turns.
    rounds : number of turns of each side.
    at_least : minimum duration of a turn in seconds; shorter work is repeated.
    warm_up : False for work that is only done once in practice, such as starting a program.
    """
    gc.collect()
    gc.freeze()  # exempts existing objects from the collections before each turn
    try:
        repeats = dict.fromkeys(sides, 1)
        if warm_up:
            for name, side in sides.items():
                _turn(side, 1)
                once = _turn(side, 1)
                repeats[name] = max(1, round(at_least / max(once, 1e-6)))
        seconds: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, side in sides.items():
                seconds[name].append(_turn(side, repeats[name]))
        return Rounds(seconds)
    finally:
        gc.unfreeze()


def _turn(side: Side, repeats: int) -> float:
    """Return the seconds that the work took, divided by `repeats`."""
    with side() as work:
        gc.collect()
        time.sleep(PAUSE)
        gc.disable()
        try:
            began = time.perf_counter()
            for _ in range(repeats):
                work()
            return (time.perf_counter() - began) / repeats
        finally:
            gc.enable()
