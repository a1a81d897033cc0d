"""Single keys from the keyboard, as they are pressed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def pressed() -> Iterator[Callable[[], str]]:
    """Return a function that gives the key pressed since the last call; "" if there is none.

    Where stdin is not a terminal, it always returns "".
    """
    if not sys.stdin.isatty():
        yield lambda: ""
    elif sys.platform == "win32":
        import msvcrt

        yield lambda: msvcrt.getwch() if msvcrt.kbhit() else ""
    else:
        import select
        import termios
        import tty

        stdin = sys.stdin.fileno()
        before = termios.tcgetattr(stdin)
        try:
            tty.setcbreak(stdin)

            def key() -> str:  # past Python's buffer, which select does not see
                is_waiting = select.select([stdin], [], [], 0)[0]
                return os.read(stdin, 1).decode("utf-8", "replace") if is_waiting else ""

            yield key
        finally:
            termios.tcsetattr(stdin, termios.TCSADRAIN, before)
