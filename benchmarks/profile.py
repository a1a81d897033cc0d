"""The time of a training step by kind of work.

The methods that do the work are wrapped in a clock, which stops while another of these methods runs
inside. Narrow models are measured on one thread, because each thread does the same work on its
share of the batch. Wide models train in one Python thread whose matrix products use all cores, and
are measured like that.
"""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from benchmarks.configurations import Configuration
from benchmarks.interleave import Spread
from benchmarks.options import Options
from benchmarks.report import Table
from benchmarks.training import Ours
from minigpt import AdamW
from minigpt.core import functional, layers, model
from minigpt.fast import feed_forward
from minigpt.fast.replicas import WIDE_D_MODEL

REST = "the rest: residuals, dropout, Python"
KINDS: dict[str, list[tuple[Any, str]]] = {
    "products with weights (Linear)": [(layers.Linear, "forward"), (layers.Linear, "backward")],
    "attention": [(functional, "attention"), (functional, "attention_backward")],
    "GELU": [(feed_forward, "elementwise")],
    "LayerNorm": [(layers.LayerNorm, "forward"), (layers.LayerNorm, "backward")],
    "embeddings": [
        (kind, method)
        for kind in (layers.Embedding, layers.PositionalEncoding)
        for method in ("forward", "backward")
    ],
    "head and loss": [(model, "head_loss")],
    "AdamW": [(AdamW, "step")],
}


class Clock:
    """Sums the seconds of each kind of work, without other kinds that run inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._within: list[str] = []
        self._since = time.perf_counter()

    def _switch(self) -> None:
        now = time.perf_counter()
        if self._within:
            self.seconds[self._within[-1]] += now - self._since
        self._since = now

    def timed(self, kind: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return `work` wrapped so that its time counts as `kind`."""

        @functools.wraps(work)
        def wrapped(*args: Any, **options: Any) -> Any:
            self._switch()
            self._within.append(kind)
            try:
                return work(*args, **options)
            finally:
                self._switch()
                self._within.pop()

        return wrapped

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Measure all of `KINDS` within a `with` block."""
        with ExitStack() as stack:
            for kind, works in KINDS.items():
                for owner, name in works:
                    timed = self.timed(kind, getattr(owner, name))
                    stack.enter_context(mock.patch.object(owner, name, timed))
            yield


def run(options: Options) -> list[Table]:
    """Measure all configurations and return their tables."""
    return [profile(c, options) for c in options.configurations]


def profile(c: Configuration, options: Options) -> Table:
    """Measure the steps of one configuration."""
    options.say(str(c))
    n_threads = options.threads if c.d_model >= WIDE_D_MODEL else 1
    ours, steps = Ours(c, n_threads), []
    with ours.side() as step:
        for _ in range(options.rounds_for(c) + 2):
            clock = Clock()
            with clock.watching():
                clock.timed(REST, step)()
            steps.append(clock.seconds)
    del steps[:2]  # the first steps fill caches and start threads
    totals = [sum(seconds.values()) for seconds in steps]
    title = f"{c.name}, time of a step by kind of work, {n_threads} threads"
    table = Table(title, (), "share")
    for kind in (*KINDS, REST):
        spent = [seconds[kind] for seconds in steps]
        shares = [part / total for part, total in zip(spent, totals, strict=True)]
        table.add(kind, "ms", 1000 * Spread.of(spent).median, None, Spread.of(shares))
    rate = c.needed_flops / Spread.of(totals).median / 1e9
    table.add(f"the whole step, at {rate:.0f} GFLOP/s", "ms", 1000 * Spread.of(totals).median)
    return table
