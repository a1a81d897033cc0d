"""`minigpt course` hint, solution, reset, read and slides."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from minigpt.commands.course_marks import chosen_exercises, mark_exercises, print_hint
from minigpt.support.terminal import say


def hint(args: argparse.Namespace) -> int:
    """Print one more hint."""
    print_hint(args.mine, *chosen_exercises(args, args.what)[0])
    return 0


def solution(args: argparse.Namespace) -> int:
    """Print our solution, and its idea."""
    from minigpt.course.folder import definition
    from minigpt.course.plain_text import indented

    for lesson, exercise in chosen_exercises(args, args.what):
        if not args.spoil and not mark_exercises(args.mine, [(lesson, exercise)], 0)[0].right:
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
    kept = folder.reset(args.mine, lesson, exercise if args.what == exercise.id else None)
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


def slides(args: argparse.Namespace) -> int:
    """Write the slides of a lesson; print the name of the file."""
    from minigpt.course.lesson_folder import find, lessons
    from minigpt.support.files import write_text

    lesson = find(args.what.partition(".")[0], lessons(*args.lessons))[0][0]
    try:
        from minigpt.course.slides import slides

        page = slides(lesson)
    except ModuleNotFoundError:
        raise ImportError("slides need: pip install 'minigpt-numpy[course]'") from None
    out = args.out or Path(f"{lesson.stem}_slides.html")
    write_text(out, page)
    print(out)
    return 0
