"""Files of weights: safetensors, mapped into memory, and never a pickle.

A safetensors file has three parts: 8 bytes with the length of the header; the header, JSON with
the type, shape and place of each tensor; and the numbers. So a tensor is a view of the file mapped
into memory: opening it reads nothing, pages are read when they are first needed, and changes in
memory never reach the file.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.core.functional import Array
from minigpt.support.brief import brief
from minigpt.support.files import replacing
from minigpt.support.untrusted_files import (
    check_not_placeholder,
    open_to_read,
    parse_json,
    read_json,
)

MAX_HEADER = 2**24
"""Bytes of the longest header that is read; the largest GPT-2 has 60,000."""

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"

_STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8"}
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth")


@dataclass(frozen=True)
class Tensor:
    """A tensor in a file.

    Attributes
    ----------
    path : the file.
    kind : type of the numbers: "F64", "F32", "F16", "BF16" or "I64". For any other type, `stored`
        holds the bytes.
    stored : a view of the mapped file. NumPy has no bfloat16, so BF16 is stored as uint16 bits.
    """

    path: Path
    kind: str
    stored: Array

    __repr__ = brief

    def read(self, dtype: Any) -> Array:
        """Return the numbers as `dtype`: the view itself if that is their type, else a copy."""
        stored = self.stored
        if self.kind == "BF16":  # the upper half of a float32
            stored = (stored.astype("<u4") << 16).view("<f4")
        with np.errstate(over="ignore", invalid="ignore"):  # too large becomes infinite
            return stored.astype(dtype, copy=False)


def open_weights(folder: Path) -> dict[str, Tensor]:
    """Map the weights in `folder`, from one file or several with an index; return name → tensor.

    Raises
    ------
    FileNotFoundError
        If there are no weights, or one of several files is missing.
    ValueError
        If they are damaged, stored in an unsupported way, or only stored as a pickle.
    """
    if (folder / SINGLE).is_file():
        return open_file(folder / SINGLE)
    if (folder / INDEX).is_file():
        tensors: dict[str, Tensor] = {}
        for name in _files_in(folder / INDEX):
            tensors |= open_file(folder / name)
        return tensors
    for name in _PICKLES:
        if (folder / name).is_file():
            raise ValueError(
                f"{folder} has its weights only as {name}, which is a pickle: opening one can run "
                "any program hidden in it, so miniGPT does not. If you trust where it came from, "
                "convert it once with Hugging Face's libraries (pip install torch transformers):\n"
                '  python -c "from transformers import GPT2LMHeadModel as M; '
                f"M.from_pretrained(r'{folder}').save_pretrained(r'{folder}')\""
            )
    raise FileNotFoundError(f"there are no weights at {folder / SINGLE}")


def open_file(path: Path) -> dict[str, Tensor]:
    """Map the tensors of one safetensors file, which may come from a stranger.

    The header is checked before it is used: the library `safetensors` ensures that the tensors lie
    side by side and fill the file exactly, so none can be larger than the file.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"there are no weights at {path}")
    with open_to_read(path) as file:
        start = file.read(64)
        check_not_placeholder(path, start)
        length = int.from_bytes(start[:8], "little")
        file.seek(8)
        text = file.read(min(length, MAX_HEADER, os.fstat(file.fileno()).st_size))
        # Mode "c", copy on write: the arrays can be changed, and the file stays as it is.
        content = np.asarray(np.memmap(file, np.uint8, "c")) if text else np.empty(0, np.uint8)
    try:
        if length > MAX_HEADER:
            raise ValueError(
                f"its header would have {length:,} bytes, as it begins with {start[:24]!r}"
            )
        with safe_open(path, framework="numpy"):  # checks the whole header
            pass
        header = parse_json(text.decode("utf-8"), "its header")
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is damaged or not a safetensors file: {error!s:.300}") from None
    header.pop("__metadata__", None)
    content = content[8 + length :]
    return {name: _tensor(path, name, about, content) for name, about in header.items()}


def read_like(path: Path, like: dict[str, Array]) -> dict[str, Array]:
    """Read a file whose tensors have exactly the names, types and shapes of the arrays in `like`.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it holds other tensors.
    """
    tensors = open_file(path)
    if tensors.keys() != like.keys():
        found = ", ".join(sorted(tensors))
        raise ValueError(f"{path} must hold {', '.join(sorted(like))}, and holds {found:.100}")
    for name, array in like.items():
        tensor = tensors[name]
        given = (_STORED.get(tensor.kind), tensor.stored.shape)
        if given != (array.dtype.newbyteorder("<").str, array.shape):
            raise ValueError(
                f"{path}: {name!r} must be {array.dtype} of shape {array.shape}, but it is "
                f"{tensor.kind} of shape {tensor.stored.shape}"
            )
    return {name: np.array(tensors[name].stored, array.dtype) for name, array in like.items()}


def write_tensors(path: Path, tensors: dict[str, Array]) -> None:
    """Write named arrays as a safetensors file, completely or not at all.

    The library `safetensors` is not used here: only the owner could read the file it creates.
    Source: https://huggingface.co/docs/safetensors, "Format".
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))
    for name, array in ordered:  # widest numbers first, so that all are aligned
        kind = {"f": "F", "i": "I", "u": "U"}[array.dtype.kind] + str(8 * array.itemsize)
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in ordered:
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)


def _tensor(path: Path, name: str, about: dict[str, Any], content: Array) -> Tensor:
    kind = about["dtype"]
    begin, end = about["data_offsets"]
    if kind not in _STORED:  # the mask in old files may have any type; it is never read
        return Tensor(path, kind, content[begin:end])
    try:
        stored = content[begin:end].view(_STORED[kind]).reshape(about["shape"])
    except ValueError as error:  # too many dimensions, or too long ones, for NumPy
        raise ValueError(f"{path}: {name!r:.100} has an impossible shape: {error}") from None
    return Tensor(path, kind, np.require(stored, requirements="A"))


def _files_in(index: Path) -> list[str]:
    places = read_json(index, at_most=MAX_HEADER).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(x, str) for x in places.values()):
        raise ValueError(f"{index} is damaged: weight_map must give each tensor the name of a file")
    names = sorted(set(places.values()))
    for name in names:
        # A path could lead out of the folder, and systems differ in what is a path.
        if not re.fullmatch(r"[\w.-]{1,200}\.safetensors", name, re.ASCII):
            raise ValueError(f"{index} must name files beside it, *.safetensors, got {name!r:.100}")
    return names
