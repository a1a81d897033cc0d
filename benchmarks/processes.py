"""Training on several processes (MPI) against as many threads, all on this machine.

Each result comes from its own training run, started as a user would start it: `minigpt.train` with
or without mpiexec. The runs take turns, as in all benchmarks.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.configurations import TINY, Configuration, M, S
from benchmarks.interleave import Spread
from benchmarks.options import Options
from benchmarks.report import Table
from minigpt import Dataset, Settings, train
from minigpt.fast.machines import world

WARM_UP = 3
"""Number of first steps that are not counted."""


def run(options: Options) -> list[Table]:
    """Compare n processes with n threads, and with one thread."""
    n = max(2, options.threads)
    table = Table(
        "Training step, processes over MPI",
        [
            f"{n} processes with one thread each, on one machine; all rows use the same batch.",
            "The step includes the sum of the gradient; its ratio is its share of the step.",
        ],
    )
    for c in [TINY] if options.quick else [S, M]:
        rounds: dict[str, list[float]] = {"processes": [], "threads": [], "one": [], "sum": []}
        for i in range(options.rounds_for(c)):
            options.say(f"{c}: round {i + 1}")
            steps = 2 if options.quick else 20
            together = measure(c, n, 1, steps)
            rounds["processes"].append(together["tokens_per_second"])
            rounds["sum"].append(1000 * together["sum_seconds"])
            rounds["threads"].append(measure(c, 1, n, steps)["tokens_per_second"])
            rounds["one"].append(measure(c, 1, 1, steps)["tokens_per_second"])
        for peer, what in (("threads", f"{n} threads"), ("one", "one thread")):
            add(table, f"{c.name}: {n} processes, {what}", rounds["processes"], rounds[peer])
        milliseconds = [1000 * c.tokens / rate for rate in rounds["processes"]]
        what = f"{c.name}: sum of the gradient, step of {n} processes"
        add(table, what, rounds["sum"], milliseconds, unit="ms")
    return [table]


def add(
    table: Table, what: str, ours: list[float], peer: list[float], unit: str = "tokens/s"
) -> None:
    """Add a row with the medians of both, and the spread of their ratio in each round."""
    ratio = Spread.of([a / b for a, b in zip(ours, peer, strict=True)])
    table.add(what, unit, statistics.median(ours), statistics.median(peer), ratio)


def measure(c: Configuration, n_processes: int, n_threads: int, steps: int) -> dict[str, float]:
    """Train in separate processes, and return their speed."""
    command = [sys.executable, "-m", __name__, c.name, str(n_threads), str(steps)]
    if n_processes > 1:
        mpiexec = Path(sys.executable).with_name("mpiexec")
        if not mpiexec.exists():
            raise RuntimeError(f"no {mpiexec}: pip install -e '.[mpi]'")
        command = [str(mpiexec), "-n", str(n_processes), *command]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def work(name: str, n_threads: int, steps: int) -> None:
    """Train as one of the processes; the first one prints the speed as JSON."""
    c = {each.name: each for each in (S, M, TINY)}[name]
    together, model = world(), c.model()
    ids = np.random.default_rng(0).integers(0, c.V, 100_000)
    settings = Settings(
        block_size=c.T,
        batch_size=c.batch,
        steps=WARM_UP + steps,
        eval_every=10**9,
        eval_tokens=c.T,
        threads=n_threads,
    )
    dataset = Dataset("random", ids, ids[:1000], 1000)
    taken = list(train(model, dataset, settings, world=together))[WARM_UP:]
    sums = []
    for _ in range(steps):
        together.any(False)  # a barrier: all processes begin together
        began = time.perf_counter()
        together.all_reduce(model.flat.grads, 0.0)
        sums.append(time.perf_counter() - began)
    figures = {
        "tokens_per_second": statistics.median(step.tokens_per_second for step in taken),
        "sum_seconds": statistics.median(sums),
    }
    if together.rank == 0:
        print(json.dumps(figures))


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
