"""How far a run is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from minigpt.support.brief import brief
from minigpt.support.untrusted_files import open_to_read
from minigpt.training.loop import Step
from minigpt.training.settings import Settings

METRICS, LAYERS, SAMPLES = "metrics.jsonl", "layers.jsonl", "samples.txt"

WARN_AFTER = 5
"""Number of evaluations without improvement after which a run warns."""


@dataclass
class Progress:
    """How far a run is: the content of training.json besides its settings.

    Attributes
    ----------
    step : number of steps done so far.
    best : {"step": …, "val_loss": …} of the lowest validation loss so far.
    worse : number of evaluations since the best one.
    usual_loss : running mean of the loss, see `minigpt.runs.divergence`.
    setbacks : each return to a checkpoint after divergence: at which step, to which, and why.
    lengths : bytes of metrics.jsonl, layers.jsonl and samples.txt that belong to these steps.
    """

    step: int = 0
    best: dict[str, Any] | None = None
    worse: int = 0
    usual_loss: float | None = None
    setbacks: list[dict[str, Any]] = field(default_factory=list)
    lengths: dict[str, int] = field(default_factory=dict)

    __repr__ = brief

    def note(self, step: Step) -> None:
        """Record a step, and whether its evaluation is the best so far."""
        self.step = step.number
        if step.val_loss is None:
            return
        if self.best is None or step.val_loss < self.best["val_loss"]:
            self.best, self.worse = {"step": step.number, "val_loss": step.val_loss}, 0
        else:
            self.worse += 1

    def warning(self, settings: Settings) -> str | None:
        """Return a warning once, when validation has not improved for `WARN_AFTER` evaluations."""
        if self.best is None or self.worse != WARN_AFTER or self.step >= settings.steps:
            return None
        return (
            f"validation has not improved for {WARN_AFTER} evaluations, "
            f"since step {self.best['step']}: "
            "the model now improves on the training text only"
        )

    def stopped_early(self, settings: Settings) -> bool:
        """Return whether patience ran out before the last step."""
        return 0 < settings.patience <= self.worse and self.step < settings.steps


def has_stopped_early(record: dict[str, Any], settings: Settings, step: int) -> bool:
    """Return whether a run at `step` stopped early; `record` is its newest training.json."""
    worse = record.get("worse")
    return (
        type(worse) is int
        and Progress(step, worse=worse).stopped_early(settings)
        and (step == record["step"])
    )


def progress_of(record: dict[str, Any], folder: Path) -> Progress:
    """Return the progress that `record`, the training.json of the run in `folder`, describes."""
    known = {name: record[name] for name in asdict(Progress()) if name in record}
    if "lengths" not in known:  # version 0.1: one line of metrics for each step
        contents = {}
        for name in (METRICS, SAMPLES):
            with suppress(FileNotFoundError), open_to_read(folder / name) as log:
                contents[name] = log.readlines()
        if METRICS in contents:
            del contents[METRICS][record["step"] :]
        known["lengths"] = {name: sum(map(len, lines)) for name, lines in contents.items()}
    progress = Progress(**known)
    best, lengths = progress.best, progress.lengths
    if not (
        isinstance(lengths, dict)
        and all(type(n) is int and n >= 0 for n in lengths.values())
        and isinstance(progress.setbacks, list)
        and all(isinstance(x, dict) and type(x.get("back_to")) is int for x in progress.setbacks)
        and isinstance(progress.usual_loss, float | int | None)
        and (best is None or (isinstance(best, dict) and type(best.get("step")) is int))
        and (best is None or isinstance(best.get("val_loss"), float | int))
    ):
        raise ValueError(f"the training.json of {folder} does not say how far the run is")
    return progress
