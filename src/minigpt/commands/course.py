"""`minigpt course`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigpt.commands.parsing import command, whole_number
from minigpt.support.terminal import console, log_progress, say

if TYPE_CHECKING:
    from minigpt.course.exercise import Exercise
    from minigpt.course.lesson_folder import Lesson
    from minigpt.course.report import Verdict

RUNS_CODE = "Marking runs the code in the folder, with your rights."


def add_course(subparsers: Any) -> None:
    """Add the command, its own commands and their flags."""
    parser = command(
        subparsers,
        "course",
        progress,
        "build a GPT yourself, layer by layer, and have every step marked",
        "start my-gpt/\n\nmark 7.3\nwatch\nhint 7.3",
    )
    _add_folder(parser)
    own = parser.add_subparsers(metavar="COMMAND")

    start_ = command(
        own, "start", start, "make a folder with a page and a file for each lesson", "my-gpt/"
    )
    start_.add_argument(
        "folder", type=Path, metavar="FOLDER", help="folder to create, or your own from before"
    )
    _add_lessons(start_)

    mark_ = command(
        own,
        "mark",
        mark,
        "mark a lesson, an exercise or all; exit code 1 if one is not right",
        "\n7\n7.3\nhanded-in/ --csv grades.csv --seed 2027",
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
        own, "watch", watch, "mark a lesson again whenever its file is saved", "\n--poll"
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
    ):
        each = command(own, name, work, help_, "7" if name == "read" else "7.3")
        each.add_argument("what", metavar="WHAT", help="such as 7 or 7.3")
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


def start(args: argparse.Namespace) -> int:
    """Create the learner's folder."""
    from minigpt.course import folder
    from minigpt.course.lesson_folder import lessons

    new = folder.start(args.folder, lessons(*args.lessons))
    say(f"{len(new)} new files in {args.folder}" if new else f"{args.folder} has all the files")
    say(f"next: cd {args.folder}, read lesson_00.md, fill in lesson_00.py, minigpt course mark 0")
    return 0


def progress(args: argparse.Namespace) -> int:
    """Print how far the learner is, and what comes next."""
    from rich.table import Table

    from minigpt.support.tables import show_table, stdout_console

    chosen = _chosen(args, "")
    verdicts = _mark(args.mine, chosen, 0)
    table = Table("lesson", "", "right", box=None, pad_edge=False)
    for lesson in dict.fromkeys(lesson for lesson, _ in chosen):
        own = [v for (each, _), v in zip(chosen, verdicts, strict=True) if each is lesson]
        signs = "".join("●" if v.right else "◐" if v.is_written else "○" for v in own)
        n_right = sum(v.right for v in own)
        table.add_row(str(lesson.number), lesson.title, f"{signs}  {n_right} of {len(own)}")
    show_table(table, stdout_console())
    print("● right   ◐ begun   ○ not written yet")
    rest = [verdict for verdict in verdicts if not verdict.right]
    if rest:
        print(f"\nnext: {rest[0].id} {rest[0].name} in {rest[0].file}, with {rest[0].file[:-3]}.md")
    else:
        print("\nAll of it is right. You have built a GPT.")
    return 0


def mark(args: argparse.Namespace) -> int:
    """Print the verdicts; return 1 if one of them is not right."""
    from minigpt.course.grades import json_lines, write_csv

    marks: dict[str, list[Verdict]] = {}
    if _is_exercise(args.what):
        chosen = _chosen(args, args.what)
        marks[args.mine.resolve().name] = _mark(args.mine, chosen, args.seed)
    else:
        marks = _mark_many(args)
    for name, verdicts in marks.items():
        if args.json:
            print(json_lines(name, verdicts), end="")
        elif not _is_exercise(args.what):
            points = sum(v.points for v in verdicts if v.right)
            print(f"{name}: {points} of {sum(v.points for v in verdicts)} points")
        else:
            print(*verdicts, sep="\n\n")
            if len(verdicts) > 1:
                print(f"\n{sum(v.right for v in verdicts)} of {len(verdicts)} right.")
    if args.csv:
        write_csv(args.csv, marks)
        say(f"wrote {args.csv}")
    return 0 if all(v.right for verdicts in marks.values() for v in verdicts) else 1


def _mark_many(args: argparse.Namespace) -> dict[str, list[Verdict]]:
    """Mark the folders of many learners."""
    from minigpt.course.grades import learners
    from minigpt.course.lesson_folder import find, lessons

    folder = Path(args.what)
    if not folder.is_dir():
        raise ValueError(f"{args.what!r} is neither an exercise, such as 7 or 7.3, nor a folder")
    chosen = find("", lessons(*args.lessons))
    return {each.name: _mark(each, chosen, args.seed) for each in learners(folder)}


