"""A trace as one file, NumPy's `.npz`: arrays with names, and nothing that can be executed.

The arrays are named like the attributes, `embedding` or `blocks.0.q`; names of gradients begin with
`gradient.`. The array `about` holds JSON as bytes, with the vocabulary and the small values.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from minigpt.core.functional import Array
from minigpt.inside.activations import Activations, BlockActivations, Target, Trace
from minigpt.support.files import replacing
from minigpt.support.untrusted_files import open_to_read, parse_json

SomeTrace = TypeVar("SomeTrace", bound=Trace)

FORMAT = "minigpt trace 1"
DAMAGE_ERRORS = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, OSError, EOFError),
    *(RuntimeError, SyntaxError, struct.error, zipfile.BadZipFile),
)
"""Errors that the libraries raise on a damaged file."""
MODEL_ARRAYS = [field.name for field in fields(Activations) if field.name != "blocks"]
BLOCK_ARRAYS = [field.name for field in fields(BlockActivations)]


def save(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write a trace to one `.npz` file, completely or not at all."""
    about = {
        "format": FORMAT,
        "n_blocks": len(trace.blocks),
        "n_dropped": trace.n_dropped,
        "target": trace.target,
        "vocabulary": list(trace.vocabulary),
    }
    arrays = {"ids": trace.ids, **dict(_named("", trace))}
    if trace.gradient is not None:
        arrays |= dict(_named("gradient.", trace.gradient))
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def load(kind: type[SomeTrace], path: str | os.PathLike[str]) -> SomeTrace:
    """Read a trace that `save` has written.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it does not hold a complete trace.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no trace at {path}")
    try:
        arrays = _arrays(Path(path))
        about = parse_json(arrays.pop("about").tobytes().decode("utf-8"), "about")
        if about["format"] != FORMAT:
            raise ValueError(f"its format is {about['format']!r}, expected {FORMAT!r}")
        made = _make(kind, arrays, about)
    except DAMAGE_ERRORS as error:
        raise ValueError(f"{path} is not a trace, or is damaged: {error!s:.300}") from None
    return made


Trace.save = save
Trace.load = classmethod(load)  # type: ignore[assignment]


def _arrays(path: Path) -> dict[str, Array]:
    """Read all arrays of a file. A header that claims more data than there are is refused."""
    arrays = {}
    with open_to_read(path) as whole, zipfile.ZipFile(whole) as archive:
        size = os.fstat(whole.fileno()).st_size
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED or member.file_size > size:
                raise ValueError(f"{member.filename!r} is compressed, or longer than the file")
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                if version != (1, 0):
                    raise ValueError(f"{member.filename!r} has version {version}, expected (1, 0)")
                shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
                content = file.read()
            if dtype.hasobject:
                raise ValueError(f"{member.filename!r} holds a pickle, which is never opened")
            if math.prod(shape) * dtype.itemsize != len(content):
                raise ValueError(f"{member.filename!r} does not match its shape {shape}")
            array = np.frombuffer(content, dtype).reshape(
                shape, order="F" if fortran_order else "C"
            )
            arrays[member.filename.removesuffix(".npy")] = array
    return arrays


def _named(prefix: str, activations: Activations) -> Iterator[tuple[str, Array]]:
    for name in MODEL_ARRAYS:
        yield prefix + name, getattr(activations, name)
    for i, block in enumerate(activations.blocks):
        for name in BLOCK_ARRAYS:
            yield f"{prefix}blocks.{i}.{name}", getattr(block, name)


def _make(kind: type[SomeTrace], arrays: dict[str, Array], about: dict[str, Any]) -> SomeTrace:
    n_blocks, vocabulary = about["n_blocks"], about["vocabulary"]
    ids, activations = arrays["ids"], _activations("", arrays, n_blocks)
    target = gradient = None
    if about["target"] is not None:
        target = Target(*about["target"])
        gradient = _activations("gradient.", arrays, n_blocks)
    _check(ids, vocabulary, activations)
    if gradient is not None:
        _check(ids, vocabulary, gradient)
    return kind(
        **vars(activations),
        ids=ids,
        vocabulary=vocabulary,
        n_dropped=about["n_dropped"],
        target=target,
        gradient=gradient,
    )


def _activations(prefix: str, arrays: dict[str, Array], n_blocks: int) -> Activations:
    blocks = [
        BlockActivations(**{name: arrays[f"{prefix}blocks.{i}.{name}"] for name in BLOCK_ARRAYS})
        for i in range(n_blocks)
    ]
    return Activations(**{name: arrays[prefix + name] for name in MODEL_ARRAYS}, blocks=blocks)


def _check(ids: Array, vocabulary: list[str], activations: Activations) -> None:
    """Raise unless the shapes of all arrays agree."""
    T, C, V = len(ids), activations.embedding.shape[-1], len(vocabulary)
    expected: dict[str, tuple[int, ...]] = dict.fromkeys(MODEL_ARRAYS, (T, C)) | {
        "logits": (T, V),
        "ids": (T,),
    }
    found = {name: getattr(activations, name).shape for name in MODEL_ARRAYS} | {"ids": ids.shape}
    for i, block in enumerate(activations.blocks):
        (H, _, D), F = block.q.shape, block.up.shape[-1]
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(BLOCK_ARRAYS, (T, C))
        shapes |= dict.fromkeys(("up", "neurons"), (T, F))
        shapes |= dict.fromkeys(("q", "k", "v", "heads"), (H, T, D))
        shapes |= dict.fromkeys(("scores", "weights"), (H, T, T)) | {"head_writes": (H, T, C)}
        expected |= {f"blocks.{i}.{name}": shape for name, shape in shapes.items()}
        found |= {f"blocks.{i}.{name}": getattr(block, name).shape for name in BLOCK_ARRAYS}
    for name, shape in expected.items():
        if found[name] != shape:
            raise ValueError(f"{name} has the shape {found[name]}, but {shape} is expected")
    if ids.dtype.kind not in "iu" or (T and not 0 <= ids.min() <= ids.max() < V):
        raise ValueError(f"its ids must be integers from 0 to {V - 1}")
