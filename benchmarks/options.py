"""The options of the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.configurations import ALL, TINY, Configuration


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes
    ----------
    rounds : rounds of each comparison; 0 means ten for short work and five for long work.
    threads : threads of both sides.
    quick : a test run with tiny sizes, whose results mean nothing.
    out : folder for JSON files.
    plots : folder for pictures.
    only : names of the configurations to measure.
    """

    rounds: int
    threads: int
    quick: bool
    out: Path
    plots: Path
    only: Sequence[str] = tuple(ALL)

    @property
    def configurations(self) -> list[Configuration]:
        """The configurations to measure; in a test run, a tiny one."""
        return [TINY] if self.quick else [ALL[name] for name in self.only]

    @property
    def small(self) -> int:
        """Rounds for work that takes less than about a second."""
        return self.rounds or (2 if self.quick else 10)

    @property
    def large(self) -> int:
        """Rounds for work that takes longer."""
        return self.rounds or (2 if self.quick else 5)

    def rounds_for(self, c: Configuration) -> int:
        """Return the rounds for a configuration."""
        return self.large if c.name in ("L", "X") else self.small

    @property
    def at_least(self) -> float:
        """Minimum duration of a turn in seconds."""
        return 0.01 if self.quick else 0.3

    def say(self, what: str) -> None:
        """Print progress on stderr."""
        print(f"… {what}", file=sys.stderr, flush=True)
