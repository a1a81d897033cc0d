"""What may be asked of lessons: the fields of each request."""

from __future__ import annotations

from typing import Any

from minigpt.web.asking import Choice, Kind, Number, Text, Whole
from minigpt.web.learn.lesson_settings import LESSON, LESSON_CHOICES, MOST_CHARACTERS, RANGES

LARGEST_STEP = 10**9
"""Of a run that is followed."""


def _kind(name: str) -> Kind:
    default = getattr(LESSON, name)
    if name in LESSON_CHOICES:
        return Choice(LESSON_CHOICES[name], default)
    low, high = RANGES[name]
    if isinstance(low, int) and isinstance(default, int):
        return Whole(low, int(high), default)
    return Number(low, high, default)


BEGIN: dict[str, Kind] = {
    **{name: _kind(name) for name in (*RANGES, *LESSON_CHOICES)},
    "text": Text(None, MOST_CHARACTERS),
}
"""What can be chosen for a lesson: every choice goes with every other."""
_STEPS = Whole(1, int(RANGES["steps"][1]), 1)
ACTS: dict[str, dict[str, Kind]] = {
    "run": {},
    "pause": {},
    "step": {"n": _STEPS},
    "back": {"n": _STEPS},
    "go_to": {"step": Whole(0, LARGEST_STEP, 0)},
}
"""What a lesson can be told, and the fields of it. A run that is followed knows only go_to."""


def chosen(given: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return the settings of a lesson that differ from `LESSON`, and its text, from a request."""
    text = given.pop("text")
    if given["tokenizer"] != "bpe":
        given["vocab_size"] = None
    given["final_learning_rate"] = given["learning_rate"] / 10
    return given, text
