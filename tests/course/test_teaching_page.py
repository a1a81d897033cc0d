"""What docs/teaching.md says about an exercise of one's own works as it stands there."""

import re
from pathlib import Path

import pytest

from minigpt.course.lesson_folder import Lesson
from minigpt.course.marker import mark

PAGE = (Path(__file__).parents[2] / "docs" / "teaching.md").read_text("utf-8")
SOLUTION = '''"""Rotation."""

import numpy as np


def rotate(x, angle):
    """Turn x, (2,), by an angle in radians, counterclockwise."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([x[0] * c - x[1] * s, x[0] * s + x[1] * c])
'''


@pytest.fixture
def lesson(tmp_path):
    folder = tmp_path / "my-lessons" / "20_rotary"
    folder.mkdir(parents=True)
    [marks] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    stub = SOLUTION[: SOLUTION.index("    c, s")] + "    raise NotImplementedError\n"
    for name, text in (
        ("marks.py", marks),
        ("solution.py", SOLUTION),
        ("stub.py", stub),
        ("page.md", "# Lesson 20. Rotation\n\n## Rotation\n"),
    ):
        (folder / name).write_text(text, "utf-8")
    return Lesson(20, folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "RIGHT"),
        ({"np.sin(angle)": "np.sin(-angle)"}, "Likely cause: you turned to the other side."),
        ({"x[0] * s +": "x[0] * s -"}, "This is none of the mistakes we know."),
    ],
)
def test_exercise_of_the_page_is_marked(lesson, tmp_path, change, said):
    source = SOLUTION
    for old, new in change.items():
        source = source.replace(old, new)
    (tmp_path / "lesson_20.py").write_text(source, "utf-8")
    verdict = mark(tmp_path, lesson, lesson.exercises["20.1"])
    assert said in str(verdict)
    assert verdict.right == (not change)
