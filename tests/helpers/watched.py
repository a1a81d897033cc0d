"""A run that another process trains, and events up to a certain one."""

import subprocess
import sys
import time
from contextlib import contextmanager

from tiny import TEXT

from minigpt.web.learn.channel import Subscription

TRAIN_SLOWLY = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from minigpt import Settings\n"
    "from minigpt.runs import Run\n"
    "run = Run.new(Settings().replace(eval(sys.argv[2])), Path(sys.argv[1]) / 'run')\n"
    "for step in run.steps():\n"
    "    time.sleep(0.01)\n"
)
RUN_SETTINGS = {
    "tokenizer": "char", "n_layers": 1, "n_heads": 2, "d_model": 16, "block_size": 8,
    "steps": 60, "batch_size": 2, "warmup": 3, "eval_every": 20, "eval_tokens": 32,
    "sample_every": 20, "sample_tokens": 4, "threads": 1, "dropout": 0.1, "keep": 9,
}  # fmt: skip


@contextmanager
def training(folder):
    """Train a run in another process; return the process and the run folder when it exists."""
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    settings = RUN_SETTINGS | {"data": [str(folder / "text.txt")]}
    command = [sys.executable, "-c", TRAIN_SLOWLY, str(folder), repr(settings)]
    with subprocess.Popen(command) as process:
        while not (folder / "run/training.json").exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield process, folder / "run"


def until(events, kind, **data):
    """Return all events up to the first of this kind that has `data`.

    They come from a subscription, or as dictionaries from a page's stream.
    """
    if isinstance(events, Subscription):
        events = iter(lambda subscription=events: subscription.get(timeout=30), None)
    taken = []
    for event in events:
        taken.append(event)
        found = event if isinstance(event, dict) else event.to_dict()
        if found["kind"] == kind and data.items() <= found.items():
            return taken
    raise AssertionError(f"no {kind} {data} among {taken}")
