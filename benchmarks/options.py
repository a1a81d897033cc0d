"""What the command line asks for."""

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
    rounds : of each comparison; 0 for ten of small work and five of large.
    threads : for both sides.
    quick : a trial run with tiny sizes, whose figures mean nothing.
    out : folder for the JSON files.
    plots : folder for the pictures.
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
        """What is measured: those named, or for a trial run a tiny one."""
        return [TINY] if self.quick else [ALL[name] for name in self.only]

    @property
    def small(self) -> int:
        """Rounds for work that takes less than a second or so."""
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
        """Seconds that a turn of short work shall take."""
        return 0.01 if self.quick else 0.3

    def say(self, what: str) -> None:
        """Tell on stderr what is going on."""
        print(f"… {what}", file=sys.stderr, flush=True)
