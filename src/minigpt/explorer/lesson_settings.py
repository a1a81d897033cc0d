"""What can be chosen for a lesson, and how large it can be: it runs while others wait."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from minigpt.settings import Settings

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
    threads=1,  # the other cores are for those who watch
)
"""A model of 170,000 numbers that writes lines of a play after a minute."""

MOST = {
    "n_layers": 8,
    "n_heads": 16,
    "d_model": 256,
    "block_size": 256,
    "batch_size": 32,
    "vocab_size": 4096,
    "steps": 20_000,
    "warmup": 20_000,
}
"""The largest values of settings that can be chosen and cost time or memory."""
FREE = (
    *("tokenizer", "learning_rate", "final_learning_rate", "optimizer", "dropout", "seed"),
    *("activation", "bias", "tie_weights", "weight_decay", "clip", "prompt"),
)
"""Other settings that can be chosen. None of those that can be is a path."""
MOST_CHARACTERS = 2_000_000


def lesson_settings(changes: Mapping[str, Any]) -> Settings:
    """Give `LESSON` with some settings changed, within limits.

    Raises
    ------
    ValueError, TypeError
        If a setting cannot be chosen, or its value is out of range.
    """
    for name in changes:
        if name not in MOST and name not in FREE:
            known = ", ".join((*MOST, *FREE))
            raise ValueError(f"{name!r:.50} cannot be chosen in a lesson; these can: {known}")
    settings = LESSON.replace(changes)
    for name, most in MOST.items():
        value = getattr(settings, name)
        if value is not None and value > most:
            raise ValueError(f"{name} can be {most:,} at most in a lesson, got {value:,}")
    if settings.tokenizer not in ("bpe", "char", "word"):
        raise ValueError(f"tokenizer must be bpe, char or word, got {settings.tokenizer!r:.50}")
    return settings
