"""Numbers and names in messages: few digits that tell the truth, "1 step" but "2 steps".

Also names as arguments of a shell command.
"""

import os
import re
import shlex
from pathlib import Path


def for_shell(text: str | Path) -> str:
    """Return a text or a path as one argument of a shell command.

    A path that begins with a dash gets the prefix ./, so that it is not read as a flag.
    """
    if isinstance(text, Path):
        text = f"./{text}" if str(text).startswith("-") else str(text)
    if os.name != "nt":
        return shlex.quote(text)
    plain = re.fullmatch(r"[\w.:/\\+@=-]+", text)
    return text if plain else '"' + text.replace('"', r"\"") + '"'


def counted(n: int, noun: str) -> str:
    """Return "1 step", "2 steps", "1,000 steps"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def percent(share: float, digits: int = 0) -> str:
    """Return a share as a percentage that is "0%" or "100%" only if this is exact.

    A share that would be rounded to them becomes "<1%" or ">99%", with one digit ">99.9%".
    """
    shown, least = f"{share:.{digits}%}", 10.0 ** -(digits + 2)
    if 0 < share < 1 and float(shown[:-1]) == 0:
        return f"<{least:.{digits}%}"
    if 0 < share < 1 and float(shown[:-1]) == 100:
        return f">{1 - least:.{digits}%}"
    return shown


def spelling_note(spelling_bits: float | None) -> str:
    """Return a note on the bits per character that spell unknown words; "" if there are none."""
    return f"{decimal(spelling_bits, 3)} of it to spell unknown words" if spelling_bits else ""


def decimal(number: float, digits: int = 2) -> str:
    """Return a number in at most 12 characters: 1,234.57, or 1.2e+99 and 3.4e-12."""
    fixed = f"{number:,.{digits}f}"
    too_small = number != 0 and not fixed.strip("-0.,")
    return f"{number:.3g}" if too_small or len(fixed) > 12 else fixed
