"""Train a small model while somebody watches: run, pause, step, go back, and slow motion."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Generator, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.core.checks import check_sizes, check_whole
from minigpt.core.model import miniGPT
from minigpt.inside.slow_step import SlowStep
from minigpt.runs.history import History
from minigpt.runs.layer_metrics import LayerHistory, measure_layers
from minigpt.runs.metrics import Metrics
from minigpt.runs.starting import make_model
from minigpt.support.wording import counted
from minigpt.text.data import Corpus, Dataset, load_corpus, split_text
from minigpt.text.tokenizers.making import make_tokenizer
from minigpt.training.fitting import MIN_TEXT_CHARACTERS
from minigpt.training.loop import Step, TrainingDiverged, train
from minigpt.training.optimizers import optimizer_of
from minigpt.training.settings import Settings
from minigpt.web.first_text import PLAY
from minigpt.web.learn.glimpse import Glimpses
from minigpt.web.learn.lesson_settings import MAX_LESSON_TEXT, Unfit, check_text, lesson_settings
from minigpt.web.learn.session import MAX_ROWS, Row, Session, next_step, thinned
from minigpt.web.learn.snapshots import Snapshots
from minigpt.web.memory import bytes_of

STEPS_PER_MEASUREMENT = 10
"""Steps between measurements of the layers."""
SECONDS_PER_GLIMPSE = 1.0
"""Time between pictures of heads and embeddings."""
GLIMPSE_CHARACTERS = 200
"""Characters of the text at which the heads are shown."""
BYTES_PER_ROW = 1000
"""About the size of the row of a step, a sample, or the measurements of a block."""


class Lesson(Session):
    """Trains a small model in a thread. It is paused at first, until `run` or `step`.

    Parameters
    ----------
    changes : settings that differ from `LESSON`: see `lesson_settings`.
    text : the text to learn from; the built-in plays if None.

    Examples
    --------
    >>> with Lesson({"steps": 500}) as lesson:
    ...     lesson.run()
    ...     for event in lesson.subscribe():
    ...         print(event.to_dict())
    """

    def __init__(self, changes: Mapping[str, Any] | None = None, text: str | None = None) -> None:
        super().__init__()
        self.settings = lesson_settings(changes or {})
        if text is not None and len(text) > MAX_LESSON_TEXT:
            raise Unfit(
                f"a lesson learns from at most {MAX_LESSON_TEXT:,} characters, got {len(text):,}",
                "text",
            )
        self.now = self.furthest = 0
        self._text = text
        self._rows: dict[int, Row] = {}
        self._layers: dict[int, dict[str, list[float | None]]] = {}
        self._steps_to_take = 0.0  # number of steps to take: 0 is a pause
        self._training: Generator[Step] | None = None
        self._pictured_at = -math.inf
        self._start()

    # ── for any thread ──

    def run(self) -> None:
        """Train until the end, or a pause."""
        self._allow(math.inf)

    def pause(self) -> None:
        """Stop after the current step."""
        self._allow(0)

    def step(self, n: int = 1) -> None:
        """Train for `n` steps, and pause."""
        check_sizes(n=n)
        self._allow(n)

    def back(self, n: int = 1) -> None:
        """Go back `n` steps, at most to the first, and pause."""
        check_sizes(n=n)
        self.go_to(max(0, self.now - n))

    def go_to(self, step: int) -> None:
        """Return to the model after a step that was taken before, and pause.

        Its weights are the same to the bit, and so are all steps that follow.
        """
        check_whole(step=step)
        self.pause()
        with self.hold():
            if not 0 <= step <= self.furthest:
                raise ValueError(f"step must be from 0 to {self.furthest}, got {step}")
            self._restore(step)
            self.problem = None
            self.channel.publish("moved", step=step)
            self.channel.publish("state", **self.state())
            self._publish_pictures(self._model)

    def slow_step(self) -> SlowStep:
        """Return the next step in slow motion, without taking it."""
        with self.hold() as model:
            return next_step(model, self._optimizer, self._dataset, self.settings, self.now)

    @property
    def n_bytes(self) -> int:
        """See `Session`: snapshots, model, optimizer state, text and rows."""
        size = BYTES_PER_ROW * (len(self._rows) + len(self._samples)) + sys.getsizeof(self._text)
        if self.model is not None:
            layers = len(self.model.blocks) * len(self._layers)
            model = bytes_of([self._model.flat.params, self._model.flat.grads])
            data = bytes_of([self._dataset.train, self._dataset.val])
            snapshots = self._snapshots.size + self._snapshots.n_bytes
            size += model + snapshots + data + BYTES_PER_ROW * layers
        return size

    def _progress(self) -> str:
        if self.model is None:
            return "preparing"
        if self.now >= self.settings.steps:
            return "done"
        return "running" if self._steps_to_take else "paused"

    def details(self) -> dict[str, Any]:
        """Return parameters, vocab_size and floor by name, or nothing if there is no model yet.

        The floor is the lowest possible loss in bits per character; None if it is not known.
        """
        if self.model is None:
            return {}
        return {
            "parameters": int(self.model.flat.params.size),
            "vocab_size": self.model.vocab_size,
            "floor": self._dataset.floor,
        }

    def rows(self) -> list[Row]:
        """Return the rows of the steps so far; if there are very many, a part of them."""
        with self._condition:
            rows = list(self._rows.values())
        return [rows[i] for i in thinned(len(rows), lambda i: "val_loss" in rows[i])]

    def history(self) -> History:
        """Return the steps so far in the form of a run folder's history."""
        with self._condition:
            rows = list(self._rows.values())
        names = [field.name for field in fields(Metrics)]
        columns = [np.array([row.get(name, math.nan) for row in rows], float) for name in names]
        metrics = Metrics(columns[0].astype(np.int64), *columns[1:])
        floor = None if self.model is None else self._dataset.floor
        return History(Path("lesson"), self.settings, floor, metrics, self.now, datetime.now())

    def layers(self) -> LayerHistory:
        """Return the measurements of the layers."""
        with self._condition:
            return LayerHistory.of(self._layers)

    # ── the thread ──

    def _work(self) -> None:
        with self._model_lock:
            self._prepare()
            self.ready.set()
            self.channel.publish("state", **self.state())
            self._publish_pictures(self._model)
        self._take_steps()

    def _take_steps(self) -> None:
        try:
            while self._wait_for_turn():
                with self._model_lock:
                    if self._may_step:  # a pause may have come meanwhile
                        self._take_step()
        finally:
            self._end_training()

    def _prepare(self) -> None:
        if self._text is None:
            corpus = load_corpus(["plays"])
        else:
            if len(self._text) < MIN_TEXT_CHARACTERS:
                raise Unfit(
                    f"the text is too short: it has {counted(len(self._text), 'character')}, and "
                    f"at least {MIN_TEXT_CHARACTERS} are needed; some pages are better",
                    "text",
                )
            corpus = Corpus("text", *split_text(self._text))
        s = self.settings
        tokenizer = make_tokenizer(s.tokenizer, corpus.train, s.vocab_size)
        self._dataset = Dataset.from_corpus(corpus, tokenizer)
        check_text(s, corpus, self._dataset, tokenizer.vocab_size)
        self._model = make_model(s, tokenizer.vocab_size)
        self._optimizer = optimizer_of(s, self._model)
        self._snapshots = Snapshots(self._model, self._optimizer)
        self._snapshots.take(0)
        beginning = corpus.val[:GLIMPSE_CHARACTERS]
        self._glimpses = Glimpses(tokenizer, PLAY if self._text is None else beginning)
        self.tokenizer, self.model = tokenizer, self._model

    def _allow(self, n: float) -> None:
        with self._condition:
            self._steps_to_take = n
            self._condition.notify_all()
        self.channel.publish("state", **self.state())
        if self._threadless:
            self._try(self._take_steps)

    @property
    def _may_step(self) -> bool:
        return self._steps_to_take > 0 and self.now < self.settings.steps and self.problem is None

    def _wait_for_turn(self) -> bool:
        """Wait until a step may be taken and nobody wants the model; return False to stop."""
        with self._condition:
            if self._threadless:
                return self._may_step and not self._stopping
            self._condition.wait_for(
                lambda: self._stopping or (self._may_step and not self._n_waiting)
            )
            return not self._stopping

    def _take_step(self) -> None:
        if self._training is None:
            self._training = self._train(self.settings, self.now)
        try:
            step = next(self._training)
        except TrainingDiverged as error:
            self._restore(self.now)
            self._fail(error)
            return
        self.now = step.number
        self.furthest = max(self.furthest, self.now)
        with self._condition:
            self._steps_to_take = max(0, self._steps_to_take - 1)
        self._record_step(step)

    def _record_step(self, step: Step) -> None:
        one_by_one = self._steps_to_take != math.inf
        self._snapshots.take(self.now, on_request=one_by_one)
        row = {name: value for name, value in asdict(step).items() if value is not None}
        sample = row.pop("sample", None)
        with self._condition:
            self._rows[self.now] = row
        self.channel.publish("step", step=self.now, **row)
        if self.now % STEPS_PER_MEASUREMENT == 0 or one_by_one:
            self._measure_layers(step)
        if sample is not None:
            self._publish_sample(self.now, sample)
        if one_by_one or time.monotonic() - self._pictured_at > SECONDS_PER_GLIMPSE:
            self._publish_pictures(self._model)
        if not self._steps_to_take or self.now == self.settings.steps:
            self.channel.publish("state", **self.state())

    def _measure_layers(self, step: Step) -> None:
        found = measure_layers(self._model, self._optimizer, step, self.settings.clip)
        with self._condition:
            self._layers[step.number] = found
            if len(self._layers) > MAX_ROWS:
                del self._layers[min(self._layers)]
            self._layers = dict(sorted(self._layers.items()))  # steps taken again are added late
        self.channel.publish("layers", step=step.number, layers=found)

    def _train(self, settings: Settings, start: int) -> Generator[Step]:
        return train(self._model, self._dataset, settings, self.tokenizer, self._optimizer, start)

    def _restore(self, step: int) -> None:
        """Restore the last snapshot up to `step`, and take the steps after it again."""
        self._end_training()
        snapshot = self._snapshots.before(step)
        snapshot.restore(self._model, self._optimizer)
        self.now = step
        if snapshot.step == step:
            return
        # The last steps get snapshots: after one step back, another is likely.
        no_extras = {"eval_every": self.settings.steps + 1, "sample_every": 0}
        steps = self._train(self.settings.replace(no_extras), snapshot.step)
        for again in steps:
            self._snapshots.take(again.number, on_request=again.number > step - 8)
            if again.number == step or self._stopping:
                break
        steps.close()

    def _end_training(self) -> None:
        if self._training is not None:
            self._training.close()
            self._training = None

    def _publish_pictures(self, model: miniGPT) -> None:
        super()._publish_pictures(model)
        self._pictured_at = time.monotonic()
