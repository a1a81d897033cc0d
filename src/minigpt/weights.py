"""Files of weights: safetensors, read where they lie, and never a pickle.

A safetensors file is 8 bytes with the length of a header, the header, which is JSON and tells of
each tensor its type, shape and place, and the numbers one after another. So a tensor is a view of
the file mapped into memory: opening reads nothing, pages come from the disk when they are first
needed, and what is changed in memory never reaches the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.files import replacing
from minigpt.functional import Array

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"

_STORED = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth")


@dataclass(frozen=True)
class Tensor:
    """A tensor in a file.

    Attributes
    ----------
    path : the file.
    kind : how its numbers are stored: "F64", "F32", "F16" or "BF16".
    stored : a view of the mapped file; of BF16, for which NumPy has no type, the bits as uint16.
    """

    path: Path
    kind: str
    stored: Array

    def read(self, dtype: Any) -> Array:
        """Give its numbers as `dtype`: the view itself if they are stored so, else a copy."""
        if self.kind == "BF16":  # the upper half of a float32
            return (self.stored.astype("<u4") << 16).view("<f4").astype(dtype, copy=False)
        return self.stored.astype(dtype, copy=False)


def open_weights(folder: Path) -> dict[str, Tensor]:
    """Map the weights in `folder`, one file or several with an index, by the names they have.

    Raises
    ------
    FileNotFoundError
        If there are none, or one of several files is missing.
    ValueError
        If they are damaged, stored in a way that is not done here, or only there as a pickle.
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
    """Map the tensors of one safetensors file."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"there are no weights at {path}")
    try:
        with safe_open(path, framework="numpy"):  # which checks all of the header
            pass
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from None
    with path.open("rb") as file:
        start = 8 + int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(start - 8))
    header.pop("__metadata__", None)
    # Mode "c", copy on write: the arrays can be changed, and the file stays as it is.
    content = np.asarray(np.memmap(path, np.uint8, "c")) if header else np.empty(0, np.uint8)
    return {name: _tensor(path, name, about, content[start:]) for name, about in header.items()}


def write_tensors(path: Path, tensors: dict[str, Array]) -> None:
    """Write named arrays as a safetensors file, whole or not at all."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={"format": "pt"})
        except SafetensorError as error:
            raise OSError(f"{path} cannot be written: {error}") from None


def _tensor(path: Path, name: str, about: dict[str, Any], content: Array) -> Tensor:
    kind = about["dtype"]
    begin, end = about["data_offsets"]
    if kind not in _STORED:  # a mask of old files may be of any type, but is never read
        return Tensor(path, kind, content[begin:end])
    stored = content[begin:end].view(_STORED[kind]).reshape(about["shape"])
    return Tensor(path, kind, np.require(stored, requirements="A"))


def _files_in(index: Path) -> list[str]:
    try:
        places = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = sorted(set(places.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{index} is damaged: {error!r}") from None
    for name in names:
        if Path(name).name != name:  # a path could lead out of the folder
            raise ValueError(f"{index} must name files beside it, got {name!r}")
    return names
