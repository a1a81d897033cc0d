"""Plant every known mistake of the course, on seeds drawn anew each time."""

import copy
import random

import numpy as np
import pupil
import pytest

from minigpt.course import marker
from minigpt.course.exercise import differs
from minigpt.course.lesson_folder import find, lessons
from minigpt.course.plain_text import COLUMNS

SEED = random.randrange(10**6)
MARKED = [(n, e) for n, e in find("", lessons()) if e.judge is None]
MISTAKES = [
    (lesson, exercise, mistake) for lesson, exercise in MARKED for mistake in exercise.mistakes
]
INCLUDED = [
    (lesson, exercise, part, mistake)
    for lesson, exercise in MARKED
    for part in exercise.includes
    for mistake in lesson.exercises[part].mistakes
]


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


@pytest.mark.parametrize(("lesson", "exercise", "mistake"), MISTAKES, ids=name_of)
def test_mistake_is_found_and_named(lesson, exercise, mistake, planted):
    verdict = planted(lesson, exercise, mistake.edits)
    assert not verdict.right, f"seed {SEED}"
    assert mistake.name in verdict.mistakes, f"seed {SEED}\n{verdict}"


@pytest.mark.parametrize(("lesson", "exercise", "part", "mistake"), INCLUDED, ids=name_of)
def test_mistake_in_a_part_is_named_in_the_whole(lesson, exercise, part, mistake, planted):
    verdict = planted(lesson, exercise, mistake.edits)
    assert verdict.right or f"{part}: {mistake.name}" in verdict.mistakes, f"seed {SEED}\n{verdict}"


@pytest.mark.parametrize(("lesson", "exercise"), MARKED, ids=name_of)
def test_no_known_mistake_is_right(lesson, exercise):
    """On 20 seeds, a wrong solution differs from ours in at least one case."""
    ours = lesson.module()
    for seed in range(SEED, SEED + 20):
        cases = [inputs for _, inputs in exercise.cases(seed)]
        right = [exercise.run(ours, copy.deepcopy(inputs)) for inputs in cases]
        for mistake in exercise.mistakes:
            wrong = lesson.module(mistake.edits)
            assert any(
                differ(exercise, wrong, inputs, expected)
                for inputs, expected in zip(cases, right, strict=True)
            ), f"seed {seed}: {mistake.name}"


def differ(exercise, module, inputs, expected):
    try:
        with np.errstate(all="ignore"):
            got = exercise.run(module, copy.deepcopy(inputs))
    except Exception:
        return True
    return any(differs(got[k], expected[k], exercise.tolerance) for k in exercise.outputs)
