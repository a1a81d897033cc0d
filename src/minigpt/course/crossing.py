"""How values cross the border between two processes: as JSON and .npz, never as a pickle.

So a learner's file cannot make the marker run anything.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

MAX_DEPTH = 20


class Stranger:
    """Stands for a value that does not cross; `kind` says what it was, after "it is"."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def __repr__(self) -> str:
        return f"<{self.kind}>"


def send(value: Any, file: Path) -> None:
    """Write a value to `file`.json, and the arrays in it to `file`.npz."""
    arrays: dict[str, Any] = {}
    tree = _pack(value, arrays, 0)
    np.savez(file.with_suffix(".npz"), **arrays)
    file.with_suffix(".json").write_text(json.dumps(tree), "utf-8")


def receive(file: Path) -> Any:
    """Read what `send` has written."""
    tree = json.loads(file.with_suffix(".json").read_text("utf-8"))
    with np.load(file.with_suffix(".npz"), allow_pickle=False) as stored:
        return _unpack(tree, dict(stored))


def _pack(value: Any, arrays: dict[str, Any], depth: int) -> Any:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item() if value.dtype.kind in "biu" else np.asarray(value)
    if type(value) is np.ndarray and value.dtype.kind in "biufc":
        name = f"a{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is float:
        return {"float": repr(value)}  # JSON has no inf and no nan
    if type(value) is bytes:
        return {"bytes": value.hex()}
    if depth < MAX_DEPTH:
        if type(value) in (list, tuple):
            return {type(value).__name__: [_pack(each, arrays, depth + 1) for each in value]}
        if isinstance(value, dict):  # a Counter and a defaultdict, too
            pairs = [[_pack(x, arrays, depth + 1) for x in pair] for pair in value.items()]
            return {"dict": pairs}
    kind = (
        "an array of objects"
        if isinstance(value, np.ndarray)
        else f"of the type {type(value).__name__}"
    )
    return {"stranger": kind}


def _unpack(tree: Any, arrays: dict[str, Any]) -> Any:
    if not isinstance(tree, dict):
        return tree
    [(kind, value)] = tree.items()
    if kind == "array":
        return arrays[value]
    if kind == "float":
        return float(value)
    if kind == "bytes":
        return bytes.fromhex(value)
    if kind == "list":
        return [_unpack(each, arrays) for each in value]
    if kind == "tuple":
        return tuple(_unpack(each, arrays) for each in value)
    if kind == "dict":
        return {_as_key(_unpack(key, arrays)): _unpack(each, arrays) for key, each in value}
    return Stranger(value)


def _as_key(value: Any) -> Any:
    return value.item() if isinstance(value, np.ndarray) else value
