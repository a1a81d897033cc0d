"""`minigpt course`, and its commands start, mark and watch."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minigpt.support.terminal import progress as progress_of
from minigpt.support.terminal import say
from minigpt.support.wording import for_shell

if TYPE_CHECKING:
    from minigpt.course.exercise import Exercise
    from minigpt.course.lesson_folder import Lesson
    from minigpt.course.report import Verdict


def start(args: argparse.Namespace) -> int:
    """Create the learner's folder."""
    from minigpt.course import folder
    from minigpt.course.lesson_folder import lessons

    new = folder.start(args.folder, lessons(*args.lessons))
    say(f"{len(new)} new files in {args.folder}" if new else f"{args.folder} has all the files")
    first = next(iter(lessons(*args.lessons).values()))
    say(
        f"next: cd {for_shell(args.folder)}, read {first.stem}.md, fill in {first.stem}.py, and "
        f"minigpt course mark {first.number}"
    )
    return 0


def progress(args: argparse.Namespace) -> int:
    """Print how far the learner is, and what comes next."""
    from rich.table import Table

    from minigpt.support.tables import show_table, stdout_console

    chosen = chosen_exercises(args, "")
    verdicts = mark_exercises(args.mine, chosen, 0)
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
    if is_exercise(args.what):
        chosen = chosen_exercises(args, args.what)
        marks[args.mine.resolve().name] = mark_exercises(args.mine, chosen, args.seed)
    else:
        marks = _mark_many(args)
    for name, verdicts in marks.items():
        if args.json:
            print(json_lines(name, verdicts), end="")
        elif not is_exercise(args.what):
            points = sum(v.points for v in verdicts if v.right)
            print(f"{name}: {points} of {sum(v.points for v in verdicts)} points")
        else:
            print(*_once(verdicts), sep="\n\n")
            if len(verdicts) > 1:
                print(f"\n{sum(v.right for v in verdicts)} of {len(verdicts)} right.")
    if args.csv:
        write_csv(args.csv, marks)
        say(f"wrote {args.csv}")
    return 0 if all(v.right for verdicts in marks.values() for v in verdicts) else 1


def _once(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts; of several on a file that cannot be read, only the first."""
    before = [None, *(verdict.text for verdict in verdicts)]
    return [
        verdict
        for verdict, text in zip(verdicts, before, strict=False)
        if verdict.line is not None or verdict.text != text
    ]


def _mark_many(args: argparse.Namespace) -> dict[str, list[Verdict]]:
    """Mark the folders of many learners."""
    from minigpt.course.grades import learners
    from minigpt.course.lesson_folder import find, lessons

    folder = Path(args.what)
    if not folder.is_dir():
        raise ValueError(f"{args.what!r} is neither an exercise, such as 7 or 7.3, nor a folder")
    chosen = find("", lessons(*args.lessons))
    return {each.name: mark_exercises(each, chosen, args.seed) for each in learners(folder)}


def watch(args: argparse.Namespace) -> int:
    """Mark what is saved, and answer to keys, until q is pressed."""
    from minigpt.course.lesson_folder import find, lessons
    from minigpt.course.watch import KEYS, events

    every = chosen_exercises(args, "")
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
                print_hint(args.mine, *(latest or every[0]))
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
    verdicts = mark_exercises(folder, chosen, 0)
    for each, verdict in zip(chosen, verdicts, strict=True):
        if not verdict.right:
            print(f"{verdict}\n")
            return each
    print(*verdicts, sep="\n")
    return None


def print_hint(folder: Path, lesson: Lesson, exercise: Exercise) -> None:
    """Print the next hint for an exercise."""
    from minigpt.course.folder import next_hint
    from minigpt.course.plain_text import indented

    n, text = next_hint(folder, exercise)
    print(f"{exercise.id}  {exercise.name}: hint {n} of {len(exercise.hints)}")
    print(indented(text))


def is_exercise(what: str) -> bool:
    """Return whether this is "7", "7.3", "lesson_07.py" or nothing, and not a folder."""
    return re.fullmatch(r"(lesson_\d+(\.\w+)?|\d+(\.\d+)?)?", what) is not None


def chosen_exercises(args: argparse.Namespace, what: str) -> list[tuple[Lesson, Exercise]]:
    """Return the exercises that are meant, after a look at the learner's folder."""
    from minigpt.course.folder import is_course
    from minigpt.course.lesson_folder import find, lessons

    if not is_course(args.mine):
        raise ValueError(
            f"{args.mine.resolve()} has no lessons: cd to your folder of the course or name it "
            "with --in; `minigpt course start my-gpt/` makes one"
        )
    return find(what, lessons(*args.lessons))


def mark_exercises(
    folder: Path, chosen: Sequence[tuple[Lesson, Exercise]], seed: int
) -> list[Verdict]:
    """Mark exercises; where it takes long, say how far it is."""
    from minigpt.course.grades import mark_all

    verdicts = mark_all(folder, chosen, seed)
    return list(verdicts if len(chosen) == 1 else progress_of("marking", len(chosen))(verdicts))
