"""The wish to stop: Ctrl-C, and what a system sends before it switches off."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any, Self

from minigpt.machines import world


class StopSignal:
    """Turns the first SIGINT or SIGTERM into a wish to stop, for the end of the step.

    The second does at once what it always does. Use it in a `with` block of the main thread.

    Attributes
    ----------
    requested : whether there was one.
    code : the exit code that tells so: 130 after SIGINT, 143 after SIGTERM.
    """

    requested = False
    code = 0

    def __enter__(self) -> Self:
        self._before: dict[int, Any] = {
            number: signal.signal(number, self._handle)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested, self.code = True, 128 + number
        self._restore()
        if world().rank == 0:  # not by print, which may be at work when the signal comes
            os.write(2, b"\nstopping after this step; once more to stop at once\n")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
