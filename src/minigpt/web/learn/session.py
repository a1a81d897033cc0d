"""What lessons and followed runs have in common: a thread, its events, and its end.

The kinds of events. Those that belong to a step have its number under "step":

    history      rows: the rows of the steps so far, and samples: the step and text of each; the
                 first event that a listener gets
    state        everything that `state` returns
    step         the row of a step: number, loss, gradient_norm, learning_rate, tokens_per_second,
                 and if measured val_loss and val_bits
    layers       layers: see `minigpt.runs.layer_metrics.measure_layers`
    sample       text: what the model writes now
    heads        pieces, weights: see `Glimpses.heads`
    embeddings   pieces, points: see `Glimpses.embeddings`
    moved        the model is now the one of another step, earlier or later
    error        message: what went wrong, for example training diverged; unfit: see `Session`
    end          the last event

A new listener gets history, state, and the newest layers, heads and embeddings at once; after the
end, it gets only these.
"""

from __future__ import annotations

import atexit
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from minigpt.inside.slow_step import SlowStep, slow_step
from minigpt.support.terminal import visible
from minigpt.text.data import get_batch
from minigpt.training.schedule import warmup_cosine
from minigpt.web.learn.channel import Channel, Event, Subscription
from minigpt.web.learn.lesson_settings import Unfit

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.runs.history import History
    from minigpt.runs.layer_metrics import LayerHistory
    from minigpt.text.data import Dataset
    from minigpt.text.tokenizers import Tokenizer
    from minigpt.training.optimizers import Optimizer
    from minigpt.training.settings import Settings
    from minigpt.web.learn.glimpse import Glimpses

MAX_ROWS = 2000
"""About how many rows `rows` returns; of more steps, every n-th, and all with an evaluation."""

MAX_SAMPLES = 500
SHOWN_SETTINGS = (
    *("tokenizer", "n_layers", "n_heads", "d_model", "block_size", "batch_size", "steps"),
    *("learning_rate", "optimizer", "dropout", "clip", "seed"),
)
"""Settings that the page shows. None of them is a path on somebody's machine."""

Row = dict[str, Any]


