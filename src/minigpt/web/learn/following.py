"""Follow a run that another process trains. Its folder is only read."""

from __future__ import annotations

import math
import os
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.checks import check_whole
from minigpt.folders.pretrained import load_model_and_tokenizer
from minigpt.inside.slow_step import SlowStep
from minigpt.runs.checkpoints import path_of, read_run, require_run, steps_of
from minigpt.runs.history import History
from minigpt.runs.layer_metrics import LayerHistory, read_layers
from minigpt.runs.metrics import Metrics, MetricsFile
from minigpt.runs.own_text import covers_all_text, find_run_text
from minigpt.runs.progress import LAYERS, METRICS, SAMPLES, has_stopped_early
from minigpt.runs.starting import open_checkpoint
from minigpt.support.untrusted_files import open_to_read
from minigpt.text.data import Dataset
from minigpt.training.settings import Settings
from minigpt.web.first_text import example_of
from minigpt.web.learn.glimpse import Glimpses
from minigpt.web.learn.session import Row, Session, next_step, thinned
from minigpt.web.memory import bytes_of

if TYPE_CHECKING:
    from minigpt.text.tokenizers import Tokenizer

MAX_NEW_STEPS = 200
"""Number of new steps that are published at once; `rows` has all."""
TAIL_BYTES = 2**14
"""Bytes at the end of samples.txt that are searched for the newest sample."""


