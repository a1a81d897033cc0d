"""Peak memory of the training step, each side in its own process.

The result is the highest resident memory of the process, minus the highest one after imports and
after training a tiny model, because both sides import some modules only when they first train. So
it includes weights, gradients, AdamW's two means, activations, and everything else a side needs.
Each side initialises its own weights, because a copy would count as memory; only the numbers of
parameters are compared.

`python -m benchmarks.memory WHAT ARGUMENTS…` runs in such a process, and prints results as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.configurations import ALL, TINY, Configuration
from benchmarks.interleave import Spread
from benchmarks.options import Options
from benchmarks.report import Table
from benchmarks.texts import batch_of

if TYPE_CHECKING:
    from minigpt import miniGPT

N_STEPS = 3  # the first creates AdamW's means, the second has them and the activations
PAGE = 4096  # smallest result, so that ratios exist
TARGET = {"S": 1.0, "M": 1.0, "L": 1.0, "X": 0.8}  # "clearly lower" means by a fifth


def peak_bytes() -> int:
    """Return the highest resident memory of this process so far, in bytes.

    On Linux, `getrusage` inherits the value of the parent process, so /proc is used there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measure_work(work: Callable[[], Any]) -> dict[str, Any]:
    """Do the work; return how far the peak rose, the peak with all imports, and the result."""
    before = peak_bytes()
    result = work()
    peak = peak_bytes()
    return {"risen": max(PAGE, peak - before), "total": peak, "result": result}


def in_a_process(what: str, *arguments: object) -> dict[str, Any]:
    """Run one of `WORKS` in its own process, and return its results."""
    command = [sys.executable, "-m", "benchmarks.memory", what, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, encoding="utf-8", check=True)
    return json.loads(done.stdout)


def recomputed(name: str, n_threads: str) -> dict[str, Any]:
    """Take some of our training steps, with all blocks recomputed."""
    from minigpt.fast.recompute import recompute

    return ours(name, n_threads, recompute)


def ours(
    name: str, n_threads: str, prepare: Callable[[miniGPT], None] = lambda model: None
) -> dict[str, Any]:
    """Take some of our training steps, with a model on which `prepare` was called."""
    from minigpt import AdamW, clip_gradients
    from minigpt.fast.replicas import Replicas

    def train(c: Configuration) -> int:
        x, y = batch_of(c)
        model = c.model()
        prepare(model)
        with Replicas(model, int(n_threads)) as replicas:
            optimizer = AdamW(model)
            for _ in range(N_STEPS):
                replicas.learn(x, y)
                clip_gradients(model.flat.grads, 1.0)
                optimizer.step(1e-4)
        return model.flat.params.size

    return measure_training(train, name)


def pytorch(name: str, n_threads: str) -> dict[str, Any]:
    """Take some training steps in PyTorch."""
    import torch

    from benchmarks.torch_gpt import TorchGPT, adamw, step_of

    torch.set_num_threads(int(n_threads))

    def train(c: Configuration) -> int:
        x, y = map(torch.tensor, batch_of(c))
        model = TorchGPT(c)
        step = step_of(model, model, adamw(model), 1e-4)
        for _ in range(N_STEPS):
            step(x, y)
        return sum(param.numel() for param in model.parameters())

    return measure_training(train, name)


def measure_training(train: Callable[[Configuration], int], name: str) -> dict[str, Any]:
    """Measure `train` after a tiny training, in which both sides finish their imports."""
    c = (ALL | {TINY.name: TINY})[name]
    batch_of(c)  # reads the text before the measurement
    train(replace(TINY, d_model=4))
    return measure_work(lambda: train(c))


def train_tokenizer(path: str, vocab_size: str, n_processes: str) -> dict[str, Any]:
    """Train our tokenizer on a file."""
    from benchmarks import texts
    from minigpt import BPETokenizer
    from minigpt.text.encoding import count_words

    def work() -> int:
        tokenizer = BPETokenizer()
        words = count_words(tokenizer, texts.read(Path(path)), int(n_processes))
        return tokenizer.learn(words, int(vocab_size)).vocab_size

    return with_workers(measure_work(work), int(n_processes))


def encode_file(path: str, out: str, quick: str, n_processes: str) -> dict[str, Any]:
    """Encode a text file to a file of ids, and return their number."""
    from benchmarks import texts
    from minigpt import BPETokenizer
    from minigpt.text.encoding import encode_pieces

    def work() -> int:
        tokenizer = BPETokenizer.from_vocabulary(texts.vocabulary(quick == "True"))
        with Path(out).open("wb") as file:
            arrays = encode_pieces(tokenizer, texts.read(Path(path)), int(n_processes))
            return sum(file.write(ids.tobytes()) // ids.itemsize for ids in arrays)

    return with_workers(measure_work(work), int(n_processes))


def with_workers(found: dict[str, Any], n_processes: int) -> dict[str, Any]:
    """Return `found` with the largest peak of a worker, times their number, added to the total."""
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    return found | {"total": found["total"] + n_processes * largest}


WORKS = {work.__name__: work for work in (ours, recomputed, pytorch, train_tokenizer, encode_file)}


def run(options: Options) -> list[Table]:
    """Measure all configurations and return their table."""
    table = Table(
        "Training step, peak memory",
        [
            f"Peak resident memory above that of the imports, {N_STEPS} steps; PyTorch is eager.",
            "Recomputed: with minigpt train --recompute; for its cost in time, see `training`.",
        ],
        "share of PyTorch's",
    )
    for c in options.configurations:
        options.say(str(c))
        sides = ["ours", "recomputed", "pytorch"]
        rounds = [
            {side: in_a_process(side, c.name, options.threads) for side in sides}
            for _ in range(1 if options.quick else 3)
        ]
        for each in rounds:
            sizes = {side: figures["result"] for side, figures in each.items()}
            if len(set(sizes.values())) != 1:
                raise RuntimeError(f"{c}: the numbers of parameters differ: {sizes}")
        for side, what, target in (
            ("ours", c.name, TARGET.get(c.name)),
            ("recomputed", f"{c.name}, recomputed", None),
        ):
            ratio = Spread.of([each[side]["risen"] / each["pytorch"]["risen"] for each in rounds])
            left, right = (
                Spread.of([each[name]["risen"] / 1e6 for each in rounds]).median
                for name in (side, "pytorch")
            )
            table.add(what, "MB", left, right, ratio, target, at_most=True)
    return [table]


if __name__ == "__main__":
    print(json.dumps(WORKS[sys.argv[1]](*sys.argv[2:])))
