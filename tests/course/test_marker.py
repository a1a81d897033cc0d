"""What goes wrong in a learner's file gets a sentence with its line, and never ends the marker."""

import os
import re

import numpy as np
import pupil
import pytest

from minigpt.course.lesson_folder import find, lessons
from minigpt.course.marker import mark

DV = "return np.swapaxes(weights, -1, -2) @ do"


@pytest.fixture
def learner(tmp_path):
    folder = tmp_path / "my gpt"
    folder.mkdir()
    learner = pupil.Pupil(folder)
    learner.solve(1, 6, 7)
    return learner


def said(learner, old="", new="", which="7.1"):
    source = lessons()[7].solution
    assert not old or source.count(old) == 1
    learner.write(7, source.replace(old, new) if old else source)
    [(lesson, exercise)] = find(which, lessons())
    verdict = mark(learner.folder, lesson, exercise)
    return verdict.right, " ".join(str(verdict).split())


def test_solution_is_right_in_a_process_of_its_own(learner):
    right, text = said(learner)
    assert right
    assert "20 steps in miniGPT: the same losses" in text


@pytest.mark.parametrize(("new", "expected"), [
    ("return (", r"Python cannot read lesson_07.py: .* line \d+ of lesson_07.py: return \("),
    ("while True: pass", r"no result after 5 seconds: .* line \d+ of lesson_07.py: while True"),
    ("return np.linalg.inv(0 * do)", r"LinAlgError: .* line \d+ of lesson_07.py: return np.linalg"),
    ("return weights.T @ do", r"ValueError: .* line \d+ of .*swapaxes"),
    ("return unknown", r"NameError: name 'unknown' is not defined line \d+ of lesson_07.py"),
    ("pass", r"dv is None. Is there a `return`\?"),
    ("return [1.0]", "dv must be a NumPy array of numbers, but is of the type list"),
    ("return object()", "dv must not be of the type object"),
    ("return np.float32(1) * do.astype(np.float32)", "dv is float32"),
    ("return weights", r"dv has the shape \(1, 1\), expected \(1, 2\)"),
    ("do *= 2; return do", "your code changed its input do"),
    ("import torch", r"`import torch` is not allowed here.* line \d+ of lesson_07.py: import"),
    ("raise SystemExit", r"SystemExit line \d+"),
    ("raise KeyboardInterrupt", r"KeyboardInterrupt line \d+"),
    ("return np.zeros(10**12)", r"MemoryError: .* line \d+"),
    ("return np.full_like(do, np.nan)", "yours dv = .*nan"),
    ("return d_values(do, weights)", r"RecursionError: .* line \d+"),
    ("return np.array([do, None], dtype=object)", "dv must not be an array of objects"),
    ("np.ctypeslib.ctypes.string_at(0)", "Python itself ended"),
])  # fmt: skip
def test_failure_gets_a_sentence(learner, new, expected):
    right, text = said(learner, DV, new)
    assert not right
    assert re.search(expected, text), text
    assert "Traceback" not in text


def test_prints_are_allowed(learner):
    right, text = said(learner, DV, f"print('x' * 10**6); {DV}")
    assert right
    assert "printed something" in text


def test_windows_line_ends_are_read(learner):
    (learner.folder / "lesson_07.py").write_bytes(
        lessons()[7].solution.replace("\n", "\r\n").encode()
    )
    [(lesson, exercise)] = find("7.3", lessons())
    assert mark(learner.folder, lesson, exercise).right


def test_function_that_is_gone_is_missed(learner):
    right, text = said(learner, "def d_values", "def dvals")
    assert not right
    assert "d_values is missing in lesson_07.py" in text


def test_earlier_lesson_that_is_not_written_is_named(learner):
    learner.write(6, lessons()[6].stub)
    right, text = said(learner, which="7.6")
    assert not right
    assert "it uses something that is not written yet" in text
    assert "of lesson_06.py" in text
    assert "minigpt course mark 6" in text


