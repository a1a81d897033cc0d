"""Watching a run that another process trains: its folder is read, and nothing is written there."""

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
from minigpt.web.learn.session import Row, Session, next_step, shown, thinned
from minigpt.web.memory import bytes_of

if TYPE_CHECKING:
    from minigpt.text.tokenizers import Tokenizer

MOST_NEWS = 200
"""How many new steps are told at once; `rows` has all."""
TAIL = 2**14
"""Bytes at the end of samples.txt in which the newest sample is looked for."""


class Following(Session):
    """Follows a run: new steps, samples and checkpoints become events as they appear.

    The model is that of the newest checkpoint, or of the one that `go_to` has chosen.

    Parameters
    ----------
    folder : the run folder.
    every : seconds between looks into it.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is not a run folder, or its training.json is damaged.
    """

    def __init__(self, folder: Path, every: float = 0.5) -> None:
        super().__init__()
        require_run(folder)
        self.folder, self.every = folder, every
        self.now = -1
        """After how many steps the model is as it is here."""
        self.chosen = False
        """Whether that was asked for, and no newer one takes its place."""
        self._record: dict[str, Any] = {}
        self._file = MetricsFile(folder / METRICS)
        self._metrics = self._file.read()
        self._sizes: dict[str, int] = {}
        self._glimpses: Glimpses | None = None
        self._dataset: Dataset | None = None
        self._read_record()
        self._start()

    def go_to(self, step: int) -> None:
        """Go to the last checkpoint up to `step`; from the newest, follow on."""
        check_whole(step=step)
        kept = steps_of(self.folder)
        found = [each for each in kept if each <= step]
        if not found:
            raise ValueError(f"there is no checkpoint up to step {step}: only {sorted(kept)}")
        self._open(found[0])
        self.chosen = found[0] != kept[0]
        self.channel.publish("state", **self.state())

    def slow_step(self) -> SlowStep:
        """Run the step that came after the chosen checkpoint in slow motion, on copies."""
        with self.hold():
            path = path_of(self.folder, self.now)
            try:
                model, tokenizer, optimizer = open_checkpoint(path, self.settings)
            except (OSError, ValueError) as error:
                raise ValueError(self._told(error)) from None
            if self._dataset is None:
                self._dataset = self._own_text(tokenizer)
            return next_step(model, optimizer, self._dataset, self.settings, self.now)

    def _own_text(self, tokenizer: Tokenizer) -> Dataset:
        """Return the tokens that the run learns from.

        Its training.json may come from a stranger, and name any file of the user's. So nothing of a
        file is shown or said that the run has not learned from.
        """
        if "-" in self.settings.data:
            raise ValueError("its text came from standard input, and is not kept")
        another = "what its training.json names is not the text that the run learned from"
        if not covers_all_text(self._record.get("text")):
            raise ValueError(
                f"{another}, or nothing proves it, as there is no checksum of all of it: older "
                "versions wrote none, and going on with the run for a step adds it"
            )
        try:
            return find_run_text(self.folder, self._record, tokenizer)[-1]
        except ValueError:
            raise ValueError(f"{another}: put it where it was when the run began") from None

    @property
    def n_bytes(self) -> int:
        """See `Session`: its numbers; the model and token files are not read into the memory."""
        data = [self._dataset.train, self._dataset.val] if self._dataset else []
        return bytes_of([*vars(self._metrics).values(), *data])

    @property
    def settings(self) -> Settings:
        """Those of the run."""
        return Settings().replace(self._record["settings"])

    @property
    def furthest(self) -> int:
        """How many steps are done."""
        numbers = self._metrics.number
        return int(numbers[-1]) if numbers.size else 0

    @property
    def status(self) -> str:
        """Running (as far as one can tell), done, failed or stopped."""
        if self._stopping:
            return "stopped"
        if self.problem is not None:
            return "failed"
        early = has_stopped_early(self._record, self.settings, self.furthest)
        return "done" if early or self.furthest >= self.settings.steps else "running"

    def state(self) -> dict[str, Any]:
        """Return by name, ready for JSON: status, step, steps, furthest, settings, problem.

        Also checkpoints, their steps from the oldest; chosen, whether `go_to` has chosen one that
        is not the newest; floor, the lowest possible loss in bits per character, where it is known;
        and changed, when something was written last, in seconds since 1970: the process that
        trains may be gone.
        """
        return {
            "status": self.status,
            "step": self.now,
            "steps": self.settings.steps,
            "furthest": self.furthest,
            "settings": shown(self.settings),
            "problem": self.problem,
            "checkpoints": sorted(steps_of(self.folder)),
            "chosen": self.chosen,
            "floor": self._record.get("floor_bits_per_character"),
            "changed": self._changed(),
        }

    def rows(self) -> list[Row]:
        """Return the rows of the steps so far; of very many not all."""
        metrics = self._metrics
        measured = np.isfinite(metrics.val_loss)
        return [row_of(metrics, i) for i in thinned(metrics.number.size, lambda i: measured[i])]

    def history(self) -> History:
        """Return what the folder tells of the run."""
        return History.read(self.folder)

    def layers(self) -> LayerHistory:
        """Return what was measured of the layers."""
        return read_layers(self.folder / LAYERS)

    # ── the thread ──

    def _work(self) -> None:
        while True:
            before = self._stand()
            self._find_checkpoint()
            self._find_steps()
            if self._grown(LAYERS):
                self._tell_layers()
            self._find_sample()
            if self._stand() != before:
                self.channel.publish("state", **self.state())
            with self._turn:
                if self._alone or self._turn.wait_for(lambda: self._stopping, self.every):
                    return

    def _stand(self) -> tuple[str, int, list[int]]:
        return self.status, self.now, steps_of(self.folder)

    def _find_steps(self) -> None:
        if not self._grown(METRICS):
            return
        before, self._metrics = self._metrics.number, self._file.read()
        number = self._metrics.number
        known = before.size
        if number.size < known or not np.array_equal(number[:known][-1:], before[-1:]):
            # Training went back to a checkpoint, and goes on from there.
            self.channel.publish("moved", step=self.furthest)
            self.channel.publish("history", **self._history().data)
            return
        for i in range(max(known, number.size - MOST_NEWS), number.size):
            self.channel.publish("step", step=int(number[i]), **row_of(self._metrics, i))

    def _tell_layers(self) -> None:
        history = self.layers()
        if history.number.size:
            pairs = np.stack([history.gradient[-1], history.ratio[-1]], axis=1)
            newest = {
                name: [value if math.isfinite(value) else None for value in pair]
                for name, pair in zip(history.layers, pairs.tolist(), strict=True)
            }
            self.channel.publish("layers", step=int(history.number[-1]), layers=newest)

    def _find_sample(self) -> None:
        if not self._grown(SAMPLES):
            return
        with open_to_read(self.folder / SAMPLES, follow=False) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            end = file.read(TAIL).decode("utf-8", "replace")
        head, bar, text = end.rpartition(" ────\n")
        step = head.rpartition("──── step ")[2]
        if bar and step.isdecimal():
            self._tell_sample(int(step), text.removesuffix("\n\n"))

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
                raise ValueError(self._told(error)) from None
            return  # it was one too many for the run, which keeps the newest only
        with self._still:
            self.model, self.tokenizer, self.now = model, tokenizer, step
            self.ready.set()
            if self._glimpses is None:
                self._glimpses = Glimpses(tokenizer, example_of(path, model, tokenizer))
            self.channel.publish("moved", step=step)
            for kind in ("heads", "embeddings"):
                self.channel.publish(kind, step=step, **getattr(self._glimpses, kind)(model))

    def _fail(self, error: Exception) -> None:
        super()._fail(type(error)(self._told(error)))

    def _told(self, error: Exception) -> str:
        """Return what an error says, with no path in it but the name of the run."""
        return str(error).replace(str(self.folder), self.folder.resolve().name)

    def _read_record(self) -> None:
        """Read the settings, which may change when a run goes on."""
        self._record = read_run(self.folder)

    def _grown(self, name: str) -> bool:
        """Return whether the size of a file is another than it was."""
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
    """Return the numbers of the `i`-th step by name, those that there are."""
    row: Row = {"number": int(metrics.number[i])}
    for field in fields(Metrics)[1:]:
        value = float(getattr(metrics, field.name)[i])
        if math.isfinite(value):
            row[field.name] = value
    return row
