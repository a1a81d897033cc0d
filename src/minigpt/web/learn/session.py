"""What a lesson and the following of a run have in common: a thread, its news, and its end.

The kinds of events, each with the number of its step under "step" where it has one:

    history      rows: those of the steps so far, and samples: step and text of each; the first
                 that a listener gets
    state        all that `state` gives
    step         one such row: number, loss, gradient_norm, learning_rate, tokens_per_second, and
                 where measured val_loss and val_bits
    layers       layers: see `minigpt.runs.layer_metrics.measure_layers`
    sample       text: what the model writes now
    heads        pieces, weights: see `Glimpses.heads`
    embeddings   pieces, points: see `Glimpses.embeddings`
    moved        the model is now that of another step, before or after
    error        message: what went wrong, such as training that diverged; unfit: see `Session`
    end          nothing comes after it; who subscribes later gets only what was before

Who subscribes gets history, state, and the newest layers, heads and embeddings at once.
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

ROWS_IN_STATE = 2000
"""How many steps `state` tells of; of more, every n-th and all with an evaluation."""

MOST_SAMPLES = 500
SHOWN = (
    *("tokenizer", "n_layers", "n_heads", "d_model", "block_size", "batch_size", "steps"),
    *("learning_rate", "optimizer", "dropout", "clip", "seed"),
)
"""Settings that a page shows: none is a path of somebody's machine."""

Row = dict[str, Any]


class Session:
    """Works in a thread of its own until it is stopped, or the process ends.

    Where no thread can be started, it does what is asked for before the method returns.

    Attributes
    ----------
    tokenizer, model : None until they are there.
    now : after how many steps the model is as it is.
    ready : set as soon as they are, or will never be.
    problem : what went wrong, or None.
    unfit : of a problem with a setting or the text, its "field" and "offer": see `Unfit`.
    """

    tokenizer: Tokenizer | None = None
    model: miniGPT | None = None
    now: int

    def __init__(self) -> None:
        self.channel = Channel()
        self.problem: str | None = None
        self.unfit: dict[str, Any] | None = None
        self.ready = threading.Event()
        self._samples: dict[int, str] = {}
        self._still = threading.Lock()  # held while the model changes, or shall not
        self._guests = 0  # who wait for it
        self._turn = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self._alone = False  # no thread can be started here: what is asked for is done at once

    def subscribe(self) -> Subscription:
        """Send a listener all events from now on, and what was before."""
        subscription = self.channel.subscribe()
        subscription.put(self._history())
        subscription.put(Event("state", self.state()))
        self.channel.catch_up(subscription)
        if self.channel.is_closed:
            subscription.put(Event("end", {}))
        return subscription

    def stop(self) -> None:
        """End the thread, after its step, and the listeners' loops. It may be called twice."""
        with self._turn:
            self._stopping = True
            self._turn.notify_all()
        if self._alone and not self.channel.is_closed:
            self._end()
        elif not self._alone and self._thread is not threading.current_thread():
            self._thread.join()
        atexit.unregister(self.stop)

    def state(self) -> dict[str, Any]:
        """Return all there is to know by name, ready for JSON: see the class."""
        raise NotImplementedError

    @contextmanager
    def hold(self) -> Iterator[miniGPT]:
        """Return the model for a `with` block, in which it does not change.

        Raises
        ------
        RuntimeError
            If there is none, as something went wrong before.
        """
        self.ready.wait()
        with self._turn:
            self._guests += 1
        try:
            with self._still:
                if self.model is None:
                    raise RuntimeError(f"there is no model: {self.problem or 'it was stopped'}")
                yield self.model
        finally:
            with self._turn:
                self._guests -= 1
                self._turn.notify_all()

    @property
    def n_bytes(self) -> int:
        """About how many bytes it keeps."""
        raise NotImplementedError

    @property
    def status(self) -> str:
        """What it is doing, in a word."""
        raise NotImplementedError

    def pause(self) -> None:
        """Stop after the step that is being taken, where that is in our hands."""

    def go_to(self, step: int) -> None:
        """Go to another step."""
        raise NotImplementedError

    def slow_step(self) -> SlowStep:
        """Look at the step that comes next in slow motion; it is not taken."""
        raise NotImplementedError

    def rows(self) -> list[Row]:
        """Return the rows of the steps so far; of very many not all."""
        raise NotImplementedError

    def history(self) -> History:
        """Return the rows as `minigpt.show.figures.loss_curves.loss_curves` draws them."""
        raise NotImplementedError

    def layers(self) -> LayerHistory:
        """Return what was measured of the layers, as `layer_curves` draws it."""
        raise NotImplementedError

    def _start(self) -> None:
        atexit.register(self.stop)
        try:
            self._thread.start()
        except RuntimeError:
            self._alone = True
            self._attempt(self._work)

    def _run(self) -> None:
        self._attempt(self._work)
        self._end()

    def _attempt(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # whoever listens shall know, whatever it was
            self._fail(error)
        finally:
            self.ready.set()

    def _end(self) -> None:
        self.channel.publish("end")
        self.channel.close()

    def _work(self) -> None:
        raise NotImplementedError

    def _history(self) -> Event:
        with self._turn:
            samples = [{"step": step, "text": text} for step, text in self._samples.items()]
        return Event("history", {"rows": self.rows(), "samples": samples})

    def _tell_sample(self, step: int, text: str) -> None:
        text = visible(text)
        with self._turn:
            self._samples[step] = text
            if len(self._samples) > MOST_SAMPLES:
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
    """Return the settings that a page shows, by name, ready for JSON."""
    found = {name: getattr(settings, name) for name in SHOWN}
    return found | {"tokenizer": visible(Path(settings.tokenizer).name)}


def thinned(n: int, kept: Callable[[int], bool]) -> list[int]:
    """Choose about `ROWS_IN_STATE` of range(n): the last, every so many before, and `kept`."""
    every = math.ceil(n / ROWS_IN_STATE)
    return [i for i in range(n) if (n - 1 - i) % every == 0 or kept(i)]


def next_step(
    model: miniGPT, optimizer: Optimizer, dataset: Dataset, settings: Settings, now: int
) -> SlowStep:
    """Return the step that `minigpt.train` takes after `now` steps in slow motion.

    Where batches are accumulated it is that of the first of them.
    """
    s, number = settings, now + 1
    x, y = get_batch(
        dataset.train, s.block_size, s.batch_size, np.random.default_rng([s.seed, number])
    )
    # What dropout drops follows from the number too: see `Replicas.reseed`.
    chance = np.random.default_rng([s.seed, number, 0]).bit_generator.state
    model.rng.bit_generator.state = chance
    rate = warmup_cosine(
        min(now, s.steps), s.steps, s.warmup, s.learning_rate, s.final_learning_rate
    )
    return slow_step(model, x, y, optimizer, rate, s.clip)
