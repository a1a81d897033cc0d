"""How numbers, tokens and shapes are written on the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minigpt.core.functional import Array
from minigpt.inside.pieces import visible
from minigpt.support import wording

TABLE_ROWS = 8
"""Tokens, heads or answers that a table lists."""
NUMBERS_SHOWN = 5
"""Numbers of a vector that a table shows: the first ones."""


def number(x: float, digits: int = 2) -> str:
    """Return a number as text, with a true minus sign."""
    if abs(x) >= 1e6:
        return f"{x:.2e}".replace("-", "−").replace("inf", "∞")
    shown = f"{round(x, digits) + 0.0:.{digits}f}"  # + 0.0 turns −0 into 0
    return shown.replace("-", "−").replace("inf", "∞")


def percent(p: float) -> str:
    """Return a probability as text: 0% and 100% stand only for exactly 0 and 1."""
    return wording.percent(p, 1)


def quoted(piece: str) -> str:
    """Return a token in quotes, with visible spaces."""
    return f"“{visible(piece)}”"


def entries(vector: Array) -> list[str]:
    """Return the first numbers of a vector, as the cells of a table."""
    return [number(x) for x in vector[:NUMBERS_SHOWN]] + (
        ["…"] if len(vector) > NUMBERS_SHOWN else []
    )


def entry_names(length: int) -> list[str]:
    """Return the column headings for `entries` of a vector of this length."""
    return [f"no. {i}" for i in range(min(length, NUMBERS_SHOWN))] + (
        ["…"] if length > NUMBERS_SHOWN else []
    )


def dims(array: Array) -> str:
    """Return the shape of an array, as in 3 × 4."""
    return " × ".join(map(str, array.shape))


def first_numbers(length: int) -> str:
    """Describe which numbers `entries` returns of a vector of this length."""
    if length == 1:
        return "its only number"
    if length <= NUMBERS_SHOWN:
        return f"all {length} numbers"
    return f"the first {NUMBERS_SHOWN} of {length:,} numbers"


def n_shown(n: int, n_rows: int = TABLE_ROWS) -> int:
    """Return the number of rows, of `n`, that a table shows. It never leaves out a single row."""
    return n if n <= n_rows + 1 else n_rows


def last_of(n: int, what: str) -> str:
    """Describe which of `n` rows a table shows: all of them, or the last ones."""
    if n == 1:
        return f"The only {what}"
    return f"All {n} {what}s" if n_shown(n) == n else f"The last {n_shown(n)} of {n:,} {what}s"


def last_pieces(pieces: Sequence[str], n: int = TABLE_ROWS) -> Iterator[tuple[int, str]]:
    """Yield (position, piece) of about the last `n` tokens."""
    first = len(pieces) - n_shown(len(pieces), n)
    yield from enumerate(pieces[first:], first)


def join_words(items: Sequence[str]) -> str:
    """Return the items joined as in a sentence: a, b and c."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1]
