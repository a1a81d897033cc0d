"""The marks of one learner, or of many, as a table, as CSV and as JSON."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from minigpt.course.exercise import Exercise
from minigpt.course.folder import is_course
from minigpt.course.lesson_folder import Lesson
from minigpt.course.marker import mark
from minigpt.course.report import Verdict
from minigpt.support.files import replacing

Chosen = Sequence[tuple[Lesson, Exercise]]


def mark_all(folder: Path, chosen: Chosen, seed: int = 0) -> Iterator[Verdict]:
    """Yield the verdict on each exercise, in order; several are marked at the same time."""
    with ThreadPoolExecutor(min(len(chosen), os.cpu_count() or 1)) as pool:
        work = [pool.submit(mark, folder, lesson, exercise, seed) for lesson, exercise in chosen]
        try:
            for each in work:
                yield each.result()
        finally:
            pool.shutdown(cancel_futures=True)


def learners(folder: Path) -> list[Path]:
    """Return the folders of learners in `folder`, by name.

    Raises
    ------
    ValueError
        If there are none.
    """
    found = sorted(each for each in folder.iterdir() if each.is_dir() and is_course(each))
    if not found:
        raise ValueError(
            f"{folder} has no folders with lesson_00.py, lesson_01.py … in them: give the folder "
            "that holds the learners' folders"
        )
    return found


def write_csv(path: Path, marks: dict[str, list[Verdict]]) -> None:
    """Write a row for each learner: the sum of points, how many there are, each exercise."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        first = next(iter(marks.values()))
        rows.writerow(["learner", "points", "of", *(verdict.id for verdict in first)])
        for name, verdicts in marks.items():
            points = [verdict.points if verdict.right else 0 for verdict in verdicts]
            rows.writerow([_plain(name), sum(points), sum(v.points for v in verdicts), *points])


def _plain(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula."""
    return f"'{name}" if name[:1] in "=+-@\t\r" else name


def json_lines(name: str, verdicts: Sequence[Verdict]) -> str:
    """Return a line of JSON for each verdict."""
    return "".join(
        json.dumps({"learner": name, **verdict.as_json()}, ensure_ascii=False) + "\n"
        for verdict in verdicts
    )
