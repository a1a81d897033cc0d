"""The time of a start, each in a new process, and the size of the installation."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import minigpt
from benchmarks.generation import demo_model
from benchmarks.interleave import Spread, always, interleave
from benchmarks.options import Options
from benchmarks.report import Table
from minigpt import BPETokenizer
from minigpt.text.corpus import plays

TIMED = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
IMPORTS = {
    "import minigpt": 1.3,
    "from minigpt import miniGPT": None,
    "from minigpt import miniGPT, BPETokenizer, Settings, train": None,
}


def run(options: Options) -> list[Table]:
    """Measure the imports, the command line and the installed size."""
    table = Table(
        "Start",
        [
            "Imports are timed inside a new process; the rest is timed from outside, with Python's "
            "own start.",
            "The first token: a model of the demo's size, until the command has ended.",
        ],
    )
    add_imports(options, table)
    add_command(options, table, "minigpt --help", ["--help"], 0.5)
    with tempfile.TemporaryDirectory() as folder:
        model = demo_model()
        model.save_pretrained(folder, BPETokenizer().train(plays(100_000).text, model.vocab_size))
        arguments = ["generate", folder, "--prompt", "my dear", "--max-new-tokens", "1"]
        add_command(options, table, "minigpt generate, the first token", arguments, 1.0)
    size = installed_bytes("minigpt-numpy") / 1e6
    table.add("installed besides NumPy", "MB", size, target=20, at_most=True)
    return [table]


def add_imports(options: Options, table: Table) -> None:
    """Compare `import minigpt`, with and without some of its names, with `import numpy`."""
    options.say("import minigpt")
    numpy = "import numpy"
    seconds: dict[str, list[float]] = {what: [] for what in (numpy, *IMPORTS)}
    for i in range(1 + 2 * options.small):
        for what, found in seconds.items():
            command = [sys.executable, "-c", TIMED.format(what)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            if i:  # the first round reads files that the system then caches
                found.append(float(done.stdout))
    for what, target in IMPORTS.items():
        ratio = Spread.of([a / b for a, b in zip(seconds[what], seconds[numpy], strict=True)])
        medians = [1000 * Spread.of(seconds[name]).median for name in (what, numpy)]
        table.add(f"{what}, numpy", "ms", *medians, ratio, target, at_most=True)


def add_command(
    options: Options, table: Table, what: str, arguments: list[str], target: float
) -> None:
    """Time a miniGPT command from beginning to end."""
    options.say(what)
    command = [sys.executable, "-m", "minigpt", *arguments]

    def work() -> None:
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)

    times = interleave({"ours": always(work)}, options.small, at_least=0)
    table.add(what, "s", times.median("ours"), target=target, at_most=True)


def installed_bytes(name: str) -> int:
    """Return the bytes of a package and its dependencies except NumPy, compiled files included."""
    needed: dict[str, Distribution] = {}

    def collect(name: str) -> None:
        if name in needed or name == "numpy":
            return
        needed[name] = package = distribution(name)
        for line in package.requires or []:
            requirement, _, condition = line.partition(";")
            if "extra" not in condition and "python_version" not in condition:
                collect(re.split(r"[\s<>=!~\[(]", requirement.strip())[0])

    collect(name)
    files = {
        Path(str(file.locate())).resolve()
        for package in needed.values()
        for file in package.files or []
    }
    # In an editable installation, the package does not list its own files.
    files |= {path.resolve() for path in Path(minigpt.__file__).parent.rglob("*")}
    return sum(file.stat().st_size for file in files if file.is_file())
