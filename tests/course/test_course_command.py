"""`minigpt course`, as a learner and a teacher type it."""

import csv
import json
import shutil
import subprocess
import sys

import pupil
import pytest

from minigpt.commands.cli import main
from minigpt.course.lesson_folder import LESSONS, lessons


@pytest.fixture
def learner(tmp_path, monkeypatch):
    folder = tmp_path / "my gpt"
    assert main(["course", "start", str(folder)]) == 0
    monkeypatch.chdir(folder)
    return pupil.Pupil(folder)


def test_start_makes_a_file_and_a_page_for_each_lesson(learner, capsys):
    names = {path.name for path in learner.folder.iterdir()}
    for lesson in lessons().values():
        assert {f"{lesson.stem}.py", f"{lesson.stem}.md"} <= names
    learner.write(7, "mine = 1\n")
    (learner.folder / "lesson_06.py").unlink()
    assert main(["course", "start", "."]) == 0  # again: what is there stays
    assert (learner.folder / "lesson_07.py").read_text("utf-8") == "mine = 1\n"
    assert (learner.folder / "lesson_06.py").read_text("utf-8") == lessons()[6].stub


def test_start_leaves_other_folders_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("my text", "utf-8")
    assert main(["course", "start", str(tmp_path)]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_progress_says_what_comes_next(learner, capsys):
    assert main(["course"]) == 0
    first = next(iter(next(iter(lessons().values())).exercises.values()))
    assert f"next: {first.id} {first.name} in lesson_" in capsys.readouterr().out


@pytest.mark.parametrize(("solved", "code"), [(False, 1), (True, 0)])
def test_mark_returns_whether_all_is_right(learner, capsys, solved, code):
    if solved:
        learner.solve(1, 6, 7)
    assert main(["course", "mark", "7.3"]) == code
    text = capsys.readouterr().out
    assert ("RIGHT" in text) == solved
    assert ("NOT WRITTEN YET" in text) != solved


@pytest.mark.parametrize("name", ["lesson_07.py", "lesson_07", "lesson_07.md"])
def test_lesson_is_marked_by_the_name_of_its_file(learner, capsys, name):
    assert main(["course", "mark", name]) == 1
    assert "7.7  zero_gradient" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mark", "7.99"], "there is no exercise 7.99: lesson 7 has 7.1, 7.2"),
        (["mark", "99"], "there is no exercise 99: there are lessons"),
        (["mark", "nowhere"], "'nowhere' is neither an exercise, such as 7 or 7.3, nor a folder"),
        (["mark", "."], "has no folders with lesson_00.py"),
        (["hint", "7.9"], "there is no exercise 7.9"),
        (["solution", "7.3"], "7.3 is not right yet. `minigpt course hint 7.3` helps"),
        (["mark", "7", "--in", "nowhere"], "has no lessons: cd to your folder of the course"),
        (["mark", "7", "--lessons", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_what_makes_no_sense_gets_a_sentence(learner, capsys, arguments, said):
    assert main(["course", *arguments]) == 1
    assert said in " ".join(capsys.readouterr().err.split())


def test_hints_come_one_by_one(learner, capsys):
    hints = lessons()[7].exercises["7.3"].hints
    for n in (1, 2, 3, 3):
        assert main(["course", "hint", "7.3"]) == 0
        text = " ".join(capsys.readouterr().out.split())
        assert f"hint {n} of 3 {' '.join(hints[n - 1].split())}" in text
    for broken in ("", "[]", '{"7.3": "x"}', '{"7.3": -5}'):
        (learner.folder / ".hints.json").write_text(broken, "utf-8")
        assert main(["course", "hint", "7.3"]) == 0
        assert "hint 1 of 3" in capsys.readouterr().out


def test_solution_is_shown_once_it_is_right_or_spoiled(learner, capsys):
    assert main(["course", "solution", "7.3", "--spoil"]) == 0
    assert "return weights * (d_weights - mean)" in capsys.readouterr().out
    learner.solve(1, 6, 7)
    assert main(["course", "solution", "7.3"]) == 0
    assert "softmax_backward" in capsys.readouterr().out


def test_reset_of_an_exercise_keeps_the_others_and_the_old_lines(learner, capsys):
    learner.solve(1, 6, 7)
    before = (learner.folder / "lesson_07.py").read_text("utf-8")
    assert main(["course", "reset", "7.3"]) == 0
    assert "your lines are in lesson_07.old-1.py" in capsys.readouterr().err
    assert (learner.folder / "lesson_07.old-1.py").read_text("utf-8") == before
    assert main(["course", "mark", "7.3"]) == 1
    assert main(["course", "mark", "7.4"]) == 0
    assert main(["course", "reset", "7"]) == 0
    assert (learner.folder / "lesson_07.py").read_text("utf-8") == lessons()[7].stub
    assert (learner.folder / "lesson_07.old-2.py").exists()


def test_reset_by_the_name_of_a_file_means_the_whole_lesson(learner):
    learner.solve(7)
    assert main(["course", "reset", "lesson_07.py"]) == 0
    assert (learner.folder / "lesson_07.py").read_text("utf-8") == lessons()[7].stub


def test_reset_brings_back_what_was_deleted(learner):
    learner.write(7, "import numpy as np\n")
    assert main(["course", "reset", "7.3"]) == 0
    assert "def d_scores" in (learner.folder / "lesson_07.py").read_text("utf-8")
    learner.write(7, "def d_scores(:\n")
    assert main(["course", "reset", "7.3"]) == 1  # which lines are the exercise's?
    (learner.folder / "lesson_07.py").unlink()
    assert main(["course", "reset", "7.3"]) == 0
    assert (learner.folder / "lesson_07.py").read_text("utf-8") == lessons()[7].stub


def test_many_folders_are_marked_into_a_table(learner, tmp_path, capsys, monkeypatch):
    handed_in = tmp_path / "handed in"
    for name, number in (("ana", 1), ("=bo()", 7)):
        (handed_in / name).mkdir(parents=True)
        pupil.Pupil(handed_in / name).write(number, lessons()[number].stub)
    pupil.Pupil(handed_in / "ana").write(1, lessons()[1].solution)
    (handed_in / "notes").mkdir()
    table = tmp_path / "grades.csv"
    assert main(["course", "mark", str(handed_in), "--csv", str(table), "--seed", "5"]) == 1
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert [row["learner"] for row in rows] == ["'=bo()", "ana"]
    points = sum(exercise.points for exercise in lessons()[1].exercises.values())
    assert [row["points"] for row in rows] == ["0", str(points)]
    assert rows[1]["1.1"] == "1"
    assert f"ana: {points} of" in capsys.readouterr().out


def test_marks_are_printed_as_json(learner, capsys):
    learner.solve(1)
    assert main(["course", "mark", "1", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["id"] for line in lines] == list(lessons()[1].exercises)
    assert all(line["state"] == "right" and line["learner"] == "my gpt" for line in lines)


def test_page_is_read_in_the_terminal(learner, capsys):
    assert main(["course", "read", "7"]) == 0
    assert capsys.readouterr().out.startswith("# Lesson 7. ")


def test_lesson_of_a_teacher_is_marked_like_ours(learner, tmp_path, capsys):
    own = tmp_path / "own lessons" / "42_softmax_again"
    shutil.copytree(LESSONS / "01_next_token", own)
    for name in ("marks.py", "page.md"):
        text = (own / name).read_text("utf-8").replace('"1.', '"42.')
        (own / name).write_text(text, "utf-8")
    flags = ["--lessons", str(own.parent)]
    assert main(["course", "start", ".", *flags]) == 0
    assert main(["course", "mark", "42.1", *flags]) == 1
    (learner.folder / "lesson_42.py").write_text(lessons()[1].solution, "utf-8")
    assert main(["course", "mark", "42.1", *flags]) == 0
    (own / "marks.py").unlink()
    lessons.cache_clear()
    assert main(["course", "mark", "42.1", *flags]) == 1
    assert "marks.py is missing" in capsys.readouterr().err


def test_pytest_gives_the_same_marks(learner):
    learner.solve(1)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        + [f"test_course.py::test_exercise[{number}]" for number in ("1.1", "7.1")],
        cwd=learner.folder, capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "7.1  d_values" in done.stdout
    assert "NOT WRITTEN YET" in done.stdout


def test_broken_files_end_nothing(learner, capsys):
    learner.write(1, "def softmax(:")
    learner.write(6, "\x00")
    (learner.folder / "lesson_07.py").write_bytes(b"\xff\xfe")
    assert main(["course"]) == 0, capsys.readouterr().err
    assert main(["course", "mark"]) == 1
    printed = capsys.readouterr()
    text = " ".join(printed.out.split())
    assert text.count("Python cannot read lesson_01.py") == 1, printed.err
    assert "lesson_07.py is not UTF-8" in text
    assert "Traceback" not in text
