"""The learner's folder: a file and a page for each lesson, and the marks as tests.

There is no record of what was passed: the files themselves say it. Only the number of hints seen is
noted, in `.hints.json`; without it, hints begin anew.
"""

from __future__ import annotations

import ast
import json
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from minigpt.course.exercise import Exercise
from minigpt.course.lesson_folder import Lesson
from minigpt.support.files import write_json, write_text
from minigpt.support.untrusted_files import open_to_read

HINTS_FILE = ".hints.json"
MAX_SOURCE = 2**20
"""Bytes of a learner's file."""

TESTS = '''"""The marks of the course as tests:  pytest <this folder>"""

from pathlib import Path

import pytest

from minigpt.course.lesson_folder import find, lessons
from minigpt.course.marker import mark

EXERCISES = find("", lessons())


@pytest.mark.parametrize(("lesson", "exercise"), EXERCISES, ids=[e.id for _, e in EXERCISES])
def test_exercise(lesson, exercise):
    verdict = mark(Path(__file__).parent, lesson, exercise)
    assert verdict.right, f"\\n{verdict}"
'''


def is_course(folder: Path) -> bool:
    """Return whether a folder has a learner's files in it."""
    return any(folder.glob("lesson_[0-9][0-9].py"))


def start(folder: Path, lessons: Mapping[int, Lesson]) -> list[str]:
    """Put a file and a page for each lesson into `folder`; leave alone what is there.

    Returns
    -------
    The names of the new files.

    Raises
    ------
    ValueError
        If the folder has other files, and none of the course.
    """
    if folder.is_dir() and any(folder.iterdir()) and not is_course(folder):
        raise ValueError(f"{folder} is not empty: name a new folder for the course")
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"test_course.py": TESTS}
    for lesson in lessons.values():
        texts |= {f"{lesson.stem}.py": lesson.stub, f"{lesson.stem}.md": lesson.page}
    new = [name for name in sorted(texts) if not (folder / name).exists()]
    for name in new:
        write_text(folder / name, texts[name])
    return new


def reset(folder: Path, lesson: Lesson, exercise: Exercise | None = None) -> Path | None:
    """Put a fresh copy of a lesson, or of one exercise of it, into the learner's file.

    Returns
    -------
    The file with the learner's old lines, beside the new one; None if there was none.
    """
    path = folder / f"{lesson.stem}.py"
    old = read_source(path) if path.exists() else None
    if exercise is None or old is None:
        fresh = lesson.stub
    else:
        fresh = _with_fresh(old, lesson, exercise, path)
    kept = None
    if old is not None and old != fresh:
        numbers = range(1, len(list(folder.iterdir())) + 2)
        kept = next(
            each for n in numbers if not (each := folder / f"{lesson.stem}.old-{n}.py").exists()
        )
        write_text(kept, old)
    write_text(path, fresh)
    return kept


def _with_fresh(old: str, lesson: Lesson, exercise: Exercise, path: Path) -> str:
    """Return the learner's source with the stub of one exercise in it."""
    try:
        node = definition(old, exercise.name)
    except (SyntaxError, ValueError) as error:
        raise ValueError(
            f"Python cannot read {path}: {error}. Mend that line, or reset the whole lesson with "
            f"`minigpt course reset {lesson.number}`"
        ) from None
    stub = definition(lesson.stub, exercise.name)
    assert stub is not None, f"{lesson.stem} has no stub of {exercise.name}"
    fresh = lesson.stub.splitlines()[stub.lineno - 1 : stub.end_lineno]
    lines = old.splitlines()
    if node is None:
        return "\n".join([*lines, "", "", *fresh]) + "\n"
    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
    return "\n".join([*lines[: first - 1], *fresh, *lines[node.end_lineno :]]) + "\n"


_PARSING = threading.Lock()
Definition = ast.FunctionDef | ast.ClassDef


@lru_cache(maxsize=64)
def parse(source: str) -> ast.Module:
    """Return the syntax tree of a source, to be read and not changed.

    Several exercises are marked at once, and Python 3.11 confuses trees that two threads make at
    the same time ("AST constructor recursion depth mismatch").
    """
    with _PARSING:
        return ast.parse(source)


def definition(source: str, name: str) -> Definition | None:
    """Return the last function or class of this name in `source`; None if there is none."""
    found = [
        node
        for node in parse(source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
    ]
    return found[-1] if found else None


def read_source(path: Path) -> str:
    """Read a learner's file, which may be a stranger's."""
    with open_to_read(path) as file:
        content = file.read(MAX_SOURCE + 1)
    if len(content) > MAX_SOURCE:
        raise ValueError(f"{path} has more than {MAX_SOURCE:,} bytes: it is not a lesson's file")
    return content.decode("utf-8-sig")


def next_hint(folder: Path, exercise: Exercise) -> tuple[int, str]:
    """Return the number of the next hint and its text; after the last one, the last one again."""
    path = folder / HINTS_FILE
    try:
        seen = json.loads(read_source(path))
        n = int(seen.get(exercise.id, 0))
    except (OSError, ValueError, AttributeError, TypeError):
        seen, n = {}, 0
    n = min(max(n, 0) + 1, len(exercise.hints))
    write_json(path, {**seen, exercise.id: n})
    return n, exercise.hints[n - 1]
