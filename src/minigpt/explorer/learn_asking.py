"""What may be asked of lessons: the fields of each request."""

from __future__ import annotations

from typing import Any

from minigpt.explorer.asking import Choice, Kind, Number, Text, Whole
from minigpt.explorer.lesson_settings import LESSON, MOST_CHARACTERS

MOST_STEPS = 10_000
LARGEST_STEP = 10**9
"""Of a run that is followed."""

BEGIN: dict[str, Kind] = {
    "n_layers": Whole(1, 4, LESSON.n_layers),
    "n_heads": Choice((1, 2, 4, 8), LESSON.n_heads),
    "d_model": Choice((16, 32, 64, 128), LESSON.d_model),
    "block_size": Whole(8, 128, LESSON.block_size),
    "batch_size": Whole(1, 16, LESSON.batch_size),
    "steps": Whole(1, MOST_STEPS, LESSON.steps),
    "learning_rate": Number(1e-5, 1, LESSON.learning_rate),
    "optimizer": Choice(("adamw", "sgd"), LESSON.optimizer),
    "dropout": Number(0, 0.9, LESSON.dropout),
    "tokenizer": Choice(("bpe", "char", "word"), LESSON.tokenizer),
    "vocab_size": Whole(258, 1400, LESSON.vocab_size),
    "seed": Whole(0, 2**31 - 1, LESSON.seed),
    "text": Text(None, MOST_CHARACTERS),
}
"""What can be chosen for a lesson: every choice goes with every other."""
ACTS: dict[str, dict[str, Kind]] = {
    "run": {},
    "pause": {},
    "step": {"n": Whole(1, MOST_STEPS, 1)},
    "back": {"n": Whole(1, MOST_STEPS, 1)},
    "go_to": {"step": Whole(0, LARGEST_STEP, 0)},
}
"""What a lesson can be told, and the fields of it. A run that is followed knows only go_to."""


def chosen(given: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Give the settings of a lesson that differ from `LESSON`, and its text, from what was read."""
    text = given.pop("text")
    if given["tokenizer"] != "bpe":
        given["vocab_size"] = None
    given["final_learning_rate"] = given["learning_rate"] / 10
    return given, text
