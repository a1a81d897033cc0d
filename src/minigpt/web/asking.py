"""What may be asked: the fields of each request, how they are read, and their JSON Schema."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from minigpt.web.problems import Problem

LONGEST_REQUEST = 2**17
"""Bytes of a request."""
LONGEST_TEXT = 10_000
"""Characters; more than any context that is looked at holds."""
MOST_MORE = 1024
"""Ids that may follow a text."""
MOST_OFF = 64
"""Heads that may be switched off at once."""
MOST_WRITTEN = 256
"""Tokens that may be written at once."""
LARGEST_ID = 10**6
"""An id, layer or head beyond is no mistake but nonsense."""


class Kind(ABC):
    """What values a field may have."""

    default: Any

    @abstractmethod
    def read(self, name: str, value: Any) -> Any:
        """Check a value, or raise a `Problem`."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema that says the same."""


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number; None where it may be left out and has no default."""

    low: int
    high: int
    default: int | None = None

    def read(self, name: str, value: Any) -> int:
        """See `Kind`."""
        if type(value) is float and value.is_integer():
            value = int(value)  # JSON knows one kind of number
        if type(value) is not int or not self.low <= value <= self.high:
            expected = f"a whole number from {self.low:,} to {self.high:,}"
            raise _wrong(name, expected, value, _nearest(self, value))
        return value

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Number(Kind):
    """A number."""

    low: float
    high: float
    default: float | None = None

    def read(self, name: str, value: Any) -> float:
        """See `Kind`."""
        if type(value) not in (int, float) or not self.low <= value <= self.high:
            expected = f"a number from {self.low:g} to {self.high:g}"
            raise _wrong(name, expected, value, _nearest(self, value))
        return float(value)

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class Text(Kind):
    """A text; None where it may be left out and has no default."""

    default: str | None = ""
    most: int = LONGEST_TEXT

    def read(self, name: str, value: Any) -> str:
        """See `Kind`."""
        if not isinstance(value, str):
            raise _wrong(name, "a text", value)
        if len(value) > self.most:
            message = f"{name} has {len(value):,} characters; at most {self.most:,} are read"
            raise Problem(413, message, field=name)
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise Problem(422, f"{name} has half a character in it (a lone surrogate)", field=name)
        return value

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"type": "string", "maxLength": self.most}


@dataclass(frozen=True)
class Choice(Kind):
    """One of some values."""

    among: tuple[Any, ...]
    default: Any

    def read(self, name: str, value: Any) -> Any:
        """See `Kind`."""
        for each in self.among:
            if each == value and not isinstance(value, bool):
                return each
        raise _wrong(name, " or ".join(map(str, self.among)), value, self.default)

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {"enum": list(self.among)}


@dataclass(frozen=True)
class Many(Kind):
    """A list of values of one kind, from `low` to `high` of them; as a tuple."""

    of: Any
    high: int
    low: int = 0
    default: tuple[Any, ...] = ()

    def read(self, name: str, value: Any) -> tuple[Any, ...]:
        """See `Kind`."""
        if not isinstance(value, list) or not self.low <= len(value) <= self.high:
            wanted = f"{self.low} to {self.high}" if self.low < self.high else f"{self.high}"
            raise _wrong(name, f"a list of {wanted}", value)
        return tuple(self.of.read(f"{name}[{i}]", each) for i, each in enumerate(value))

    def schema(self) -> dict[str, Any]:
        """See `Kind`."""
        return {
            "type": "array",
            "items": self.of.schema(),
            "minItems": self.low,
            "maxItems": self.high,
        }


def fields(n_models: int) -> dict[str, dict[str, Kind]]:
    """Return the fields of every request, by the last part of its address."""
    text: dict[str, Kind] = {
        "model": Whole(0, n_models - 1, 0),
        "text": Text(),
        "more": Many(Whole(0, LARGEST_ID), MOST_MORE),
        "off": Many(Many(Whole(0, LARGEST_ID), 2, 2), MOST_OFF),
    }
    sampling: dict[str, Kind] = {
        "temperature": Number(0, 10, 1.0),
        "top_k": Whole(1, LARGEST_ID),
        "top_p": Number(0.01, 1),
    }
    head: dict[str, Kind] = {"layer": Whole(0, LARGEST_ID, 0), "head": Whole(0, LARGEST_ID, 0)}
    position: dict[str, Kind] = {"position": Whole(0, LARGEST_ID)}
    return {
        "look": {**text, **head, **position, **sampling},
        "head": {**text, **head},
        "next": {**text, **position, **sampling},
        "write": {
            **text,
            **sampling,
            "n": Whole(1, MOST_WRITTEN, 64),
            "seed": Whole(0, 2**31 - 1),
        },
    }


def read(body: bytes, known: dict[str, Kind]) -> dict[str, Any]:
    """Read the fields `known` from a body of JSON; those that are not there have their default.

    Raises
    ------
    Problem
        400 if it is no JSON object, 422 if a field is unknown or has a wrong value.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise Problem(400, "the request is no JSON") from None
    if not isinstance(given, dict):
        raise Problem(422, f"the request must be a JSON object with any of {', '.join(known)}")
    for name in given:
        if name not in known:
            raise Problem(422, f"there is no field {name[:50]!a}; there are {', '.join(known)}")
    return {
        name: kind.read(name, given[name]) if name in given else kind.default
        for name, kind in known.items()
    }


def schema(known: dict[str, Kind]) -> dict[str, Any]:
    """Return the JSON Schema of a request."""
    properties = {}
    for name, kind in known.items():
        default = list(kind.default) if isinstance(kind.default, tuple) else kind.default
        properties[name] = kind.schema() | ({} if default is None else {"default": default})
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _nearest(kind: Whole | Number, value: Any) -> float | None:
    """Return the allowed number nearest to `value`; the default if it is no number."""
    if type(value) not in (int, float) or value != value:  # nan
        return kind.default
    nearest = min(max(kind.low, value), kind.high)
    return round(nearest) if isinstance(kind, Whole) else nearest


def _wrong(name: str, expected: str, value: Any, offer: Any = None) -> Problem:
    if value is None:
        return Problem(422, f"{name} must be {expected}, got nothing", field=name, offer=offer)
    if isinstance(value, float) and not math.isfinite(value):
        value = "no finite number"
    if isinstance(value, list | dict):  # the repr of one that is nested deeply may fail
        kind = "a list" if isinstance(value, list) else "an object"
        got = f"{kind} of {len(value)}"
    else:
        got = f"{value!a:.60}"
    return Problem(422, f"{name} must be {expected}, got {got}", field=name, offer=offer)
