"""A lesson: a folder with its page, what the learner fills in, our solution, and how it is marked.

07_attention_backward/
    page.md        derives what is needed
    stub.py        the functions and classes to write
    solution.py    ours; its results are the reference
    marks.py       EXERCISES: a list of `Exercise`, and IMPORTS, what else may be imported
"""

from __future__ import annotations

import builtins
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from minigpt.course.exercise import Exercise

LESSONS = Path(__file__).with_name("lessons")
FILES = ("page.md", "stub.py", "solution.py", "marks.py")


@dataclass(frozen=True)
class Lesson:
    """One lesson; `folder` has the four files named above."""

    number: int
    folder: Path

    def __post_init__(self) -> None:
        if missing := [part for part in FILES if not (self.folder / part).is_file()]:
            raise ValueError(
                f"{self.folder}: a lesson is a folder with {', '.join(FILES)}; "
                f"{', '.join(missing)} is missing"
            )

    @property
    def stem(self) -> str:
        """The name of the learner's file, without its ending."""
        return f"lesson_{self.number:02}"

    @cached_property
    def page(self) -> str:
        """The text of the page, Markdown."""
        return (self.folder / "page.md").read_text("utf-8")

    @cached_property
    def title(self) -> str:
        """The title, without the number."""
        return re.sub(r"^# (Lesson \d+\. )?", "", self.page.splitlines()[0])

    @cached_property
    def stub(self) -> str:
        """The source that the learner fills in."""
        return (self.folder / "stub.py").read_text("utf-8")

    @cached_property
    def solution(self) -> str:
        """Our source."""
        return (self.folder / "solution.py").read_text("utf-8")

    @cached_property
    def _marks(self) -> ModuleType:
        path = self.folder / "marks.py"
        spec = importlib.util.spec_from_file_location(f"minigpt_marks_{self.number:02}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    @cached_property
    def exercises(self) -> dict[str, Exercise]:
        """The exercises by their numbers."""
        return {exercise.id: exercise for exercise in self._marks.EXERCISES}

    @property
    def imports(self) -> frozenset[str]:
        """What the learner may import, apart from NumPy and parts of the standard library."""
        return frozenset(getattr(self._marks, "IMPORTS", ()))

    def module(self, edits: Mapping[str, str] | None = None) -> ModuleType:
        """Return our solution as a module of its own, with some of its text replaced.

        Where it imports from an earlier lesson, it gets our solution of that lesson.
        """
        source = self.solution
        for old, new in (edits or {}).items():
            if source.count(old) != 1:
                raise ValueError(f"{old!r} stands {source.count(old)} times in {self.folder.name}")
            source = source.replace(old, new)
        module = ModuleType(self.stem)
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import}
        exec(_compiled(source, self.folder / "solution.py"), module.__dict__)
        return module


@cache
def _compiled(source: str, path: Path) -> CodeType:
    return compile(source, str(path), "exec")


def _import(name: str, *rest: Any) -> Any:
    found = re.fullmatch(r"lesson_(\d\d)", name)
    return _solved(int(found[1])) if found else builtins.__import__(name, *rest)


@cache
def _solved(number: int) -> ModuleType:
    return lessons()[number].module()


@cache
def lessons(*more: Path) -> dict[int, Lesson]:
    """Return the lessons by number: ours, and those in the folders `more`, which come first."""
    found: dict[int, Lesson] = {}
    for folder in (LESSONS, *more):
        if not folder.is_dir():
            raise ValueError(f"there is no folder {folder} with lessons in it")
        for each in sorted(folder.iterdir()):
            if number := re.match(r"(\d\d)_", each.name):
                found[int(number[1])] = Lesson(int(number[1]), each)
    return dict(sorted(found.items()))


def find(wanted: str, among: Mapping[int, Lesson]) -> list[tuple[Lesson, Exercise]]:
    """Return the exercises that "5", "5.2" or "lesson_05.py" means; all if it is empty."""
    if file := re.fullmatch(r"lesson_0*(\d+)(\.\w+)?", wanted):
        wanted = file[1]
    every = [(lesson, each) for lesson in among.values() for each in lesson.exercises.values()]
    if not wanted:
        return every
    found = [(n, e) for n, e in every if wanted in (e.id, str(n.number), f"{n.number:02}")]
    if not found:
        ids = [e.id for n, e in every if str(n.number) == wanted.partition(".")[0]]
        there = f"lesson {wanted.partition('.')[0]} has {', '.join(ids)}" if ids else (
            f"there are lessons {', '.join(str(number) for number in among)}"
        )  # fmt: skip
        raise ValueError(f"there is no exercise {wanted}: {there}")
    return found
