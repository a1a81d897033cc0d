"""What mistakes in attention's backward pass cost in training: `python -m benchmarks.mistakes`.

The table "Typical mistakes" of lesson 7 of the course comes from here. Each known mistake is
planted in our solution, which takes the place of miniGPT's own layer. The task needs attention: 8
random symbols, then the same 8 again. Without attention the loss stays at ln 8 = 2.08. Of 16
targets 9 can be known, so the best possible loss is 7/16 ln 8 = 0.91.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minigpt.core.kernels import plain
from minigpt.core.model import miniGPT
from minigpt.core.optim import AdamW
from minigpt.course.joined import join
from minigpt.course.lesson_folder import lessons

N_SYMBOLS, N_STEPS, LEARNING_RATE = 8, 400, 3e-3
N_LAST = 20
"""The loss that is shown is the mean of this many last steps."""
SHOWN = (
    ("7.3", "no sum"),
    ("7.1", "A for Aᵀ"),
    ("7.4", "dS for dSᵀ"),
    ("7.6", "join without swap"),
    ("7.6", "only q"),
    ("7.4", "no root in dk"),
    ("7.6", "mean over tokens"),
)


def final_loss(edits: Mapping[str, str], seed: int) -> float:
    """Return the loss that a small GPT reaches with our solution of lesson 7, edited."""
    model = miniGPT(N_SYMBOLS, 16, 24, 2, 2, seed=seed, dtype="float64")
    join(model, "MyAttention", lessons()[7].module(edits).MyAttention)
    optimizer, rng, losses = AdamW(model), np.random.default_rng(seed), []
    with plain():
        for _ in range(N_STEPS):
            half = rng.integers(0, N_SYMBOLS, (16, 8))
            ids = np.concatenate([half, half, half[:, :1]], axis=1)
            losses.append(model.learn(ids[:, :-1], ids[:, 1:]))
            optimizer.step(LEARNING_RATE)
    return float(np.mean(losses[-N_LAST:]))


def main() -> None:
    """Print a line for each mistake: the loss reached with two seeds."""
    known = {
        (exercise.id, mistake.name): mistake.edits
        for exercise in lessons()[7].exercises.values()
        for mistake in exercise.mistakes
    }
    for key in (("", "none"), *SHOWN):
        found = [final_loss(known.get(key, {}), seed) for seed in (0, 1)]
        print(f"{key[0]:4} {key[1]:20}", *(f"{loss:.2f}" for loss in found), flush=True)


if __name__ == "__main__":
    main()
