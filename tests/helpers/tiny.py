"""A small model and a small run, for every test that does not depend on their exact sizes."""

from pathlib import Path

import numpy as np

from minigpt import Settings, miniGPT
from minigpt.runs import Run

TEXT = "my dear goose, take this lantern. my dear fox, where is my lantern?\n" * 20
TINY = {
    **{"n_layers": 1, "n_heads": 2, "d_model": 16, "block_size": 8, "batch_size": 2, "steps": 12},
    **{"warmup": 3, "eval_every": 4, "eval_tokens": 32, "sample_every": 4, "sample_tokens": 4},
    **{"threads": 1},
}
"""Settings of a run that takes less than a second, without its data and tokenizer."""


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
    data = (str(folder / "text.txt"),)
    return Settings().replace({**TINY, "tokenizer": "char", "data": data, **changes})


def tiny_run(folder: Path, text: str = TEXT, **changes) -> Run:
    """Return a finished run in `folder`/run that learned `text`; `changes` are settings."""
    run = Run.new(tiny_settings(folder, text, **changes), folder / "run")
    for _ in run.steps():
        pass
    return run