def test_broken_earlier_lesson_is_named(learner):
    learner.write(6, "def broken(:\n")
    right, text = said(learner, which="7.1")
    assert not right
    assert re.search("SyntaxError: .* line 1 of lesson_06.py: def broken", text), text


def test_missing_file_is_named(learner):
    said(learner)
    (learner.folder / "lesson_07.py").unlink()
    [(lesson, exercise)] = find("7.1", lessons())
    assert "minigpt course reset 7" in str(mark(learner.folder, lesson, exercise))


@pytest.mark.parametrize(
    ("which", "old", "new"),
    [
        ("7.1", DV, f"{DV} * 1.001"),
        ("7.2", "return do @", "return np.abs(do) @"),
        ("7.4", "np.sqrt(q.shape[-1])", "np.sqrt(q.shape[-2])"),
        ("7.6", "db = d_rows.sum(axis=0)", "db = d_rows.sum(axis=0) * len(dy)"),
    ],
)
def test_mistake_that_is_not_known_is_wrong(learner, which, old, new):
    right, text = said(learner, old, new, which)
    assert not right
    assert "none of the mistakes we know" in text, text


def test_layer_that_remembers_earlier_calls_is_wrong(learner):
    total = "return from_q + from_k + from_v"
    memory = (
        "MyAttention.calls = getattr(MyAttention, 'calls', 0) + 1\n"
        "        return (from_q + from_k + from_v) * (1 if MyAttention.calls < 20 else 2)"
    )
    right, text = said(learner, total, memory, "7.6")
    assert not right
    assert "alone it is right, but in a model" in text, text


def test_of_two_mistakes_the_one_that_shows_is_named(learner):
    source = lessons()[3].solution.replace("[...] = d_weight", "[...] += d_weight")
    loop = "for t in range(ids.shape[-1]): d_weight[ids[..., t]] += dy[..., t, :]"
    learner.write(3, source.replace("np.add.at(d_weight, ids, dy)", loop))
    [(lesson, exercise)] = find("3.4", lessons())
    verdict = mark(learner.folder, lesson, exercise)
    assert verdict.mistakes == ["adds up"]
    assert "Perhaps" in verdict.text


def test_wrong_numbers_before_an_exception_are_shown_first(learner):
    right = "bias = b_1 @ w_2 + b_2"
    learner.write(4, lessons()[4].solution.replace(right, "bias = b_1 + b_2"))
    [(lesson, exercise)] = find("4.4", lessons())
    verdict = mark(learner.folder, lesson, exercise)
    assert "the simplest that shows it" in verdict.text
    assert "ValueError" not in verdict.text  # of a later case
    assert verdict.mistakes == ["b_1 not multiplied"]  # of two that raise the same


@pytest.mark.skipif(os.name == "nt", reason="Windows has no process groups")
def test_processes_that_it_started_are_ended(learner, tmp_path):
    mark_ = tmp_path / "alive"
    code = (
        "import sys; os = sys.modules['os']\n"
        f"    if os.fork() == 0:\n        import time; time.sleep(4); open({str(mark_)!r}, 'w')\n"
        "    while True: pass"
    )
    source = lessons()[7].solution.replace(DV, code)
    learner.write(7, source)
    [(lesson, exercise)] = find("7.1", lessons())
    import dataclasses
    import time

    verdict = mark(learner.folder, lesson, dataclasses.replace(exercise, seconds=1))
    assert not verdict.right
    time.sleep(4)
    assert not mark_.exists()


def test_values_cross_the_border_as_they_are(tmp_path):
    from minigpt.course.crossing import Stranger, receive, send

    value = {
        "a": np.arange(6.0).reshape(2, 3), "s": "é\ud7ff", "n": None, "b": b"\x00\xff", "i": 10**30,
        "f": float("inf"), "t": (1, [2.5, {("x", 1): True}]),
    }  # fmt: skip
    send(value, tmp_path / "v")
    got = receive(tmp_path / "v")
    assert np.array_equal(got.pop("a"), value.pop("a"))
    assert got == value
    send([lambda: 0], tmp_path / "v")
    assert isinstance(receive(tmp_path / "v")[0], Stranger)
