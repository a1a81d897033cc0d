"""How the marker writes: arrays in short, text in 80 columns."""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import Any

import numpy as np

from minigpt.course.exercise import as_lists

MAX_NUMBERS = 12
"""Of a larger array, the shape is shown."""
MAX_CHARACTERS = 60
"""Of a text or a list."""
COLUMNS = 78


def columns() -> int:
    """Return how many columns a message may have: fewer in a narrow terminal."""
    return max(40, min(COLUMNS, shutil.get_terminal_size().columns - 1))


def shown(name: str, value: Any) -> str:
    """Return "name = [[1, 0], [3, 1]]", or the shape of a large array."""
    if not isinstance(value, np.ndarray | np.generic | float):
        text = ascii(value) if isinstance(value, bytes) else repr(value)
        more = " …" if len(text) > MAX_CHARACTERS else ""
        return f"{name} = {text[:MAX_CHARACTERS]}{more}"
    a = np.asarray(value)
    if a.size > MAX_NUMBERS:
        return f"{name} : shape {a.shape}"
    return f"{name} = {numbers(a)}"


def numbers(a: Any) -> str:
    """Return the numbers of an array, four digits each, on one line."""
    if np.ndim(a) == 0:
        return f"{float(a) + 0.0:.5g}"
    text = np.array2string(np.asarray(a) + 0, precision=4, separator=", ", suppress_small=True)
    text = re.sub(r"\s+", " ", text).replace("[ ", "[")
    text = re.sub(r"\.? *(?=[,\]])", "", text)
    return re.sub(r"-0(?=[,\]])", "0", text)


def indented(text: str, by: int = 4) -> str:
    """Return a text in at most `columns()` columns, each line moved to the right.

    No line ends within `…`: a command can be copied.
    """
    lines: list[str] = []
    text = re.sub(r"`[^`\n]*`", lambda command: command[0].replace(" ", "\xa0"), text)
    for line in text.split("\n"):
        lead = " " * (by + len(line) - len(line.lstrip()))
        more = lead + ("  " if line.lstrip()[:2] == "- " else " " * 10 if len(lead) > by else "")
        lines += textwrap.wrap(
            line.strip(),
            columns(),
            initial_indent=lead,
            subsequent_indent=more,
            break_on_hyphens=False,
        ) or [""]
    return "\n".join(lines).replace("\xa0", " ")


def first_difference(name: str, got: Any, expected: Any) -> str:
    """Return a sentence about the first place where two texts, lists or dicts differ; or ""."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in expected:
            if key not in got:
                return f"{name} has no entry for {_short(key)}; expected {_short(expected[key])}."
            if as_lists(got[key]) != as_lists(expected[key]):
                return _two(f"{name}[{_short(key)}]", got[key], expected[key])
        extra = next((key for key in got if key not in expected), None)
        return f"{name}[{_short(extra)}] should not be there."
    if isinstance(expected, str | bytes | list | tuple):
        for i, (a, b) in enumerate(zip(got, expected, strict=False)):
            if as_lists(a) != as_lists(b):
                return _two(f"{name}[{i}]", a, b)
        unit = "characters" if isinstance(expected, str) else "entries"
        return f"{name} has {len(got)} {unit}, expected {len(expected)}."
    return ""


def _two(where: str, got: Any, expected: Any) -> str:
    return f"{where} is {_short(got)}, expected {_short(expected)}."


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]} …"
