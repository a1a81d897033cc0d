"""Default settings that suit the size of a text.

A large model memorises a small text within a few hundred steps: it repeats the text, and fails on
anything else. So a small text gets a small vocabulary, a small model with dropout, and only as many
steps as improve it. `docs/performance.md` has the measurements.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from minigpt.training.settings import Settings

FITTED = (
    *("vocab_size", "n_layers", "d_model", "block_size", "dropout", "steps", "learning_rate"),
    *("final_learning_rate", "warmup", "eval_every", "patience", "sample_every"),
)
"""Settings that are fitted to the text, unless the user chooses them."""

MIN_TEXT_CHARACTERS = 20
"""Length of the shortest text: its last tenth, for validation, must have at least 2 tokens."""

SIZES: tuple[tuple[float, dict[str, Any]], ...] = (
    (2_500, {"n_layers": 1, "d_model": 64, "block_size": 32, "dropout": 0.3}),
    (9_000, {"n_layers": 2, "d_model": 64, "block_size": 64, "dropout": 0.2}),
    (30_000, {"n_layers": 2, "d_model": 96, "block_size": 64, "dropout": 0.2}),
    (60_000, {"n_layers": 3, "d_model": 128, "block_size": 64, "dropout": 0.2}),
    (250_000, {"n_layers": 3, "d_model": 128, "block_size": 64, "dropout": 0.1}),
    (float("inf"), {"n_layers": 4, "d_model": 128, "block_size": 128, "dropout": 0.1}),
)
"""(n, the model for a training text of fewer than n tokens)."""

MAX_EPOCHS = 40
"""How often each token is trained on, at most: more brings no improvement."""
MAX_FITTED_STEPS = 2000
LOW_RATE_D_MODEL = 256
"""From this d_model on, the learning rate of small models, 3e-3, is too high."""


def fit_vocabulary(text: str) -> int:
    """Return the vocabulary size that suits byte-pair encoding of a text.

    Each token must occur often enough to be learned: 500 tokens for 27 kB, 1,024 from 260 kB on.
    """
    n_bytes = len(text.encode())
    return 257 if n_bytes < 500 else min(1024, 256 + round(1.5 * n_bytes**0.5))


def fit(settings: Settings, free: Collection[str], n_tokens: int) -> Settings:
    """Return `settings`, with those named in `free` fitted to `n_tokens` of training text."""
    sizes = next(values for limit, values in SIZES if n_tokens < limit)
    d_model = max(1, sizes["d_model"] // settings.n_heads) * settings.n_heads
    s = _with(settings, free, {**sizes, "d_model": d_model})
    block_size = min(s.block_size, max(1, n_tokens // 4))  # windows must differ in their start
    s = _with(s, free, {"block_size": block_size})
    per_step = s.batch_size * s.accumulate * s.block_size
    steps = min(MAX_FITTED_STEPS, max(60, MAX_EPOCHS * n_tokens // per_step))
    s = _with(s, free, {"steps": steps})
    if s.optimizer == "adamw" and s.init_from is None and s.d_model < LOW_RATE_D_MODEL:
        s = _with(s, free, {"learning_rate": 3e-3})
    eval_every = max(1, s.steps // 20)
    return _with(
        s,
        free,
        {
            "final_learning_rate": s.learning_rate / 10,
            "warmup": min(100, s.steps // 10),
            "eval_every": eval_every,
            "sample_every": 4 * eval_every,
            "patience": 6,
        },
    )


def describe_fit(settings: Settings, free: Collection[str], n_tokens: int) -> str:
    """Return a message that lists the fitted settings as flags, and says why."""
    s = settings
    flags = " ".join(
        f"--{name.replace('_', '-')} {getattr(s, name):g}" for name in FITTED if name in free
    )
    readings = s.steps * s.batch_size * s.accumulate * s.block_size / n_tokens
    return (
        f"fitted to {n_tokens:,} tokens of text, read about {readings:.0f} times: {flags}\n"
        "  (on a small text, a larger model or more steps would only memorise it; to choose other "
        "values, give any of these flags)"
    )


def _with(settings: Settings, free: Collection[str], values: dict[str, Any]) -> Settings:
    return settings.replace({name: value for name, value in values.items() if name in free})
