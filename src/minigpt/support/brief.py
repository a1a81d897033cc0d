"""Short reprs: an object at the end of a notebook cell may hold millions of numbers."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

MAX_REPR = 400
"""Maximum length of a repr, in characters."""


def brief(record: Any) -> str:
    """Return the repr of a dataclass or NamedTuple; large values are only described."""
    return named(record, values_of(record))


def values_of(record: Any) -> dict[str, Any]:
    """Return field → value of a dataclass or NamedTuple."""
    names = [f.name for f in fields(record)] if is_dataclass(record) else record._fields
    return {name: getattr(record, name) for name in names}


def named(record: Any, values: dict[str, Any]) -> str:
    """Return "Name(a=1, b=2)": the class of `record` and short values, at most MAX_REPR long."""
    shown = ", ".join(f"{name}={brief_value(value)}" for name, value in values.items())
    return f"{type(record).__name__}({cut(shown, MAX_REPR)})"


def brief_value(value: Any) -> str:
    """Return a short repr of any value."""
    if isinstance(value, np.ndarray):
        return f"<{value.dtype} {value.shape}>"
    if isinstance(value, str | bytes):
        if len(value) <= 40:
            return repr(value)
        unit = "characters" if isinstance(value, str) else "bytes"
        return f"<{value[:20]!r} and more, {len(value):,} {unit}>"
    if isinstance(value, list | tuple | dict) and len(value) > 3 and not hasattr(value, "_fields"):
        return f"<{type(value).__name__} of {len(value):,}>"
    return cut(repr(value), 100)


def cut(text: str, length: int) -> str:
    """Return `text`, shortened to `length` characters if it is longer."""
    return text if len(text) <= length else text[: length - 1] + "…"
