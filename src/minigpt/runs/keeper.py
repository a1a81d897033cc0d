"""Writing into a run folder: one process at a time, complete checkpoints, logs that match them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from io import BufferedRandom
from pathlib import Path
from typing import Any

from minigpt.runs import checkpoints
from minigpt.runs.progress import LAYERS, METRICS, SAMPLES, Progress
from minigpt.support.files import flush, remove, remove_leftovers, replacing_folder
from minigpt.support.lock import FolderLock
from minigpt.support.terminal import error_message
from minigpt.support.untrusted_files import append_text, open_to_change
from minigpt.support.wording import for_shell
from minigpt.training.loop import Step


class RunNotWritten(OSError):
    """A run cannot be written, for example on a full disk; its last checkpoint is unharmed."""


class Keeper:
    """Saves a run in its folder.

    Attributes
    ----------
    progress : how far the run is.
    saved : the step of the newest intact checkpoint; -1 if there is none.
    newest : the step of the newest checkpoint of any kind that this process knows of.
    is_unused : whether this process made the folder and has not completed a step yet.
    """

    is_unused = False

    def __init__(self, folder: Path, lock: FolderLock | None = None) -> None:
        self.folder = folder
        self.progress = Progress()
        self.saved = self.newest = -1
        self._lock = lock or FolderLock(folder)

    def continue_from(self, progress: Progress, from_checkpoint: bool) -> None:
        """Continue from the progress of a checkpoint, or of the run folder itself."""
        self.progress = progress
        self.saved = progress.step if from_checkpoint else -1

    def mark_new(self, was_there: bool) -> None:
        """Mark the folder as unused; `was_there` says whether it existed before, empty."""
        self.is_unused, self._was_there = True, was_there

    def remove_if_unused(self) -> None:
        """Remove the folder if no step was done in it.

        The user can then solve the problem and give the same command again.
        """
        if self.is_unused:
            self.is_unused = False
            with suppress(OSError):  # Windows does not remove an open file: the lock
                for path in self.folder.iterdir():
                    remove(path)
                if not self._was_there:
                    self.folder.rmdir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out of the folder within a `with` block.

        Raises
        ------
        RunNotWritten
            In place of any OSError in the block; the message says how to continue.
        RuntimeError
            If another process trains in this folder, or has done so in the meantime.
        """
        with self._lock:
            if max(checkpoints.steps_of(self.folder), default=-1) > self.newest:
                raise RuntimeError(
                    f"another process has continued {self.folder} in the meantime: resume it again"
                )
            try:
                yield
            except RunNotWritten:
                raise
            except OSError as error:
                raise self._cannot_write(error) from error

    def save(self, write_into: Callable[[Path], None], keep: int) -> None:
        """Write a checkpoint of this step if there is none, and remove old checkpoints."""
        step, best = self.progress.step, self.progress.best
        with self.locked():
            if self.saved != step:
                for name in self.progress.lengths:
                    flush(self.folder / name)
                checkpoint = checkpoints.path_of(self.folder, step)
                self.newest = max(self.newest, step)
                with replacing_folder(checkpoint) as temporary:
                    write_into(temporary)
                self._publish()
            checkpoints.prune(self.folder, keep, step, best["step"] if best else None)
            self.newest = self.saved = step

    def log_step(self, step: Step, layers: dict[str, Any] | None = None) -> None:
        """Append a step to metrics.jsonl, its layers to layers.jsonl, its sample to samples.txt."""
        self.is_unused = False
        row = {name: value for name, value in asdict(step).items() if value is not None}
        sample = row.pop("sample", None)
        self._append(METRICS, json.dumps(row) + "\n")
        if layers is not None:
            self._append(LAYERS, json.dumps({"number": step.number, "layers": layers}) + "\n")
        if sample is not None:
            self._append(SAMPLES, f"──── step {step.number} ────\n{sample}\n\n")

    def tidy(self) -> None:
        """Remove everything that was written after the last checkpoint.

        First all logs are opened, which checks that they are ordinary files; then they are cut.
        """
        with ExitStack() as stack:
            logs = {}
            for name in (METRICS, LAYERS, SAMPLES):
                self.progress.lengths.setdefault(name, 0)
                with suppress(FileNotFoundError):
                    logs[name] = stack.enter_context(open_to_change(self.folder / name))
            if self.saved == self.progress.step:
                self._publish()
            for name, length in list(self.progress.lengths.items()):
                if name in logs:
                    self.progress.lengths[name] = _cut(logs[name], length)
                else:
                    del self.progress.lengths[name]
        remove_leftovers(self.folder)

    def _publish(self) -> None:
        """Link the best model into the run folder, or the model of this step if it is gone."""
        best = self.progress.best
        for step in ([best["step"]] if best else []) + [self.progress.step]:
            checkpoint = checkpoints.path_of(self.folder, step)
            if checkpoint.is_dir():
                checkpoints.publish(checkpoint, self.folder)
                return

    def _append(self, name: str, text: str) -> None:
        self.progress.lengths[name] = append_text(self.folder / name, text)

    def _cannot_write(self, error: OSError) -> RunNotWritten:
        try:
            whole = checkpoints.newest_intact(self.folder, lambda problem: None)
            step = checkpoints.read_record(whole)["step"]
            kept = (
                f"The checkpoint of step {step} is intact; when this is solved, continue with "
                f"minigpt train --resume {for_shell(self.folder)}"
            )
        except (OSError, ValueError):
            kept = "Nothing was saved yet"
        if self.is_unused:
            kept = "Nothing was saved yet: when this is solved, give the same command again"
        return RunNotWritten(
            f"stopped after step {self.progress.step}, as the run cannot be written: "
            f"{error_message(error)}. {kept}"
        )


def _cut(log: BufferedRandom, length: int) -> int:
    """Cut a log after `length` bytes, or at the last line end before; return its new length."""
    kept = min(length, log.seek(0, os.SEEK_END))
    while kept:
        start = max(0, kept - 2**16)
        log.seek(start)
        kept = start + log.read(kept - start).rfind(b"\n") + 1
        if kept > start:
            break
    log.truncate(kept)
    return kept


class ReadOnlyKeeper(Keeper):
    """The keeper in all processes except rank 0: knows how far the run is, and writes nothing."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Yield without a lock."""
        yield

    def save(self, write_into: Callable[[Path], None], keep: int) -> None:
        """Do nothing: rank 0 writes."""

    def log_step(self, step: Step, layers: dict[str, Any] | None = None) -> None:
        """Do nothing: rank 0 writes."""

    def tidy(self) -> None:
        """Do nothing: rank 0 writes."""
