"""Settings that suit the size of a text, for those that nobody has chosen.

A large model learns a small text by heart within a few hundred steps: it says what stands there,
and is at a loss with anything else. So a small text gets a small vocabulary, a small model that
drops a part of its numbers while it learns, and no more steps than it can gain from.
`docs/performance.md` has what was measured.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from minigpt.training.settings import Settings

FITTED = (
    *("vocab_size", "n_layers", "d_model", "block_size", "dropout", "steps", "learning_rate"),
    *("final_learning_rate", "warmup", "eval_every", "patience", "sample_every"),
)
"""The settings that are fitted."""

MIN_TEXT_CHARACTERS = 20
"""Of a text: its last tenth is for validation, and a token there is predicted from another."""

SIZES: tuple[tuple[float, dict[str, Any]], ...] = (
    (2_500, {"n_layers": 1, "d_model": 64, "block_size": 32, "dropout": 0.3}),
    (9_000, {"n_layers": 2, "d_model": 64, "block_size": 64, "dropout": 0.2}),
    (30_000, {"n_layers": 2, "d_model": 96, "block_size": 64, "dropout": 0.2}),
    (60_000, {"n_layers": 3, "d_model": 128, "block_size": 64, "dropout": 0.2}),
    (250_000, {"n_layers": 3, "d_model": 128, "block_size": 64, "dropout": 0.1}),
    (float("inf"), {"n_layers": 4, "d_model": 128, "block_size": 128, "dropout": 0.1}),
)
"""Up to how many tokens of training text, which model."""

MAX_EPOCHS = 40
"""How often each token is trained on, at most: after that, nothing is gained."""
MAX_FITTED_STEPS = 2000
LOW_RATE_D_MODEL = 256
"""From this d_model on, the learning rate of small models is too high."""


def fit_vocabulary(text: str) -> int:
    """Return how many tokens byte-pair encoding should learn from a text.

    Each must occur often enough to be learned: there are 500 for 27 kB, 1,024 for 260 kB and more.
    """
    n_bytes = len(text.encode())
    return 257 if n_bytes < 500 else min(1024, 256 + round(1.5 * n_bytes**0.5))


def fit(settings: Settings, free: Collection[str], n_tokens: int) -> Settings:
    """Return `settings` with those named in `free` fitted to so many tokens of training text."""
    chosen = next(values for most, values in SIZES if n_tokens < most)
    d_model = max(1, chosen["d_model"] // settings.n_heads) * settings.n_heads
    s = _with(settings, free, {**chosen, "d_model": d_model})
    longest = min(s.block_size, max(1, n_tokens // 4))  # windows must begin at different places
    s = _with(s, free, {"block_size": longest})
    per_step = s.batch_size * s.accumulate * s.block_size
    steps = min(MAX_FITTED_STEPS, max(60, MAX_EPOCHS * n_tokens // per_step))
    s = _with(s, free, {"steps": steps})
    if s.optimizer == "adamw" and s.init_from is None and s.d_model < LOW_RATE_D_MODEL:
        s = _with(s, free, {"learning_rate": 3e-3})
    between = max(1, s.steps // 20)
    return _with(
        s,
        free,
        {
            "final_learning_rate": s.learning_rate / 10,
            "warmup": min(100, s.steps // 10),
            "eval_every": between,
            "sample_every": 4 * between,
            "patience": 6,
        },
    )


def describe_fit(settings: Settings, free: Collection[str], n_tokens: int) -> str:
    """Say what was fitted, as flags, and why."""
    s = settings
    flags = " ".join(
        f"--{name.replace('_', '-')} {getattr(s, name):g}" for name in FITTED if name in free
    )
    readings = s.steps * s.batch_size * s.accumulate * s.block_size / n_tokens
    return (
        f"fitted to {n_tokens:,} tokens of text, read about {readings:.0f} times: {flags}\n"
        "  (of a small text, a larger model or more steps learn the wording and no more; to choose "
        "otherwise, give any of these flags)"
    )


def _with(settings: Settings, free: Collection[str], values: dict[str, Any]) -> Settings:
    return settings.replace({name: value for name, value in values.items() if name in free})
