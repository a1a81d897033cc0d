"""A model at several stages of its training: the checkpoints of its run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minigpt.folders.pretrained import load_model_and_tokenizer
from minigpt.runs.checkpoints import path_of, require_run, steps_of
from minigpt.support.brief import brief

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.text.tokenizers import Tokenizer


@dataclass(frozen=True, eq=False)
class Stage:
    """A model at one stage of its training.

    Attributes
    ----------
    step : number of steps done.
    model : the model after this step.
    tokenizer : the same at all stages.
    """

    step: int
    model: miniGPT
    tokenizer: Tokenizer

    __repr__ = brief


def stages(folder: Path) -> Iterator[Stage]:
    """Open the checkpoints of a run one after another, the oldest first.

    By default a run keeps only few: use `minigpt train --keep 20`. A checkpoint that a training
    run removes in the meantime is left out.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder is not a run, or a checkpoint in it is damaged.
    """
    require_run(folder)
    for step in reversed(steps_of(folder)):
        path = path_of(folder, step)
        try:
            model, tokenizer = load_model_and_tokenizer(path)
        except (FileNotFoundError, ValueError):
            if not path.exists():
                continue
            raise
        yield Stage(step, model, tokenizer)
