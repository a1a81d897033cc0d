"""The wish to stop: Ctrl-C, and what a system sends before it switches off."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, Self

from minigpt.fast.machines import world


class StopSignal:
    """Turns the first SIGINT, SIGTERM or SIGHUP into a wish to stop, for the end of the step.

    The second does at once what it always does. But SIGHUP, which comes when the terminal is
    closed, often comes twice, from the system and from the shell: further ones are ignored. Under
    nohup all are. Use it in a `with` block of the main thread.

    Attributes
    ----------
    requested : whether there was one.
    code : the exit code that tells so: 130 after SIGINT, 143 after SIGTERM, 129 after SIGHUP.
    """

    requested = False
    code = 0

    def __enter__(self) -> Self:
        numbers = [signal.SIGINT, signal.SIGTERM]
        if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        self._before: dict[int, Any] = {
            number: signal.signal(number, self._handle) for number in numbers
        }
        return self

    def __exit__(self, *error: object) -> None:
        self._restore()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested, self.code = True, 128 + number
        self._restore()
        if number not in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if world().rank == 0:  # not by print, which may be at work when the signal comes
            with suppress(OSError):  # the terminal may be gone
                os.write(2, b"\nstopping after this step; once more to stop at once\n")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
