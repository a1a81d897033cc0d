"""A small model and a small run, for every test that does not depend on their exact sizes."""

from pathlib import Path

import numpy as np

from minigpt import Settings, miniGPT
from minigpt.runs import Run

TEXT = "my dear goose, take this lantern. my dear fox, where is my lantern?\n" * 20


def tiny_model(vocab_size: int = 11, *, noise: float = 0.0, **options) -> miniGPT:
    """Return a model of two blocks, 12 features and 8 positions; `options` are miniGPT's.

    An untrained model predicts nearly the same for every input, so an error could go unseen.
    Normal `noise` of this standard deviation is added to each parameter to prevent that.
    """
    sizes = {"max_len": 8, "d_model": 12, "n_heads": 3, "n_layers": 2}
    model = miniGPT(vocab_size, **{**sizes, "seed": 0, **options})
    if noise:
        model.flat.params[...] += np.random.default_rng(1).normal(0, noise, model.flat.params.size)
    return model


def tiny_settings(folder: Path, text: str = TEXT, **changes) -> Settings:
    """Write `text` to text.txt in `folder`; return settings that train on it within a second."""
    (folder / "text.txt").write_text(text, encoding="utf-8")
    settings = Settings(
        data=(str(folder / "text.txt"),), tokenizer="char", n_layers=1, n_heads=2, d_model=16,
        block_size=8, steps=12, batch_size=2, warmup=3, eval_every=4, eval_tokens=32,
        sample_every=4, sample_tokens=4, threads=1,
    )  # fmt: skip
    return settings.replace(changes)


def tiny_run(folder: Path, text: str = TEXT, **changes) -> Run:
    """Return a finished run in `folder`/run that learned `text`; `changes` are settings."""
    run = Run.new(tiny_settings(folder, text, **changes), folder / "run")
    for _ in run.steps():
        pass
    return run
