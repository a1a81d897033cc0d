"""Training a small model while somebody watches: run, pause, step, go back, look closely."""

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
from minigpt.web.learn.lesson_settings import MOST_CHARACTERS, Unfit, check_text, lesson_settings
from minigpt.web.learn.session import ROWS_IN_STATE, Row, Session, next_step, shown, thinned
from minigpt.web.learn.snapshots import Snapshots
from minigpt.web.memory import bytes_of

LAYERS_EVERY = 10
"""Steps between measurements of the layers."""
GLIMPSE_EVERY = 1.0
"""Seconds between looks at heads and embeddings."""
GLIMPSE_CHARACTERS = 200
"""Of the text, at which the heads are shown."""

ROW = 1000
"""About how many bytes the numbers of a step take, a sample, or those of a block."""


class Lesson(Session):
    """Trains a small model in a thread; begins paused, as soon as text and tokenizer are ready.

    Parameters
    ----------
    changes : settings that differ from `LESSON`: see `lesson_settings`.
    text : to learn from; the built-in plays if None.

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
        if text is not None and len(text) > MOST_CHARACTERS:
            raise Unfit(
                f"a lesson learns from {MOST_CHARACTERS:,} characters at most, got {len(text):,}",
                "text",
            )
        self.now = self.furthest = 0
        self._text = text
        self._rows: dict[int, Row] = {}
        self._layers: dict[int, dict[str, list[float | None]]] = {}
        self._ahead = 0.0  # how many steps may be taken: 0 is a pause
        self._training: Generator[Step] | None = None
        self._looked = -math.inf
        self._start()

    # ── what can be asked for, from any thread ──

    def run(self) -> None:
        """Go on until the end, or a pause."""
        self._allow(math.inf)

    def pause(self) -> None:
        """Stop after the step that is being taken."""
        self._allow(0)

    def step(self, n: int = 1) -> None:
        """Run `n` more steps, and pause."""
        check_sizes(n=n)
        self._allow(n)

    def back(self, n: int = 1) -> None:
        """Go `n` steps back, as far as there are so many, and pause."""
        check_sizes(n=n)
        self.go_to(max(0, self.now - n))

    def go_to(self, step: int) -> None:
        """Return to how the model was after an earlier step, and pause.

        Its weights are the same to the bit, and so is all that comes after.
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
            self._look(self._model)

    def slow_step(self) -> SlowStep:
        """Look at the step that comes next in slow motion; it is not taken."""
        with self.hold() as model:
            return next_step(model, self._optimizer, self._dataset, self.settings, self.now)

    @property
    def n_bytes(self) -> int:
        """See `Session`: the past, the model and what the optimizer keeps, the text, the rows."""
        size = ROW * (len(self._rows) + len(self._samples)) + sys.getsizeof(self._text)
        if self.model is not None:
            layers = len(self.model.blocks) * len(self._layers)
            model = bytes_of([self._model.flat.params, self._model.flat.grads])
            data = bytes_of([self._dataset.train, self._dataset.val])
            size += model + self._snapshots.size + self._snapshots.n_bytes + data + ROW * layers
        return size

    @property
    def status(self) -> str:
        """preparing, running, paused, done, failed or stopped."""
        if self._stopping:
            return "stopped"
        if self.problem is not None:
            return "failed"
        if self.model is None:
            return "preparing"
        if self.now >= self.settings.steps:
            return "done"
        return "running" if self._ahead else "paused"

    def state(self) -> dict[str, Any]:
        """Return by name, ready for JSON: status, step, steps, furthest, settings, problem.

        As soon as there is a model also parameters and vocab_size; and floor, the lowest possible
        loss in bits per character, where it is known.
        """
        made = {}
        if self.model is not None:
            made = {
                "parameters": int(self.model.flat.params.size),
                "vocab_size": self.model.vocab_size,
                "floor": self._dataset.floor,
            }
        return {
            "status": self.status,
            "step": self.now,
            "steps": self.settings.steps,
            "furthest": self.furthest,
            "settings": shown(self.settings),
            "problem": self.problem,
            "unfit": self.unfit,
            **made,
        }

    def rows(self) -> list[Row]:
        """Return the rows of the steps so far; of very many not all."""
        with self._turn:
            rows = list(self._rows.values())
        return [rows[i] for i in thinned(len(rows), lambda i: "val_loss" in rows[i])]

    def history(self) -> History:
        """Return the steps so far as if they had been read from a run folder, without a folder."""
        with self._turn:
            rows = list(self._rows.values())
        names = [field.name for field in fields(Metrics)]
        columns = [np.array([row.get(name, math.nan) for row in rows], float) for name in names]
        metrics = Metrics(columns[0].astype(np.int64), *columns[1:])
        floor = None if self.model is None else self._dataset.floor
        return History(Path("lesson"), self.settings, floor, metrics, self.now, datetime.now())

    def layers(self) -> LayerHistory:
        """Return what was measured of the layers."""
        with self._turn:
            return LayerHistory.of(self._layers)

    # ── the thread ──

    def _work(self) -> None:
        with self._still:
            self._prepare()
            self.ready.set()
            self.channel.publish("state", **self.state())
            self._look(self._model)
        self._take_steps()

    def _take_steps(self) -> None:
        try:
            while self._wait_for_turn():
                with self._still:
                    if self._may_step:  # still
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
                    f"at least {MIN_TEXT_CHARACTERS} are needed, better some pages",
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
        with self._turn:
            self._ahead = n
            self._turn.notify_all()
        self.channel.publish("state", **self.state())
        if self._alone:
            self._attempt(self._take_steps)

    @property
    def _may_step(self) -> bool:
        return self._ahead > 0 and self.now < self.settings.steps and self.problem is None

    def _wait_for_turn(self) -> bool:
        """Wait until a step may be taken, and give others the precedence; False to stop."""
        with self._turn:
            if self._alone:
                return self._may_step and not self._stopping
            self._turn.wait_for(lambda: self._stopping or (self._may_step and not self._guests))
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
        with self._turn:
            self._ahead = max(0, self._ahead - 1)
        one_by_one = self._ahead != math.inf
        self._snapshots.take(self.now, wished=one_by_one)
        row = {name: value for name, value in asdict(step).items() if value is not None}
        sample = row.pop("sample", None)
        with self._turn:
            self._rows[self.now] = row
        self.channel.publish("step", step=self.now, **row)
        if self.now % LAYERS_EVERY == 0 or one_by_one:
            self._measure_layers(step)
        if sample is not None:
            self._tell_sample(self.now, sample)
        if one_by_one or time.monotonic() - self._looked > GLIMPSE_EVERY:
            self._look(self._model)
        if not self._ahead or self.now == self.settings.steps:
            self.channel.publish("state", **self.state())

    def _measure_layers(self, step: Step) -> None:
        found = measure_layers(self._model, self._optimizer, step, self.settings.clip)
        with self._turn:
            self._layers[step.number] = found
            if len(self._layers) > ROWS_IN_STATE:
                del self._layers[min(self._layers)]
            self._layers = dict(sorted(self._layers.items()))  # after going back, some come late
        self.channel.publish("layers", step=step.number, layers=found)

    def _train(self, settings: Settings, start: int) -> Generator[Step]:
        return train(self._model, self._dataset, settings, self.tokenizer, self._optimizer, start)

    def _restore(self, step: int) -> None:
        """Begin at the last snapshot up to a step, and take the steps from there to it again."""
        self._end_training()
        snapshot = self._snapshots.before(step)
        snapshot.restore(self._model, self._optimizer)
        self.now = step
        if snapshot.step == step:
            return
        # Those shortly before the end are kept: who went back may go back further.
        quiet = self.settings.replace({"eval_every": self.settings.steps + 1, "sample_every": 0})
        steps = self._train(quiet, snapshot.step)
        for again in steps:
            self._snapshots.take(again.number, wished=again.number > step - 8)
            if again.number == step or self._stopping:
                break
        steps.close()

    def _end_training(self) -> None:
        if self._training is not None:
            self._training.close()
            self._training = None

    def _look(self, model: miniGPT) -> None:
        for kind in ("heads", "embeddings"):
            self.channel.publish(kind, step=self.now, **getattr(self._glimpses, kind)(model))
        self._looked = time.monotonic()
