"""What a resumed run continues from: its newest intact checkpoint, and the text it learns from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minigpt.core.model import miniGPT
from minigpt.fast.machines import World
from minigpt.runs import checkpoints
from minigpt.runs.own_text import find_run_text
from minigpt.runs.progress import Progress, progress_of
from minigpt.runs.starting import open_checkpoint
from minigpt.support.brief import brief
from minigpt.text.data import Dataset
from minigpt.text.tokenizers import Tokenizer
from minigpt.training.optimizers import Optimizer
from minigpt.training.settings import MODEL_SETTINGS, Settings

FIXED_SETTINGS = (
    *MODEL_SETTINGS,
    *("init_from", "freeze", "block_size", "dropout", "optimizer", "seed", "allow_special"),
)
"""Settings that never change in a run. The others may change when it is resumed.

`data` may name the same text at another place.
"""


@dataclass(frozen=True, eq=False)
class Resumed:
    """A run as it was at a checkpoint.

    Attributes
    ----------
    origin : folder of the checkpoint; the run folder itself if it has none.
    settings : the settings from now on.
    progress : how far the run is.
    model, tokenizer, optimizer : as the checkpoint holds them.
    base : the folder to which the names in `settings.data` are relative.
    dataset : the text of the run, as tokens.
    """

    origin: Path
    settings: Settings
    progress: Progress
    model: miniGPT
    tokenizer: Tokenizer
    optimizer: Optimizer
    base: Path
    dataset: Dataset

    __repr__ = brief


def open_resumed(
    folder: Path,
    changes: dict[str, Any],
    say: Callable[[str], None],
    unfinished: bool,
    world: World,
) -> Resumed:
    """Open a run at its newest intact checkpoint; nothing in its folder changes.

    See `minigpt.runs.run.Run.resume` for the parameters.
    """
    origin = checkpoints.newest_intact(folder, say)
    record = checkpoints.read_record(origin)
    settings = Settings().replace(record["settings"])
    for name in FIXED_SETTINGS:
        if name in changes and changes[name] != getattr(settings, name):
            raise ValueError(f"{name} cannot change when a run is resumed; start a new run")
    progress = progress_of(record, folder)
    if progress.stopped_early(settings) and changes.keys() & {"steps", "patience"}:
        progress.worse = 0  # the user asks for more training, so patience begins anew
    settings = settings.replace(changes)
    model, tokenizer, optimizer = open_checkpoint(origin, settings)
    world.check_batch(settings.batch_size)
    if unfinished:
        _check_unfinished(folder, progress, settings)
    _, base, dataset = find_run_text(folder, record, tokenizer, changes)
    return Resumed(origin, settings, progress, model, tokenizer, optimizer, base, dataset)


def _check_unfinished(folder: Path, progress: Progress, settings: Settings) -> None:
    if progress.step >= settings.steps:
        raise ValueError(f"{folder} has done all its {progress.step} steps: add --steps N")
    if progress.stopped_early(settings):
        raise ValueError(
            f"{folder} stopped early, after step {progress.step}, as {progress.worse} evaluations "
            "in a row brought no improvement. To continue all the same, give it more patience: "
            "--patience N, or 0 for no limit"
        )
