"""The record of a run, read from its folder without opening the model: see `History`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.runs.checkpoints import RECORD, read_run
from minigpt.runs.metrics import Metrics, MetricsFile
from minigpt.runs.progress import METRICS, has_stopped_early
from minigpt.support.brief import brief
from minigpt.support.displayed import as_html
from minigpt.support.untrusted_files import reason_missing
from minigpt.training.settings import Settings


@dataclass(frozen=True, eq=False)
class History:
    """The settings of a run, how far it is, and the numbers of its steps.

    Attributes
    ----------
    folder : the run folder.
    settings : the settings of the run.
    floor : lowest possible loss in bits per character, or None if unknown.
    metrics : the numbers of each step done.
    saved : the step of the newest checkpoint; metrics may have later steps.
    changed : when the run last wrote something, in local time.
    stopped_early : whether it stopped before its last step because its patience ran out.
    """

    folder: Path
    settings: Settings
    floor: float | None
    metrics: Metrics
    saved: int
    changed: datetime
    stopped_early: bool = False

    __repr__ = brief
    _repr_html_ = as_html

    @classmethod
    def read(cls, folder: Path) -> History:
        """Read the history of a run, which may still be training.

        Raises
        ------
        FileNotFoundError, ValueError
            If it is not a run folder, or a file in it is damaged.
        """
        record, path = read_run(folder), folder / RECORD
        settings, step = Settings().replace(record["settings"]), record["step"]
        try:
            floor = _positive(record.get("floor_bits_per_character"))
        except ValueError as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        metrics = MetricsFile(folder / METRICS)
        times = [file.stat().st_mtime for file in (path, metrics.path) if file.exists()]
        changed = datetime.fromtimestamp(max(times))
        history = cls(folder, settings, floor, metrics.read(), step, changed)
        early = has_stopped_early(record, settings, history.step)
        return dataclasses.replace(history, stopped_early=early)

    @property
    def step(self) -> int:
        """Number of steps done so far."""
        return int(self.metrics.number[-1]) if self.metrics.number.size else self.saved

    def to_dict(self) -> dict[str, Any]:
        """Return the main facts by name, as JSON values; None if unknown.

        The training loss is the mean around the step with the lowest validation loss.
        """
        metrics, best = self.metrics, self.metrics.best
        training = metrics.smooth_loss
        speed = metrics.tokens_per_second[np.isfinite(metrics.tokens_per_second)]
        return {
            "folder": str(self.folder),
            "step": self.step,
            "steps": self.settings.steps,
            "stopped_early": self.stopped_early,
            "best_step": None if best is None else int(metrics.number[best]),
            "training_loss": None if best is None else _known(training[best]),
            "training_bits": None if best is None else _known(metrics.in_bits(training)[best]),
            "best_val_loss": None if best is None else _known(metrics.val_loss[best]),
            "best_val_bits": None if best is None else _known(metrics.val_bits[best]),
            "spelling_bits": metrics.spelling or None,
            "floor_bits_per_character": self.floor,
            "tokens_per_second": float(np.median(speed)) if speed.size else None,
            "changed": self.changed.astimezone().isoformat(timespec="seconds"),
            "settings": self.settings.to_dict(),
        }


def find_runs(folders: Iterable[Path]) -> list[Path]:
    """Return the run folders among and inside `folders`, damaged ones too."""
    found = []
    for folder in folders:
        if _is_run(folder):
            found.append(folder)
        elif not folder.is_dir():
            raise FileNotFoundError(
                f"{folder} is not a folder of runs: {reason_missing(folder, 'runs')}"
            )
        else:
            found += sorted(filter(_is_run, folder.iterdir()))
    return list(dict.fromkeys(found))


def _is_run(folder: Path) -> bool:
    try:
        return any((folder / name).exists() for name in (RECORD, METRICS))
    except PermissionError:  # the list of runs reports the error
        return True


def short_names(histories: Sequence[History]) -> list[str]:
    """Return the folder name of each run; the whole paths if two names are equal."""
    names = [history.folder.resolve().name for history in histories]
    if len(set(names)) < len(names):
        return [str(history.folder) for history in histories]
    return names


def _positive(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ValueError(f"floor_bits_per_character must be a positive number, got {value!r:.40}")
    return float(value)


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
