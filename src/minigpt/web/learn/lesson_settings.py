"""The settings of a lesson and their limits: a lesson runs while others wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minigpt.training.settings import Settings

if TYPE_CHECKING:
    from minigpt.text.data import Corpus, Dataset

LESSON = Settings(
    n_layers=2,
    d_model=64,
    block_size=64,
    vocab_size=512,
    batch_size=8,
    steps=2000,
    warmup=50,
    learning_rate=3e-3,
    final_learning_rate=3e-4,
    eval_every=50,
    eval_tokens=4096,
    sample_every=50,
    sample_tokens=60,
    prompt="\n\n",
    threads=1,  # the other cores are for the page
)
"""A model of 170,000 parameters, which writes lines of a play after a minute."""

RANGES: dict[str, tuple[float, float]] = {
    "n_layers": (1, 4),
    "block_size": (8, 128),
    "batch_size": (1, 16),
    "vocab_size": (258, 4096),
    "steps": (1, 10_000),
    "learning_rate": (1e-5, 1),
    "dropout": (0, 0.9),
    "seed": (0, 2**31 - 1),
}
"""The lowest and the highest value of each number that can be chosen on the page."""
LESSON_CHOICES: dict[str, tuple[Any, ...]] = {
    "n_heads": (1, 2, 4, 8),
    "d_model": (16, 32, 64, 128),
    "optimizer": ("adamw", "sgd"),
    "tokenizer": ("bpe", "char", "word"),
}
"""The values of each setting that has only a few. They all work with all values of the others."""
ONLY_IN_PYTHON = (
    *("final_learning_rate", "warmup", "activation", "bias", "tie_weights", "weight_decay"),
    *("clip", "prompt"),
)
"""Settings that can be changed in Python, but not on the page. None of them is a path."""
MAX_LESSON_TEXT = 2_000_000
"""Characters of a text to learn from."""


class Unfit(ValueError):
    """A text that does not work with a setting, or from which no model can learn.

    Parameters
    ----------
    message : what was given and expected, and what to do.
    field : the setting to change, or "text".
    offer : a value of this setting that works; None if there is none.
    """

    def __init__(self, message: str, field: str, offer: int | str | None = None) -> None:
        super().__init__(message)
        self.field, self.offer = field, offer


def lesson_settings(changes: Mapping[str, Any]) -> Settings:
    """Return `LESSON` with some settings changed, within the limits of a lesson.

    Raises
    ------
    ValueError, TypeError
        If a setting cannot be chosen, or its value is out of range.
    """
    known = (*RANGES, *LESSON_CHOICES, *ONLY_IN_PYTHON)
    for name in changes:
        if name not in known:
            can = ", ".join(known)
            raise ValueError(f"{name!r:.50} cannot be chosen in a lesson; these can: {can}")
    settings = LESSON.replace(changes)
    for name, among in LESSON_CHOICES.items():
        if getattr(settings, name) not in among:
            expected = " or ".join([", ".join(map(str, among[:-1])), str(among[-1])])
            raise ValueError(
                f"{name} must be {expected} in a lesson, got {getattr(settings, name)!r:.50}"
            )
    for name, (low, high) in RANGES.items():
        value = getattr(settings, name)
        if value is None and name == "vocab_size":  # the text decides
            continue
        if not low <= value <= high:
            raise ValueError(f"{name} must be from {low:g} to {high:g} in a lesson, got {value:g}")
    return settings


def check_text(settings: Settings, corpus: Corpus, dataset: Dataset, vocab_size: int) -> None:
    """Raise an error unless a lesson with these settings can learn from a text.

    Parameters
    ----------
    settings : the settings of the lesson.
    corpus, dataset : the text and its tokens.
    vocab_size : number of tokens in the vocabulary.

    Raises
    ------
    Unfit
        If it cannot; the message says what to change.
    """
    least, most = RANGES["block_size"][0], RANGES["vocab_size"][1]
    n_tokens, n_val = len(dataset.train), len(dataset.val)
    if vocab_size > most:
        raise Unfit(
            f"a vocabulary has at most {most:,} tokens in a lesson, and the tokenizer "
            f"{settings.tokenizer} finds {vocab_size:,} in this text: use the tokenizer bpe",
            "tokenizer",
            "bpe",
        )
    if n_val < 2 or n_tokens <= least:
        if settings.tokenizer != "char" and len(corpus.val) >= 2 and len(corpus.train) > least:
            raise Unfit(
                f"the tokenizer {settings.tokenizer} leaves {n_tokens} + {n_val} tokens of this "
                f"text, and {least + 1} + 2 are needed: use the tokenizer char, or a longer text",
                "tokenizer",
                "char",
            )
        raise Unfit(
            f"the text is too short: it has {n_tokens} + {n_val} tokens for training and "
            f"evaluation, and {least + 1} + 2 are needed",
            "text",
        )
    if n_tokens <= settings.block_size:
        raise Unfit(
            f"the text is too short for a context of {settings.block_size} tokens: it has "
            f"{n_tokens} for training. Use a context (block_size) of {n_tokens - 1} or fewer, or a "
            "longer text",
            "block_size",
            n_tokens - 1,
        )
