"""What an exception often means, beyond what Python says."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from minigpt.course.folder import definition, read_source

REDUCTIONS = frozenset("sum mean max min var std".split())


def advice(
    folder: Path, file: Path, node: Any, error: dict[str, Any], axes: tuple[int, int]
) -> str:
    """Return a line about the likely reason of an exception, or "".

    Parameters
    ----------
    folder, file, node : the learner's folder and file, and the function or class in it.
    error : its type and text.
    axes : the largest number of axes of an input in this case, and in the cases that went well.
    """
    kind, text = error["type"], error["text"]
    here, before = axes
    if kind == "NameError" and (found := re.search(r"name '(\w+)'", text)):
        return _missing_name(folder, file, found[1])
    hidden = re.search(r"variable '(\w+)'", text) if kind == "UnboundLocalError" else None
    if hidden and definition(read_source(file), hidden[1]) is not None:
        return (
            f"\nYou gave a variable the name of your function {hidden[1]}, so Python no longer "
            "finds the function there. Rename the variable."
        )
    if "matmul" in text and here > 2 and any(_is_T(x) for x in ast.walk(node)):
        return "\nYou use .T, which reverses all axes. np.swapaxes(a, -1, -2) swaps the last two."
    if _lost_axis(text) and any(_drops_axis(x) for x in ast.walk(node)):
        return (
            "\nA sum, mean or maximum over an axis has one axis less, so it does not stand beside "
            "its row any more. keepdims=True keeps the axis, with length 1."
        )
    if "float' object cannot be interpreted as an integer" in text:
        return "\nA length is a whole number, and / always gives a float. Use //."
    if kind in ("ValueError", "IndexError", "AxisError") and 0 < before < here:
        return (
            f"\nIt went well with {before} {'axis' if before == 1 else 'axes'}. Here are {here}: "
            "count axes from the end, such as axis=-1."
        )
    return ""


def _missing_name(folder: Path, file: Path, name: str) -> str:
    if name == "np":
        return f"\nWrite `import numpy as np` at the top of {file.name}."
    for other in sorted(folder.glob("lesson_[0-9][0-9].py")):
        try:
            found = other.name < file.name and definition(read_source(other), name) is not None
        except (OSError, SyntaxError, ValueError):
            continue
        if found:
            return (
                f"\n{name} is in your {other.name}. Write `from {other.stem} import {name}` at the "
                f"top of {file.name}."
            )
    return ""


def _lost_axis(text: str) -> bool:
    """Return whether two shapes do not fit, and one is the other without its last axis."""
    shapes = [
        tuple(int(n) for n in re.findall(r"\d+", shape))
        for shape in re.findall(r"\([\d,]+\)", text)
    ]
    if "broadcast" not in text or len(shapes) < 2:
        return False
    short, long = sorted(shapes[:2], key=len)
    return short == long[:-1]


def _is_T(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "T"


def _drops_axis(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in REDUCTIONS
        and not any(word.arg == "keepdims" for word in node.keywords)
    )
