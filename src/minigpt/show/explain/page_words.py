"""How numbers, tokens and shapes are written on the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minigpt.core.functional import Array
from minigpt.inside.pieces import visible
from minigpt.support import wording

ROWS = 8
"""How many tokens, heads or answers a table lists."""
NUMBERS_SHOWN = 5
"""How many numbers of a vector are shown."""


def number(x: float, digits: int = 2) -> str:
    """Write a number with a true minus sign."""
    if abs(x) >= 1e6:
        return f"{x:.2e}".replace("-", "−").replace("inf", "∞")
    shown = f"{round(x, digits) + 0.0:.{digits}f}"  # + 0.0 takes the sign from −0
    return shown.replace("-", "−").replace("inf", "∞")


def percent(p: float) -> str:
    """Write a probability; a small one is not written as none, nor a large one as all."""
    return wording.percent(p, 1)


def quoted(piece: str) -> str:
    """Write a token so that its spaces are seen."""
    return f"“{visible(piece)}”"


def entries(vector: Array) -> list[str]:
    """Write the first numbers of a vector."""
    return [number(x) for x in vector[:NUMBERS_SHOWN]] + (
        ["…"] if len(vector) > NUMBERS_SHOWN else []
    )


def entry_names(length: int) -> list[str]:
    """Name the columns of `entries` of vectors of this length."""
    return [f"no. {i}" for i in range(min(length, NUMBERS_SHOWN))] + (
        ["…"] if length > NUMBERS_SHOWN else []
    )


def dims(array: Array) -> str:
    """Write the shape of an array."""
    return " × ".join(map(str, array.shape))


def shown(n: int, most: int = ROWS) -> int:
    """Return how many of `n` rows a table shows: all rather than all but one."""
    return n if n <= most + 1 else most


def last_of(n: int, what: str) -> str:
    """Name the rows that a table shows of `n`: all of them, or the last."""
    if n == 1:
        return f"The only {what}"
    return f"All {n} {what}s" if shown(n) == n else f"The last {shown(n)} of {n:,} {what}s"


def last(pieces: Sequence[str], n: int = ROWS) -> Iterator[tuple[int, str]]:
    """Yield (place, piece) of the last tokens, about `n`."""
    first = len(pieces) - shown(len(pieces), n)
    yield from enumerate(pieces[first:], first)


def listed(items: Sequence[str]) -> str:
    """Join as a sentence does: a, b and c."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
