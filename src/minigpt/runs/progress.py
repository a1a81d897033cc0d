"""How far a run is, by its numbers and logs."""

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
"""Evaluations without a new best after which a run says so."""


@dataclass
class Progress:
    """How far a run is: what training.json tells beside its settings.

    Attributes
    ----------
    step : how many steps are done.
    best : {"step": …, "val_loss": …} of the lowest loss on the validation sample so far.
    worse : how many evaluations there have been since that one.
    usual_loss : running mean of the loss, see `minigpt.runs.divergence`.
    setbacks : how often training diverged and went back: at which step, to which, and why.
    lengths : how many bytes of metrics.jsonl, layers.jsonl and samples.txt belong to these steps.
    """

    step: int = 0
    best: dict[str, Any] | None = None
    worse: int = 0
    usual_loss: float | None = None
    setbacks: list[dict[str, Any]] = field(default_factory=list)
    lengths: dict[str, int] = field(default_factory=dict)

    __repr__ = brief

    def note(self, step: Step) -> None:
        """Remember a step, and whether its evaluation is the best so far."""
        self.step = step.number
        if step.val_loss is None:
            return
        if self.best is None or step.val_loss < self.best["val_loss"]:
            self.best, self.worse = {"step": step.number, "val_loss": step.val_loss}, 0
        else:
            self.worse += 1

    def warning(self, settings: Settings) -> str | None:
        """Return a sentence at the moment when validation has not improved for long."""
        if self.best is None or self.worse != WARN_AFTER or self.step >= settings.steps:
            return None
        return (
            f"validation has not improved for {WARN_AFTER} evaluations, "
            f"since step {self.best['step']}: "
            "what is learned now helps with the training text only"
        )

    def stopped_early(self, settings: Settings) -> bool:
        """Return whether the patience of `settings` has come to its end before the last step."""
        return 0 < settings.patience <= self.worse and self.step < settings.steps


def has_stopped_early(record: dict[str, Any], settings: Settings, step: int) -> bool:
    """Return whether a run whose newest training.json is `record`, now at `step`, stopped early."""
    worse = record.get("worse")
    return (
        type(worse) is int
        and Progress(step, worse=worse).stopped_early(settings)
        and (step == record["step"])
    )


def progress_of(record: dict[str, Any], folder: Path) -> Progress:
    """Read it from what training.json holds; `folder` is that of the run."""
    known = {name: record[name] for name in asdict(Progress()) if name in record}
    if "lengths" not in known:  # a run of version 0.1: one line of metrics a step
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
