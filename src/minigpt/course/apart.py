"""Run the learner's code in a process of its own, with limits of time and memory.

A crash or a hang there costs nothing here. It is no prison: the code has the rights of the user who
runs it, so mark strangers' folders where that does no harm.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minigpt.course.crossing import receive, send
from minigpt.course.exercise import Case, Exercise, Values
from minigpt.course.lesson_folder import Lesson

SECONDS_TO_START = 20.0
"""Python and NumPy start slowly on a busy machine; the exercise has seconds of its own."""


@dataclass
class Outcome:
    """What the learner's code did."""

    results: list[Values] = field(default_factory=list)
    """The results of each case, until the first that failed."""
    changed: list[list[str]] = field(default_factory=list)
    """The inputs that each case changed."""
    losses: list[float] | None = None
    """In a model, if the exercise can be used in one."""
    error: dict[str, Any] | None = None
    """An exception: type, text, file and line."""
    error_in_model: dict[str, Any] | None = None
    ended: str = ""
    """Why the process ended before its time: "time" or "crash"."""
    line: tuple[str, int] | None = None
    """The file and the line where it was then."""
    wrong_count: str = ""
    printed: str = ""


def run_apart(folder: Path, lesson: Lesson, exercise: Exercise, cases: list[Case]) -> Outcome:
    """Run an exercise of the learner's `folder` on all cases, and then in a model."""
    with tempfile.TemporaryDirectory(prefix="minigpt-", ignore_cleanup_errors=True) as name:
        work = Path(name)
        for n, (_, inputs) in enumerate(cases):
            send(inputs, work / f"in_{n}")
        job = {
            "folder": str(folder.resolve()),
            "lesson": str(lesson.folder.resolve()),
            "number": lesson.number,
            "exercise": exercise.id,
            "n_cases": len(cases),
            "seconds": exercise.seconds,
        }
        (work / "job.json").write_text(json.dumps(job), "utf-8")
        _start(work, exercise.seconds + SECONDS_TO_START)
        return _outcome(work)


def _start(work: Path, seconds: float) -> None:
    command = [sys.executable, "-X", "utf8", "-m", "minigpt.course.runner", str(work)]
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command,
        cwd=work,
        env={**os.environ, **one_thread},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=os.name != "nt",
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process, and those that it started."""
    if os.name == "nt":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _outcome(work: Path) -> Outcome:
    report = work / "report.json"
    if not report.exists():
        stack = work / "stack.txt"
        text = stack.read_text("utf-8", "replace") if stack.exists() else ""
        found = re.search(r"[\\/](lesson_\d\d\.py)\", line (\d+)", text)
        line = (found[1], int(found[2])) if found else None
        return Outcome(ended="time" if "Timeout" in text else "crash", line=line)
    said = json.loads(report.read_text("utf-8"))
    outcome = Outcome(printed=said["printed"])
    for n, done in enumerate(said["done"]):
        if "changed" in done:
            outcome.results.append(receive(work / f"out_{n}"))
            outcome.changed.append(done["changed"])
        outcome.losses = done.get("losses", outcome.losses)
        outcome.error = done.get("error", outcome.error)
        outcome.error_in_model = done.get("error_in_model", outcome.error_in_model)
        outcome.wrong_count = done.get("wrong_count", "")
    return outcome
