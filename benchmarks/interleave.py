"""Compare pieces of work fairly: in turns, A B A B …, by the medians and the spread of all rounds.

A machine is faster in one minute than in the next, as others use it and as it grows warm. Of two
sides measured one after the other, one gets the better minute. Taken in turns, both get the same
weather, and the ratio within one round is worth more than the ratio of two averages.

What else could favour a side, and what is done about it:

- The first run pays for caches, threads and compilation: it is not counted.
- NumPy's and PyTorch's threads are different pools, and those of a side that has just finished
  still spin for a moment, waiting for more: the next side starts after a pause.
- Garbage of one side could be collected in the time of the other: it is collected before each
  turn, and never within.
- A clock is too coarse for short work: each turn repeats its work until it takes a while.
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
"""What is timed."""

Side: TypeAlias = Callable[[], AbstractContextManager[Work]]
"""Opens before the clock starts and closes after it has stopped; gives the work between."""

PAUSE = 0.05
"""Seconds in which the threads of the last side fall asleep."""


def always(work: Work) -> Side:
    """Return a side of work that needs no preparation."""
    return lambda: nullcontext(work)


def fresh(prepare: Callable[[], Work]) -> Side:
    """Return a side that prepares its work anew for each turn: nothing is remembered."""
    return lambda: nullcontext(prepare())


class Spread(NamedTuple):
    """A median, and the quartiles that half of the rounds lie between."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Describe the values of all rounds."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))

    def times(self, factor: float) -> Spread:
        """Multiply by a positive constant."""
        return Spread(*(factor * value for value in self))


@dataclass(frozen=True)
class Rounds:
    """Seconds that each side took for its work once, round by round."""

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
    """Time all sides in turns.

    Parameters
    ----------
    sides : name → side, in the order of their turns.
    rounds : how many turns each side has.
    at_least : seconds that a turn shall take; short work is repeated as often as that needs.
    warm_up : False for work that is only ever done once, such as a start.
    """
    gc.collect()
    gc.freeze()  # what is there now stays, and need not be looked through again in each turn
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
    """Return the seconds that the work took once."""
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
