"""What goes to a terminal, in few words and safely."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

Item = TypeVar("Item")


def say(text: str) -> None:
    """Tell how things go, on stderr."""
    print(text, file=sys.stderr, flush=True)


def visible(text: str) -> str:
    """Show control characters by their pictures: a model may write some, a terminal obeys them."""
    return text.translate({code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"})


def progress(what: str, total: int | None = None) -> Callable[[Iterable[Item]], Iterable[Item]]:
    """Give what goes through items and shows how far it is: a bar in a terminal, else lines."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)

    def go_through(items: Iterable[Item]) -> Iterable[Item]:
        if console.is_terminal:
            return track(items, what, total, console=console, transient=True)
        return now_and_then(items, what, total)

    return go_through


class Clock:
    """Strikes now and then, for a log that nobody wants to be long."""

    SECONDS = 15.0

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Count from now on."""
        self.last = time.monotonic()

    def strikes(self) -> bool:
        """Whether the time has passed; if so, count from now on."""
        if due := time.monotonic() - self.last >= self.SECONDS:
            self.restart()
        return due


def now_and_then(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Go through items; now and then, say in a line on stderr how many are done."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    clock = Clock()
    for n, item in enumerate(items, 1):
        yield item
        if clock.strikes():
            say(f"{what}: {n:,}" + (f" of {total:,}" if total else " done"))


def sentence(error: Exception) -> str:
    """Say what an error says, and of what the system reports, what happened where."""
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    return str(error)
