"""Play the course: stubs and solutions, on random seeds; and how lessons are described."""

import ast
import random
import re

import pupil
import pytest

from minigpt.course import marker
from minigpt.course.folder import definition, start
from minigpt.course.lesson_folder import find, lessons
from minigpt.course.plain_text import COLUMNS

SEED = random.randrange(10**6)
EXERCISES = find("", lessons())
MARKED = [(n, e) for n, e in EXERCISES if e.judge is None]
name_of = pupil.name_of


@pytest.fixture
def solved(tmp_path):
    learner = pupil.Pupil(tmp_path)
    learner.solve()
    return tmp_path


@pytest.fixture
def planted(monkeypatch, solved):
    def mark(lesson, exercise, edits, seed=SEED):
        monkeypatch.setattr(marker, "run_apart", pupil.run_here(edits))
        verdict = marker.mark(solved, lesson, exercise, seed)
        assert max(map(len, str(verdict).splitlines())) <= COLUMNS, str(verdict)
        return verdict

    return mark


@pytest.mark.parametrize(("lesson", "exercise"), EXERCISES, ids=name_of)
def test_stub_is_not_written_yet(lesson, exercise, tmp_path):
    start(tmp_path, lessons())
    verdict = marker.mark(tmp_path, lesson, exercise, SEED)
    assert verdict.state == "not written yet"
    assert verdict.line


@pytest.mark.parametrize(("lesson", "exercise"), EXERCISES, ids=name_of)
def test_solution_is_right(lesson, exercise, planted):
    verdict = planted(lesson, exercise, {})
    assert verdict.right, f"seed {SEED}\n{verdict}"


@pytest.mark.parametrize(("lesson", "exercise"), EXERCISES, ids=name_of)
def test_exercise_is_described_in_full(lesson, exercise):
    headings = re.findall(r"^## (.*)$", lesson.page, re.MULTILINE)
    for place in [exercise.place, *(m.place for m in exercise.mistakes if m.place)]:
        found = [h for h in headings if h == place or h.startswith(f"{place}. ")]
        assert len(found) == 1, place
    assert f"**{exercise.id}**" in lesson.page
    assert len(set(exercise.hints)) == 3
    assert all(hint.strip() for hint in exercise.hints)
    assert exercise.idea.strip()
    stub = definition(lesson.stub, exercise.name)
    assert ast.get_docstring(stub)
    node = definition(lesson.solution, exercise.name)
    assert node.end_lineno - node.lineno < 40
    if exercise.slopes is not None:
        assert len(exercise.mistakes) >= 4


@pytest.mark.parametrize("lesson", lessons().values(), ids=name_of)
def test_page_can_be_read_in_a_terminal(lesson):
    blocks = re.findall(r"```(?:text|python)?\n(.*?)```", lesson.page, re.DOTALL)
    assert max(len(line) for block in blocks for line in block.splitlines()) <= COLUMNS
    assert "$" not in lesson.page  # formulas are plain text
    assert lesson.page.startswith(f"# Lesson {lesson.number}. ")
    words = re.sub(r"```.*?```", "", lesson.page, flags=re.DOTALL).split()
    assert len(words) < 3200  # 15 minutes
    for heading in ("Predict", "What the field does today", "Questions", "New words"):
        assert re.search(rf"^## .*{heading}", lesson.page, re.MULTILINE), heading
    assert lesson.page.count("<details>") >= 5


@pytest.mark.parametrize("lesson", lessons().values(), ids=name_of)
def test_lesson_uses_only_what_was_built_before(lesson):
    for source in (lesson.stub, lesson.solution):
        for number in re.findall(r"lesson_(\d\d)", source.split('"""', 2)[2]):
            assert int(number) < lesson.number
