"""What goes to a terminal, in few words and safely."""

import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")


def say(text: str) -> None:
    """Tell how things go, on stderr."""
    print(text, file=sys.stderr, flush=True)


def visible(text: str) -> str:
    """Show control characters by their pictures: a model may write some, a terminal obeys them."""
    return text.translate({code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"})


def progress(what: str, total: int | None = None) -> Callable[[Iterable[Item]], Iterable[Item]]:
    """Give what goes through items and shows how far it is, on stderr if that is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)

    def go_through(items: Iterable[Item]) -> Iterable[Item]:
        return track(
            items, what, total, console=console, transient=True, disable=not console.is_terminal
        )

    return go_through


def sentence(error: Exception) -> str:
    """Say what an error says, and of what the system reports, what happened where."""
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    return str(error)
