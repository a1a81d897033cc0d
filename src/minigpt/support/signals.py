"""Stopping after a step: Ctrl-C, and the signals of a closed terminal or a shutdown."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import Any, Self

from minigpt.support.processes import launched


class StopSignal:
    """Turns the first SIGINT, SIGTERM or SIGHUP into a request to stop after the current step.

    A second SIGINT or SIGTERM has its usual effect at once. A second SIGHUP is ignored: when a
    terminal is closed, the system and the shell may both send one. Under nohup, every SIGHUP is
    ignored. Use it in a `with` block of the main thread.

    Attributes
    ----------
    requested : whether a signal has come.
    code : the exit code for it: 130 after SIGINT, 143 after SIGTERM, 129 after SIGHUP.
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
        if launched()[0] == 0:  # not print: the signal may have interrupted a print
            with suppress(OSError):  # the terminal may be gone
                os.write(2, b"\nstopping after this step; once more to stop at once\n")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