def watch(args: argparse.Namespace) -> int:
    """Mark what is saved, and answer to keys, until q is pressed."""
    from minigpt.course.lesson_folder import find, lessons
    from minigpt.course.watch import KEYS, events

    every = _chosen(args, "")
    latest: tuple[Lesson, Exercise] | None = None
    say(f"watching {args.mine.resolve()}; {KEYS}")
    try:
        for event in events(args.mine, args.poll):
            if event.isdigit():
                chosen = find(event, lessons(*args.lessons))
                latest = _show_first_wrong(args.mine, chosen) or chosen[-1]
            elif event == "q":
                return 0
            elif event == "h":
                _print_hint(args.mine, *(latest or every[0]))
            elif event == "n":
                latest = _show_first_wrong(args.mine, every)
            elif event == "l":
                progress(args)
            say(KEYS)
    except ModuleNotFoundError:
        raise ImportError("watching needs: pip install 'minigpt-numpy[course]'") from None
    return 0


def _show_first_wrong(
    folder: Path, chosen: Sequence[tuple[Lesson, Exercise]]
) -> tuple[Lesson, Exercise] | None:
    """Print the first verdict that is not right, and return its exercise; None if all are."""
    verdicts = _mark(folder, chosen, 0)
    for each, verdict in zip(chosen, verdicts, strict=True):
        if not verdict.right:
            print(f"{verdict}\n")
            return each
    print(*verdicts, sep="\n")
    return None


def hint(args: argparse.Namespace) -> int:
    """Print one more hint."""
    _print_hint(args.mine, *_chosen(args, args.what)[0])
    return 0


def _print_hint(folder: Path, lesson: Lesson, exercise: Exercise) -> None:
    from minigpt.course.folder import next_hint
    from minigpt.course.plain_text import indented

    n, text = next_hint(folder, exercise)
    print(f"{exercise.id}  {exercise.name}: hint {n} of {len(exercise.hints)}")
    print(indented(text))


def solution(args: argparse.Namespace) -> int:
    """Print our solution, and its idea."""
    from minigpt.course.folder import definition
    from minigpt.course.plain_text import indented

    for lesson, exercise in _chosen(args, args.what):
        if not args.spoil and not _mark(args.mine, [(lesson, exercise)], 0)[0].right:
            raise ValueError(
                f"{exercise.id} is not right yet. `minigpt course hint {exercise.id}` helps; "
                "--spoil shows the solution all the same"
            )
        node = definition(lesson.solution, exercise.name)
        assert node is not None
        print(f"{exercise.id}  {exercise.name}: our solution\n")
        print("\n".join(lesson.solution.splitlines()[node.lineno - 1 : node.end_lineno]))
        print(f"\n{indented(exercise.idea, 0)}\n")
    return 0


def reset(args: argparse.Namespace) -> int:
    """Put fresh copies into the learner's file."""
    from minigpt.course import folder
    from minigpt.course.lesson_folder import find, lessons

    [(lesson, exercise), *_] = find(args.what, lessons(*args.lessons))
    kept = folder.reset(args.mine, lesson, exercise if "." in args.what else None)
    say(f"{lesson.stem}.py is fresh" + (f"; your lines are in {kept.name}" if kept else ""))
    return 0


def read(args: argparse.Namespace) -> int:
    """Print the page of a lesson."""
    from rich.markdown import Markdown

    from minigpt.course.lesson_folder import find, lessons
    from minigpt.support.tables import stdout_console

    lesson = find(args.what.partition(".")[0], lessons(*args.lessons))[0][0]
    stdout = stdout_console()
    if not stdout.is_terminal:
        print(lesson.page, end="")
        return 0
    unfolded = re.sub(r"<details><summary>(.*?)</summary>", r"**\1**", lesson.page)
    stdout.print(Markdown(unfolded.replace("</details>", "")), width=min(stdout.width, 100))
    return 0


def _is_exercise(what: str) -> bool:
    return re.fullmatch(r"(\d+(\.\d+)?)?", what) is not None


def _chosen(args: argparse.Namespace, what: str) -> list[tuple[Lesson, Exercise]]:
    """Return the exercises that are meant, after a look at the learner's folder."""
    from minigpt.course.folder import is_course
    from minigpt.course.lesson_folder import find, lessons

    if not is_course(args.mine):
        raise ValueError(
            f"{args.mine.resolve()} has no lessons: cd to your folder of the course or name it "
            "with --in; `minigpt course start my-gpt/` makes one"
        )
    return find(what, lessons(*args.lessons))


def _mark(folder: Path, chosen: Sequence[tuple[Lesson, Exercise]], seed: int) -> list[Verdict]:
    """Mark exercises; where it takes long, say how far it is."""
    from minigpt.course.grades import mark_all

    verdicts = mark_all(folder, chosen, seed)
    stderr = console(stderr=True)
    if len(chosen) == 1 or not stderr.is_terminal:
        return list(log_progress(verdicts, "marked")) if len(chosen) > 1 else list(verdicts)
    done = []
    with stderr.status("marking") as status:
        for verdict in verdicts:
            done.append(verdict)
            status.update(f"marked {verdict.id}, {len(done)} of {len(chosen)}")
    return done
