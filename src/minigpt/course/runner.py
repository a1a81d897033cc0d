"""Run the learner's code, in a process of its own: `python -m minigpt.course.runner FOLDER`.

`apart` starts it. FOLDER/job.json says what to do. The results of each case are written beside it,
and at the end report.json; if that is missing, the process ended before.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import io
import json
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.course.crossing import receive, send
from minigpt.course.exercise import Exercise, WrongCount, as_lists
from minigpt.course.lesson_folder import Lesson

MAX_MEMORY = 4 * 2**30
"""Bytes of addresses; there is no such limit on Windows."""
MAX_PRINTED = 2000
"""Characters that are kept of what the learner's code prints."""


class Printed(io.TextIOBase):
    """Keeps the first characters that are printed."""

    text = ""

    def write(self, text: str) -> int:
        """Keep the beginning."""
        self.text += text[: MAX_PRINTED - len(self.text)]
        return len(text)


def failure(error: BaseException, folder: Path) -> dict[str, Any]:
    """Describe an exception: its type and text, and the last line of the learner's files."""
    places = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    theirs = [(Path(file).name, line) for file, line in places if Path(file).parent == folder]
    file, line = theirs[-1] if theirs else ("", None)
    text = error.msg if isinstance(error, SyntaxError) else str(error)[:1000]
    return {"type": type(error).__name__, "text": text, "file": file, "line": line}


def changed_inputs(inputs: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Return the names of the inputs that are not what they were."""
    return [name for name, value in inputs.items() if _changed(value, before[name])]


def _changed(value: Any, before: Any) -> bool:
    if isinstance(value, np.ndarray | float):
        return not np.array_equal(value, before, equal_nan=np.asarray(value).dtype.kind == "f")
    return bool(as_lists(value) != as_lists(before))


def work(folder: Path, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Run the cases, one report each, and then the exercise in a model if asked to."""
    from minigpt.course.joined import losses_with

    lesson = Lesson(job["number"], Path(job["lesson"]))
    exercise: Exercise = lesson.exercises[job["exercise"]]
    learner = importlib.import_module(lesson.stem)
    for n in range(job["n_cases"]):
        inputs, before = receive(folder / f"in_{n}"), receive(folder / f"in_{n}")
        with np.errstate(all="ignore"):
            try:
                results = exercise.run(learner, inputs)
            except WrongCount as wrong:
                yield {"wrong_count": str(wrong)}
                return
        send(results, folder / f"out_{n}")
        yield {"changed": changed_inputs(inputs, before)}
    if exercise.used_in:
        try:
            with np.errstate(all="ignore"):
                losses = losses_with(lesson, exercise, learner)
            yield {"losses": losses}
        except Exception as error:
            yield {"error_in_model": failure(error, Path(job["folder"]))}


def main(folder: Path) -> None:
    """Do what job.json says."""
    job = json.loads((folder / "job.json").read_text("utf-8"))
    theirs = Path(job["folder"])
    sys.path.append(str(theirs))
    sys.dont_write_bytecode = True
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource  # not there on Windows

        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    printed, done = Printed(), []
    with (folder / "stack.txt").open("w", encoding="utf-8") as stack:
        faulthandler.dump_traceback_later(job["seconds"], exit=True, file=stack)
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            try:
                for report in work(folder, job):
                    done.append(report)
            except (Exception, SystemExit, KeyboardInterrupt) as error:
                done.append({"error": failure(error, theirs)})
        faulthandler.cancel_dump_traceback_later()
    summary = json.dumps({"done": done, "printed": printed.text})
    (folder / "report.json").write_text(summary, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
