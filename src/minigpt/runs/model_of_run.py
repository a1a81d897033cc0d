"""The model of a run to open: the one with the lowest validation loss, or a chosen one."""

from __future__ import annotations

from pathlib import Path

from minigpt.runs.checkpoints import RECORD, path_of, read_record, read_run, steps_of
from minigpt.support.hub import find_model


def find_checkpoint(name: str | Path, which: str = "best") -> tuple[Path, str | None]:
    """Return the folder of a model, or of one checkpoint of a run.

    Parameters
    ----------
    name : a folder, or a name that `minigpt.support.hub.find_model` knows.
    which : the checkpoint: "best" (lowest validation loss), "last", or the number of its step.

    Returns
    -------
    The folder; and a note with its step, or None if it is the last one.

    Raises
    ------
    ValueError
        If there is no such checkpoint; the message lists the existing ones.
    """
    folder = find_model(name)
    steps = steps_of(folder) if (folder / RECORD).is_file() else []
    if not steps:
        if which not in ("best", "last"):
            raise ValueError(f"{name} keeps no checkpoints: leave out --checkpoint")
        return folder, None
    if which == "best":
        try:
            step = _best(folder)
        except (OSError, ValueError, TypeError, KeyError):
            return folder, None  # training.json is damaged, but the model may be intact
    elif which == "last":
        step = steps[0]
    elif which.isdecimal() and int(which) in steps:
        step = int(which)
    else:
        there = ", ".join(map(str, reversed(steps)))
        raise ValueError(f"--checkpoint must be best, last or one of {there}, got {which!r:.100}")
    opened = path_of(folder, step)
    if not opened.is_dir() or (which == "best" and read_record(folder)["step"] == step):
        opened = folder
    if step == steps[0]:
        return opened, None
    if which == "best":
        why = f"the best by validation; --checkpoint last for the last, step {steps[0]}"
    else:
        why = f"not the last, step {steps[0]}"
    return opened, f"{name}: step {step}, {why}"


def _best(folder: Path) -> int:
    """Return the step of the best checkpoint, or of the run folder if that is gone."""
    best = read_run(folder)["best"]
    if best is not None and path_of(folder, int(best["step"])).is_dir():
        return int(best["step"])
    return int(read_record(folder)["step"])
