"""What the marker adds to an exception."""

import ast

import pytest

from minigpt.course.advice import advice


@pytest.mark.parametrize(
    ("kind", "text", "code", "axes", "expected"),
    [
        ("NameError", "name 'np' is not defined", "np.sum(x)", (1, 1), "import numpy as np"),
        ("NameError", "name 'mix' is not defined", "mix(x)", (1, 1), "from lesson_01 import mix"),
        ("NameError", "name 'y' is not defined", "y", (1, 1), ""),
        ("UnboundLocalError", "variable 'f' is", "f = f(x)", (1, 1), "Rename the variable"),
        ("ValueError", "broadcast (2,4) (2,)", "x / x.sum(axis=-1)", (2, 2), "keepdims=True"),
        ("ValueError", "broadcast (2,4) (2,)", "x - t", (2, 2), ""),
        ("IndexError", "too many", "x[0, 0]", (3, 2), "count axes from the end"),
        ("ValueError", "matmul", "x @ x.T", (3, 2), "np.swapaxes"),
    ],
)
def test_advice(tmp_path, kind, text, code, axes, expected):
    (tmp_path / "lesson_01.py").write_text("def mix(x):\n    pass\n")
    file = tmp_path / "lesson_06.py"
    file.write_text("def f(x):\n    pass\n")
    said = advice(tmp_path, file, ast.parse(code), {"type": kind, "text": text}, axes)
    assert expected in said
    assert bool(expected) == bool(said)
