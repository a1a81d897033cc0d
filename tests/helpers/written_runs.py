"""Run folders written by hand, and the command that reads them."""

import json
import os
import subprocess
import sys

from minigpt.training.settings import Settings


def row(number, **others):
    """Return the metrics of one step; `others` are further columns."""
    return {
        **{"number": number, "loss": 7 / number, "gradient_norm": 1.5},
        **{"learning_rate": 0.01, "tokens_per_second": 100.0 * number, **others},
    }


def lines(*rows):
    """Return rows as the text of a metrics.jsonl."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def make_run(folder, rows=(), floor=0.4, step=None, **settings):
    """Write the files of a run in `folder`, without a model."""
    folder.mkdir(parents=True)
    record = {
        **{"version": "0", "step": len(rows) if step is None else step},
        **{"floor_bits_per_character": floor},
        "settings": Settings().replace(settings).to_dict(),
    }
    (folder / "training.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "metrics.jsonl").write_text(lines(*rows), encoding="utf-8")
    return folder


def minigpt(*arguments, cwd, **environment):
    """Run the command line in `cwd`; return the finished process."""
    done = subprocess.run(
        [sys.executable, "-m", "minigpt", *map(str, arguments)],
        **{"cwd": cwd, "capture_output": True, "encoding": "utf-8", "timeout": 120},
        env={**os.environ, **environment},
    )
    assert "Traceback" not in done.stderr
    return done
