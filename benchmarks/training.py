"""The training step against PyTorch: forward, backward, clipping, AdamW, in tokens per second.

Both sides start from the same weights and see the same batches. Before anything is timed, three
steps must have equal losses and end at equal weights.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.ceilings import Ceiling, matrix_product
from benchmarks.configurations import Configuration
from benchmarks.interleave import Side, Spread, Work, always, interleave
from benchmarks.options import Options
from benchmarks.plots import draw_bars
from benchmarks.report import Table
from benchmarks.texts import batch_of
from benchmarks.torch_gpt import TorchGPT, adamw, copy_weights, paired, step_of
from minigpt import AdamW, clip_gradients
from minigpt.core.functional import Array
from minigpt.fast.recompute import recompute
from minigpt.fast.replicas import Replicas

LEARNING_RATE = 1e-4
N_BATCHES = 20  # in turns: a single batch would be memorised, with unusual gradients

TARGET_SPEEDUPS = {"S": (1.5, 1.2), "M": (1.25, 1.05), "L": (1.9, 1.5), "X": (1.25, 1.05)}
TARGET_SHARE_OF_CEILING = {"S": 0.55, "M": 0.80, "L": 0.70, "X": 0.70}
TARGET_TWO_THREADS = {"S": 1.7, "M": 1.7}
MAX_PLAIN_LOOP = {"S": 1.4, "M": 1.4}
MAX_DROPOUT_COST = 1.15


class Ours:
    """Our training step, as `minigpt.train` does it."""

    def __init__(
        self, c: Configuration, n_threads: int, dropout: float = 0.0, recomputed: bool = False
    ) -> None:
        self.model = c.model(dropout=dropout)
        if recomputed:
            recompute(self.model)
        self.n_threads = n_threads
        self.replicas = Replicas(self.model, n_threads)
        self.optimizer = AdamW(self.model)
        self.batches = itertools.cycle([batch_of(c, seed) for seed in range(N_BATCHES)])

    def step(self) -> float:
        """Take one step and return its loss."""
        loss = self.replicas.learn(*next(self.batches))
        clip_gradients(self.model.flat.grads, 1.0)
        self.optimizer.step(LEARNING_RATE)
        return loss

    @contextmanager
    def side(self) -> Iterator[Work]:
        """Start the threads, yield `step`, and stop the threads."""
        with ExitStack() as stack:
            if self.n_threads == 1:  # otherwise the thread would multiply matrices on all cores
                stack.enter_context(threadpool_limits(1, user_api="blas"))
            stack.enter_context(self.replicas)
            yield self.step


def plain_loop(c: Configuration) -> Work:
    """Return the step of README's plain loop, with NumPy's own threads."""
    model = c.model()
    batches = itertools.cycle([batch_of(c, seed) for seed in range(N_BATCHES)])

    def step() -> None:
        x, y = next(batches)
        model.forward(x, targets=y)
        model.backward()
        for name, param in model.params().items():
            grad = model.grads()[name]
            param -= LEARNING_RATE * grad

    return step


def pytorch_sides(
    c: Configuration, ours: Ours, backend: str = "inductor", n_checked: int = 3
) -> tuple[dict[str, Side], str]:
    """Return PyTorch's sides, after a check that they take the same steps as ours.

    Parameters
    ----------
    c : the configuration.
    ours : our side, which takes `n_checked` steps.
    backend : the backend of `torch.compile`.
    n_checked : number of steps to compare.

    Returns
    -------
    The sides by name; and why the compiled one is missing, or "".
    """
    start = {name: param.copy() for name, param in ours.model.params().items()}
    with ours.side() as our_step:
        losses = [our_step() for _ in range(n_checked)]

    model = TorchGPT(c)
    sides: dict[str, Side] = {}
    problem = ""
    for name, fused in (("eager", None), ("compiled", None), ("eager, fused AdamW", True)):
        copy_weights(start, model)
        batches = itertools.cycle(
            [tuple(map(torch.tensor, batch_of(c, seed))) for seed in range(N_BATCHES)]
        )
        loss_of = torch.compile(model, backend=backend) if name == "compiled" else model
        work = with_batches(step_of(loss_of, model, adamw(model, fused), LEARNING_RATE), batches)
        try:
            their_losses = [work() for _ in range(n_checked)]
        except Exception as error:
            if name != "compiled":
                raise
            problem = f"torch.compile does not work here: {error!r:.200}"
            continue
        what = f"{c.name}, PyTorch {name}"
        check_losses(what, losses, their_losses)
        check_movement(what, start, ours.model.params(), model)
        sides[name] = always(work)
    return sides, problem


def with_batches(
    step: Callable[..., float], batches: Iterator[tuple[Any, ...]]
) -> Callable[[], float]:
    """Return a function that calls `step` with the next batch each time."""
    return lambda: step(*next(batches))


def check_losses(what: str, ours: Sequence[float], theirs: Sequence[float]) -> None:
    """Raise unless both sides have the same losses."""
    if not np.allclose(ours, theirs, rtol=2e-4):
        raise RuntimeError(
            f"{what}: the losses are {theirs}, but ours are {ours}: the models differ"
        )


def check_movement(
    what: str, start: Mapping[str, Array], ours: Mapping[str, Array], theirs: TorchGPT
) -> None:
    """Raise unless the steps of both sides end at the same weights.

    With rounding errors, the ends differ by at most 1/10,000 of the distance moved. Without weight
    decay, or with another β₂, they differ by at least 1/1,000.
    """
    pairs = list(paired(ours, theirs))
    apart = math.hypot(*(float((end - their_end).norm()) for end, their_end in pairs))
    moved = math.hypot(*(float(np.linalg.norm(ours[name] - start[name])) for name in ours))
    if apart > 5e-4 * moved:
        raise RuntimeError(
            f"{what}: the ends of the steps differ by {apart / moved:.2%} of their length"
        )


def run(options: Options) -> list[Table]:
    """Measure all configurations and return their tables."""
    ceiling = matrix_product(options.quick)
    against = Table(
        "Training step, against PyTorch",
        [
            "Forward, backward, clipping, AdamW; float32, all cores on both sides.",
            "Fused AdamW is not PyTorch's default on CPUs; it is shown for completeness.",
        ],
        "times as fast",
    )
    shares = Table(
        "Training step, against the rate of matrix products",
        [
            f"The ceiling: {ceiling.what}, measured once in each round.",
            "Operations by PaLM's convention; half attention: without those the causal mask saves.",
        ],
        "share",
    )
    own = Table("Training step, threads, dropout, recomputing, the plain loop", (), "ratio")
    for c in options.configurations:
        options.say(str(c))
        against_pytorch(c, options, ceiling, against, shares)
        measure_options(c, options, own)
    draw_bars(options.plots / "training.svg", against.title, against.rows, against.ratio_is)
    top = ceiling.table("Matrix products, float32, all cores", "GFLOP/s")
    return [top, against, shares, own]


def against_pytorch(
    c: Configuration, options: Options, ceiling: Ceiling, against: Table, shares: Table
) -> None:
    """Measure one configuration against PyTorch and the ceiling."""
    ours = Ours(c, options.threads)
    backend = "aot_eager" if options.quick else "inductor"  # inductor takes half a minute
    theirs, problem = pytorch_sides(c, ours, backend)
    sides = {"ours": ours.side, **theirs, "ceiling": always(ceiling.work)}
    rounds = interleave(sides, options.rounds_for(c), options.at_least)

    speed = c.tokens / rounds.median("ours")
    targets = dict(zip(("eager", "compiled"), TARGET_SPEEDUPS.get(c.name, ()), strict=False))
    for name in theirs:
        against.add(
            f"{c.name}, PyTorch {name}", "tokens/s", speed, c.tokens / rounds.median(name),
            rounds.ratio(name, "ours"), targets.get(name),
        )  # fmt: skip
    if problem:
        against.add(f"{c.name}, PyTorch compiled", "tokens/s", speed, note=problem)

    top = ceiling.amount / rounds.median("ceiling") / 1e9
    ratio = rounds.ratio("ceiling", "ours")  # of seconds; below, with operations, of rates
    for what, flops, target in (
        ("", c.flops, TARGET_SHARE_OF_CEILING.get(c.name)),
        (", half attention", c.needed_flops, None),
    ):
        share: Spread = ratio.times(flops / ceiling.amount)
        rate = flops / rounds.median("ours") / 1e9
        shares.add(f"{c.name}{what}", "GFLOP/s", rate, top, share, target)


def measure_options(c: Configuration, options: Options, own: Table) -> None:
    """Measure the gain from threads, and the cost of dropout, recomputing and the plain loop."""
    sides: dict[str, Side] = {"all": Ours(c, options.threads).side}
    sides["dropout"] = Ours(c, options.threads, dropout=0.2).side
    sides["recomputed"] = Ours(c, options.threads, recomputed=True).side
    small = options.quick or c.name in MAX_PLAIN_LOOP
    if small:
        sides["plain"] = always(plain_loop(c))
        sides["one"] = Ours(c, 1).side
        if options.threads > 1:
            sides["two"] = Ours(c, 2).side
    rounds = interleave(sides, options.rounds_for(c), options.at_least)

    def add(what: str, one: str, other: str, target: float | None, at_most: bool) -> None:
        left, right = (1000 * rounds.median(name) for name in (one, other))
        ratio = rounds.ratio(one, other) if at_most else rounds.ratio(other, one)
        own.add(f"{c.name}, {what}", "ms", left, right, ratio, target, at_most)

    if "two" in sides:
        add("two threads, one thread", "two", "one", TARGET_TWO_THREADS.get(c.name), at_most=False)
    add(
        "dropout 0.2, none",
        "dropout",
        "all",
        None if options.quick else MAX_DROPOUT_COST,
        at_most=True,
    )
    add("recomputed, not", "recomputed", "all", None, at_most=True)
    if small:
        add(
            "plain loop with SGD, trainer", "plain", "all", MAX_PLAIN_LOOP.get(c.name), at_most=True
        )
