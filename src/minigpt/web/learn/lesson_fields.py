"""The fields of each request about lessons."""

from __future__ import annotations

from typing import Any

from minigpt.web.learn.lesson_settings import LESSON, LESSON_CHOICES, MAX_LESSON_TEXT, RANGES
from minigpt.web.request_fields import Choice, Field, Number, Text, Whole

MAX_RUN_STEP = 10**9
"""Upper limit of a step number in a run that another process trains."""


def _field(name: str) -> Field:
    default = getattr(LESSON, name)
    if name in LESSON_CHOICES:
        return Choice(LESSON_CHOICES[name], default)
    low, high = RANGES[name]
    if isinstance(low, int) and isinstance(default, int):
        return Whole(low, int(high), default)
    return Number(low, high, default)


BEGIN: dict[str, Field] = {
    **{name: _field(name) for name in (*RANGES, *LESSON_CHOICES)},
    "text": Text(None, MAX_LESSON_TEXT),
}
"""What can be chosen for a lesson. Every value of a field works with every value of the others."""
_STEPS = Whole(1, int(RANGES["steps"][1]), 1)
ACTS: dict[str, dict[str, Field]] = {
    "run": {},
    "pause": {},
    "step": {"n": _STEPS},
    "back": {"n": _STEPS},
    "go_to": {"step": Whole(0, MAX_RUN_STEP, 0)},
}
"""The commands of a lesson, and their fields. A run that another process trains has only go_to."""


def chosen(given: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return the settings and the text of a lesson, from the fields of a request."""
    text = given.pop("text")
    if given["tokenizer"] != "bpe":
        given["vocab_size"] = None
    given["final_learning_rate"] = given["learning_rate"] / 10
    return given, text
