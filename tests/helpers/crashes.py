"""A run that is killed, again and again, at random moments; and one that is left in peace.

The run is tiny, and saves every third step, so that half of its time goes into saving.
"""

import json
import random
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

STEPS, EVERY = 60, 3
TEXT = "my dear goose, take this lantern. my dear fox, where is my lantern?\n" * 20

# Trains to the end, or until it is killed: by others, or by itself, at its n-th operation on the
# files of the run. The second way meets all moments inside a save, be they ever so short.
TRAIN = r"""
import os, signal, sys
from pathlib import Path
from minigpt import Settings
from minigpt.runs import Run

folder, kill_at, steps, every = Path(sys.argv[1]), *map(int, sys.argv[2:5])
count = 0

def tell(text):
    sys.stdout.write(text + "\n")  # in one piece, also where Python does not buffer
    sys.stdout.flush()

def hook(event, arguments):
    global count
    if event.split(".")[0] in ("open", "os", "shutil", "tempfile") and any(
        str(folder) in str(argument) for argument in arguments
    ):
        count += 1
        if count == kill_at:
            frame, names = sys._getframe(), set()
            while frame := frame.f_back:
                names.add(frame.f_code.co_name)
            tell(f"saving {int('save' in names)}")
            os.kill(os.getpid(), getattr(signal, "SIGKILL", 9))

sys.addaudithook(hook)

if (folder / "training.json").exists() or list(folder.glob("checkpoint-*")):
    run = Run.resume(folder, {}, lambda text: tell(f"note {text}"))
else:
    run = Run.new(Settings(
        data=(str(folder.parent / "text.txt"),), tokenizer="char", n_layers=1, n_heads=2,
        d_model=16, block_size=8, dropout=0.1, steps=steps, batch_size=2, warmup=5, keep=1,
        eval_every=every, eval_tokens=32, sample_every=7, sample_tokens=4, threads=1,
    ), folder)
tell(f"begin {run.step}")
for step in run.steps():
    tell(f"done {step.number}")
tell(f"operations {count}")
"""


@dataclass
class Life:
    """What is known of a process: the last step it told of, how it ended."""

    done: int
    saving: int
    notes: list[str]
    operations: int
    code: int
    errors: str


def live(folder: Path, kill_at: int = 0, delay: float | None = None, before: int = 0) -> Life:
    """Train in `folder` until the end, the `kill_at`-th operation, or `delay` after the start."""
    command = [sys.executable, "-c", TRAIN, str(folder), str(kill_at), str(STEPS), str(EVERY)]
    life = Life(before, 0, [], 0, 0, "")
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as process:
        timer = None
        for line in process.stdout:
            word, _, rest = line.rstrip("\n").partition(" ")
            if word == "begin":
                # Steps up to `before` were done; only those after the last save may be lost.
                assert before - before % EVERY <= int(rest)
                life.done = int(rest)
                if delay is not None:
                    timer = threading.Timer(delay, process.kill)
                    timer.start()
            elif word == "done":
                life.done = int(rest)
            elif word == "saving":
                life.saving = int(rest)
            elif word == "note":
                life.notes.append(rest)
            else:
                life.operations = int(rest)
        life.errors = process.stderr.read()
        life.code = process.wait()
        if timer is not None:
            timer.cancel()
    return life


def what_remains(folder: Path) -> dict[str, object]:
    """Return what two runs have to agree in: all but times."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        del row["tokens_per_second"]
    names = (
        *("model.safetensors", "training_state.safetensors", "tokenizer.json"),
        *("layers.jsonl", "samples.txt"),
    )
    return {"metrics": rows, **{name: (folder / name).read_bytes() for name in names}}


def survive(folder: Path, kills: int, seed: int) -> dict[str, int]:
    """Kill a run so many times, and another when it is done; check all that a run promises.

    At least a third of the kills are inside a save. Gives how many there were of all that.
    """
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    peace = live(folder / "peace")
    assert peace.code == 0, peace.errors
    expected = what_remains(folder / "peace")
    chance = random.Random(seed)
    killed = saving = runs = before = 0
    place = folder / "killed-0"
    alive = False
    while (more := killed < kills or saving < kills // 3) or alive:
        how: dict[str, float] = {}
        if more and chance.random() < 0.6:
            how = {"kill_at": chance.randint(1, peace.operations // 3)}
        elif more:
            how = {"delay": chance.uniform(0, 0.2)}
        life = live(place, before=before, **how)
        before, alive = life.done, life.code != 0
        assert life.errors == ""
        assert life.notes == []  # no checkpoint was ever found damaged
        if alive:
            killed += 1
            saving += life.saving
        else:
            assert what_remains(place) == expected
            assert not list(place.glob(".*.tmp"))
            runs, before = runs + 1, 0
            place = folder / f"killed-{runs}"
    return {"kills": killed, "inside a save": saving, "runs": runs}