class Session:
    """Works in a thread of its own until it is stopped, or the process ends.

    If no thread can be started, each method does its work before it returns.

    Attributes
    ----------
    tokenizer, model : None until they are ready.
    settings : the settings of the training.
    now : the number of steps after which the model is as it is.
    furthest : the number of steps that have been taken.
    ready : an event; set when tokenizer and model are ready, or when it is clear that they never
        will be.
    problem : what went wrong, or None.
    unfit : if a setting or the text is wrong, its "field" and "offer": see `Unfit`.
    """

    tokenizer: Tokenizer | None = None
    model: miniGPT | None = None
    settings: Settings
    now: int
    furthest: int
    _glimpses: Glimpses | None = None

    def __init__(self) -> None:
        self.channel = Channel()
        self.problem: str | None = None
        self.unfit: dict[str, Any] | None = None
        self.ready = threading.Event()
        self._samples: dict[int, str] = {}
        self._model_lock = threading.Lock()  # held while the model changes, or must not change
        self._n_waiting = 0  # threads that wait for the model
        self._condition = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self._threadless = False  # no thread can be started here

    def subscribe(self) -> Subscription:
        """Return a subscription to all events from now on, which begins with the past."""
        subscription = self.channel.subscribe()
        subscription.put(self._history())
        subscription.put(Event("state", self.state()))
        self.channel.catch_up(subscription)
        if self.channel.is_closed:
            subscription.put(Event("end", {}))
        return subscription

    def stop(self) -> None:
        """End the thread after its step, and the listeners' loops. May be called twice."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._threadless and not self.channel.is_closed:
            self._end()
        elif not self._threadless and self._thread is not threading.current_thread():
            self._thread.join()
        atexit.unregister(self.stop)

    @property
    def status(self) -> str:
        """One word: stopped, failed, or what `_progress` returns."""
        if self._stopping:
            return "stopped"
        return "failed" if self.problem is not None else self._progress()

    def _progress(self) -> str:
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """Return by name, ready for JSON: status, step, steps, furthest, settings, problem, unfit.

        There may be more values: see `Lesson.details` and `Following.details`.
        """
        return {
            "status": self.status,
            "step": self.now,
            "steps": self.settings.steps,
            "furthest": self.furthest,
            "settings": shown(self.settings),
            "problem": self.problem,
            "unfit": self.unfit,
            **self.details(),
        }

    def details(self) -> dict[str, Any]:
        """Return the part of `state` that not all sessions have."""
        raise NotImplementedError

    @contextmanager
    def hold(self) -> Iterator[miniGPT]:
        """Return the model for a `with` block; it does not change inside the block.

        Raises
        ------
        RuntimeError
            If there is no model, because of an earlier problem.
        """
        self.ready.wait()
        with self._condition:
            self._n_waiting += 1
        try:
            with self._model_lock:
                if self.model is None:
                    raise RuntimeError(f"there is no model: {self.problem or 'it was stopped'}")
                yield self.model
        finally:
            with self._condition:
                self._n_waiting -= 1
                self._condition.notify_all()

    @property
    def n_bytes(self) -> int:
        """About how many bytes the session keeps."""
        raise NotImplementedError

    def pause(self) -> None:
        """Stop after the current step, if the training is our own."""

    def go_to(self, step: int) -> None:
        """Go to another step."""
        raise NotImplementedError

    def slow_step(self) -> SlowStep:
        """Return the next step in slow motion, without taking it."""
        raise NotImplementedError

    def rows(self) -> list[Row]:
        """Return the rows of the steps so far; if there are very many, a part of them."""
        raise NotImplementedError

    def history(self) -> History:
        """Return the rows as `minigpt.show.figures.loss_curves.loss_curves` draws them."""
        raise NotImplementedError

    def layers(self) -> LayerHistory:
        """Return the measurements of the layers as `layer_curves` draws them."""
        raise NotImplementedError

    def _start(self) -> None:
        atexit.register(self.stop)
        try:
            self._thread.start()
        except RuntimeError:
            self._threadless = True
            self._try(self._work)

    def _run(self) -> None:
        self._try(self._work)
        self._end()

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # listeners learn of any error
            self._fail(error)
        finally:
            self.ready.set()

    def _end(self) -> None:
        self.channel.publish("end")
        self.channel.close()

    def _work(self) -> None:
        raise NotImplementedError

    def _history(self) -> Event:
        with self._condition:
            samples = [{"step": step, "text": text} for step, text in self._samples.items()]
        return Event("history", {"rows": self.rows(), "samples": samples})

    def _publish_pictures(self, model: miniGPT) -> None:
        assert self._glimpses is not None  # made together with the model
        for kind in ("heads", "embeddings"):
            picture = getattr(self._glimpses, kind)(model)
            self.channel.publish(kind, step=self.now, **picture)

    def _publish_sample(self, step: int, text: str) -> None:
        text = visible(text)
        with self._condition:
            self._samples[step] = text
            if len(self._samples) > MAX_SAMPLES:
                del self._samples[min(self._samples)]
        self.channel.publish("sample", step=step, text=text)

    def _fail(self, error: Exception) -> None:
        self.problem = visible(str(error)) or type(error).__name__
        if isinstance(error, Unfit):
            self.unfit = {"field": error.field, "offer": error.offer}
        self.channel.publish("error", message=self.problem, unfit=self.unfit)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


def shown(settings: Settings) -> dict[str, Any]:
    """Return the settings that the page shows, by name, ready for JSON."""
    found = {name: getattr(settings, name) for name in SHOWN_SETTINGS}
    return found | {"tokenizer": visible(Path(settings.tokenizer).name)}


def thinned(n: int, kept: Callable[[int], bool]) -> list[int]:
    """Return about `MAX_ROWS` evenly spaced numbers of range(n), and all that `kept` accepts."""
    every = math.ceil(n / MAX_ROWS)
    return [i for i in range(n) if (n - 1 - i) % every == 0 or kept(i)]


def next_step(
    model: miniGPT, optimizer: Optimizer, dataset: Dataset, settings: Settings, now: int
) -> SlowStep:
    """Return in slow motion the step that `minigpt.train` takes after `now` steps.

    If batches are accumulated, it uses the first of them.
    """
    s, number = settings, now + 1
    x, y = get_batch(
        dataset.train, s.block_size, s.batch_size, np.random.default_rng([s.seed, number])
    )
    # The step number also determines what dropout drops: see `Replicas.reseed`.
    random_state = np.random.default_rng([s.seed, number, 0]).bit_generator.state
    model.rng.bit_generator.state = random_state
    rate = warmup_cosine(
        min(now, s.steps), s.steps, s.warmup, s.learning_rate, s.final_learning_rate
    )
    return slow_step(model, x, y, optimizer, rate, s.clip)
