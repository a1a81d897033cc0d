"""How numbers, tokens and shapes are written on the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minigpt.functional import Array
from minigpt.tracing.pieces import visible

ROWS = 8
"""How many tokens, heads or answers a table lists."""
COLUMNS = 5
"""How many numbers of a vector are shown."""


def number(x: float, digits: int = 2) -> str:
    """Write a number with a true minus sign."""
    shown = f"{round(x, digits) + 0.0:.{digits}f}"  # + 0.0 takes the sign from −0
    return shown.replace("-", "−").replace("inf", "∞")


def percent(p: float) -> str:
    """Write a probability; one that is small is not written as none."""
    return "<0.1%" if 0 < p < 0.0005 else f"{p:.1%}"


def quoted(piece: str) -> str:
    """Write a token so that its spaces are seen."""
    return f"“{visible(piece)}”"


def entries(vector: Array) -> list[str]:
    """Write the first numbers of a vector."""
    return [number(x) for x in vector[:COLUMNS]] + (["…"] if len(vector) > COLUMNS else [])


def entry_names(length: int) -> list[str]:
    """Name the columns of `entries` of vectors of this length."""
    return [f"no. {i}" for i in range(min(length, COLUMNS))] + (["…"] if length > COLUMNS else [])


def dims(array: Array) -> str:
    """Write the shape of an array."""
    return " × ".join(map(str, array.shape))


def last(pieces: Sequence[str], n: int = ROWS) -> Iterator[tuple[int, str]]:
    """Yield (place, piece) of the last `n` tokens."""
    first = max(0, len(pieces) - n)
    yield from enumerate(pieces[first:], first)


def listed(items: Sequence[str]) -> str:
    """Join as a sentence does: a, b and c."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]


def count(n: int, what: str) -> str:
    """Write how many there are of something."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"
