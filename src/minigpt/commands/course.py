"""`minigpt course`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minigpt.commands.course_help import hint, read, reset, slides, solution
from minigpt.commands.course_marks import mark, progress, start, watch
from minigpt.commands.parsing import command, whole_number

RUNS_CODE = "Marking runs the code in the folder, with your rights."


def add_course(subparsers: Any) -> None:
    """Add the command, its own commands and their flags."""
    parser = command(
        subparsers,
        "course",
        progress,
        "start my-gpt/\n\nmark 7.3\nwatch\nhint 7.3",
    )
    _add_folder(parser)
    own = parser.add_subparsers(metavar="COMMAND")

    start_ = command(
        own, "start", start, "my-gpt/", "make a folder with a page and a file for each lesson"
    )
    start_.add_argument(
        "folder", type=Path, metavar="FOLDER", help="folder to create, or your own from before"
    )
    _add_lessons(start_)

    mark_ = command(
        own,
        "mark",
        mark,
        "\n7\n7.3\nhanded-in/ --csv grades.csv --seed 2027",
        "mark a lesson, an exercise or all; exit code 1 if one is not right",
    )
    mark_.description = f"{mark_.description} {RUNS_CODE}"
    mark_.add_argument(
        "what",
        nargs="?",
        default="",
        metavar="WHAT",
        help="a lesson (7), an exercise (7.3), or a folder that holds the folders of many learners",
    )
    mark_.add_argument("--csv", type=Path, metavar="FILE", help="write the points as a table")
    mark_.add_argument("--json", action="store_true", help="one line of JSON for each exercise")
    mark_.add_argument(
        "--seed", type=whole_number, default=0, metavar="N", help="seed of the random cases (0)"
    )
    _add_folder(mark_)

    watch_ = command(
        own, "watch", watch, "\n--poll", "mark a lesson again whenever its file is saved"
    )
    watch_.description = f"{watch_.description} {RUNS_CODE}"
    watch_.add_argument(
        "--poll", action="store_true", help="for folders on a network, where changes go unnoticed"
    )
    _add_folder(watch_)

    for name, work, help_ in (
        ("hint", hint, "one more hint for an exercise, three in all"),
        ("solution", solution, "our solution of an exercise, once yours is right"),
        ("reset", reset, "a fresh copy of a lesson or an exercise; yours is kept beside it"),
        ("read", read, "read the page of a lesson in the terminal"),
        ("slides", slides, "write the slides of a lesson as a page to show or to print"),
    ):
        each = command(own, name, work, "7" if name in ("read", "slides") else "7.3", help_)
        each.add_argument("what", metavar="WHAT", help="such as 7 or 7.3")
        if name == "slides":
            each.add_argument(
                "-o", "--out", type=Path, metavar="FILE", help="an .html (lesson_07_slides.html)"
            )
        if name == "solution":
            each.add_argument(
                "--spoil", action="store_true", help="also before your solution is right"
            )
        _add_folder(each)


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--in", dest="mine", type=Path, default=Path(), metavar="FOLDER", help="your folder (.)"
    )
    _add_lessons(parser)


def _add_lessons(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lessons",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="lessons of your own, a folder each: see docs/teaching.md",
    )