class Following(Session):
    """Follows a run: new steps, samples and checkpoints become events as they appear.

    The model is the one of the newest checkpoint, or of the checkpoint that `go_to` has chosen.

    Parameters
    ----------
    folder : the run folder.
    every : seconds between readings of the folder.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is not a run folder, or its training.json is damaged.
    """

    def __init__(self, folder: Path, every: float = 0.5) -> None:
        super().__init__()
        require_run(folder)
        self.folder, self.every = folder, every
        self.now = -1  # there is no model yet
        self.chosen = False
        """Whether `go_to` has chosen the checkpoint, so that no newer one replaces it."""
        self._file = MetricsFile(folder / METRICS)
        self._read_metrics()
        self._sizes: dict[str, int] = {}
        self._dataset: Dataset | None = None
        self._read_record()
        self._start()

    def go_to(self, step: int) -> None:
        """Go to the last checkpoint up to `step`; if it is the newest, follow the run again."""
        check_whole(step=step)
        kept = steps_of(self.folder)
        found = [each for each in kept if each <= step]
        if not found:
            raise ValueError(f"there is no checkpoint up to step {step}: only {sorted(kept)}")
        self._open(found[0])
        self.chosen = found[0] != kept[0]
        self.channel.publish("state", **self.state())

    def slow_step(self) -> SlowStep:
        """Return in slow motion the step that came after the chosen checkpoint."""
        with self.hold():
            path = path_of(self.folder, self.now)
            try:
                model, tokenizer, optimizer = open_checkpoint(path, self.settings)
            except (OSError, ValueError) as error:
                raise ValueError(self._without_paths(error)) from None
            if self._dataset is None:
                self._dataset = self._run_text(tokenizer)
            return next_step(model, optimizer, self._dataset, self.settings, self.now)

    def _run_text(self, tokenizer: Tokenizer) -> Dataset:
        """Return the tokens that the run learns from.

        Its training.json may come from a stranger and name any file of the user. So a file is used
        only if a checksum proves that the run has learned from it.
        """
        if "-" in self.settings.data:
            raise ValueError("its text came from standard input, and is not kept")
        mismatch = "the file that training.json names is not the text that the run learned from"
        if not covers_all_text(self._record.get("text")):
            raise ValueError(
                f"{mismatch}, or nothing proves it: there is no checksum of the whole text. Older "
                "versions wrote none; continue the run for one step to add it"
            )
        try:
            return find_run_text(self.folder, self._record, tokenizer)[-1]
        except ValueError:
            raise ValueError(f"{mismatch}: put the text where it was when the run began") from None

    @property
    def n_bytes(self) -> int:
        """See `Session`: the metrics. Model and token files are mapped, not read into memory."""
        data = [self._dataset.train, self._dataset.val] if self._dataset else []
        return bytes_of([*vars(self._metrics).values(), *data])

    def _progress(self) -> str:
        early = has_stopped_early(self._record, self.settings, self.furthest)
        return "done" if early or self.furthest >= self.settings.steps else "running"

    def details(self) -> dict[str, Any]:
        """Return checkpoints, chosen, floor and changed by name.

        checkpoints : their steps, the oldest first.
        chosen : whether `go_to` has chosen one that is not the newest.
        floor : the lowest possible loss in bits per character; None if it is not known.
        changed : the time of the last change, in seconds since 1970. The status is running even if
            the process that trains is gone; this time shows it.
        """
        return {
            "checkpoints": sorted(steps_of(self.folder)),
            "chosen": self.chosen,
            "floor": self._record.get("floor_bits_per_character"),
            "changed": self._changed(),
        }

    def rows(self) -> list[Row]:
        """Return the rows of the steps so far; if there are very many, a part of them."""
        metrics = self._metrics
        measured = np.isfinite(metrics.val_loss)
        return [row_of(metrics, i) for i in thinned(metrics.number.size, lambda i: measured[i])]

    def history(self) -> History:
        """Return the history of the run in its folder."""
        return History.read(self.folder)

    def layers(self) -> LayerHistory:
        """Return the measurements of the layers."""
        return read_layers(self.folder / LAYERS)

    # ── the thread ──

    def _work(self) -> None:
        while True:
            before = self._position()
            self._find_checkpoint()
            self._find_steps()
            if self._has_changed(LAYERS):
                self._publish_layers()
            self._find_sample()
            if self._position() != before:
                self.channel.publish("state", **self.state())
            with self._condition:
                if self._threadless or self._condition.wait_for(lambda: self._stopping, self.every):
                    return

    def _position(self) -> tuple[str, int, list[int]]:
        return self.status, self.now, steps_of(self.folder)

    def _find_steps(self) -> None:
        if not self._has_changed(METRICS):
            return
        before = self._metrics.number
        self._read_metrics()
        number = self._metrics.number
        known = before.size
        if number.size < known or not np.array_equal(number[:known][-1:], before[-1:]):
            # Training went back to a checkpoint and continues from there.
            self.channel.publish("moved", step=self.furthest)
            self.channel.publish("history", **self._history().data)
            return
        for i in range(max(known, number.size - MAX_NEW_STEPS), number.size):
            self.channel.publish("step", step=int(number[i]), **row_of(self._metrics, i))

    def _publish_layers(self) -> None:
        history = self.layers()
        if history.number.size:
            pairs = np.stack([history.gradient[-1], history.ratio[-1]], axis=1)
            newest = {
                name: [value if math.isfinite(value) else None for value in pair]
                for name, pair in zip(history.layers, pairs.tolist(), strict=True)
            }
            self.channel.publish("layers", step=int(history.number[-1]), layers=newest)

    def _find_sample(self) -> None:
        if not self._has_changed(SAMPLES):
            return
        with open_to_read(self.folder / SAMPLES, follow=False) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            end = file.read(TAIL_BYTES).decode("utf-8", "replace")
        head, bar, text = end.rpartition(" ────\n")
        step = head.rpartition("──── step ")[2]
        if bar and step.isdecimal():
            self._publish_sample(int(step), text.removesuffix("\n\n"))

    def _find_checkpoint(self) -> None:
        steps = steps_of(self.folder)
        if not steps or (self.chosen and self.now in steps) or steps[0] == self.now:
            return
        self.chosen = False
        self._read_record()
        self._open(steps[0])

    def _open(self, step: int) -> None:
        path = path_of(self.folder, step)
        try:
            model, tokenizer = load_model_and_tokenizer(path)
        except (OSError, ValueError) as error:
            if os.path.lexists(path):
                raise ValueError(self._without_paths(error)) from None
            return  # the run keeps only the newest checkpoints, and has deleted this one
        with self._model_lock:
            self.model, self.tokenizer, self.now = model, tokenizer, step
            self.ready.set()
            if self._glimpses is None:
                self._glimpses = Glimpses(tokenizer, example_of(path, model, tokenizer))
            self.channel.publish("moved", step=step)
            self._publish_pictures(model)

    def _fail(self, error: Exception) -> None:
        super()._fail(type(error)(self._without_paths(error)))

    def _without_paths(self, error: Exception) -> str:
        """Return the message of an error, with the name of the run in place of its path."""
        return str(error).replace(str(self.folder), self.folder.resolve().name)

    def _read_record(self) -> None:
        """Read training.json. The settings may change when a run is continued."""
        self._record = read_run(self.folder)
        self.settings = Settings().replace(self._record["settings"])

    def _read_metrics(self) -> None:
        self._metrics = self._file.read()
        numbers = self._metrics.number
        self.furthest = int(numbers[-1]) if numbers.size else 0

    def _has_changed(self, name: str) -> bool:
        """Return whether the size of a file has changed since the last call."""
        try:
            size = (self.folder / name).stat().st_size
        except FileNotFoundError:
            return False
        before, self._sizes[name] = self._sizes.get(name), size
        return size != before

    def _changed(self) -> float | None:
        times = [
            path.stat().st_mtime
            for path in (self.folder / METRICS, self.folder / "training.json")
            if path.exists()
        ]
        return max(times, default=None)


def row_of(metrics: Metrics, i: int) -> Row:
    """Return the values of the `i`-th step by name, without missing ones."""
    row: Row = {"number": int(metrics.number[i])}
    for field in fields(Metrics)[1:]:
        value = float(getattr(metrics, field.name)[i])
        if math.isfinite(value):
            row[field.name] = value
    return row
