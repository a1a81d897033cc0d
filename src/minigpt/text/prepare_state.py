"""How far preparing a folder of tokens has come: `preparing.json`, and the unfinished token files.

The token files end in .part until all is done. `preparing.json` is written only after the tokens
that it counts are safely on the disk. So after an interruption, each token file is cut to the
length that `preparing.json` counts, and preparing continues from there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from minigpt.support.brief import brief
from minigpt.support.files import write_json
from minigpt.support.untrusted_files import open_to_change, read_json
from minigpt.text.prepared import MAX_DATASET_JSON_BYTES
from minigpt.text.source_text import PARTS
from minigpt.text.tokenizers import Tokenizer


@dataclass
class PrepareState:
    """The content of `preparing.json`.

    Attributes
    ----------
    order : what was asked for: the files and all options that change the result.
    n_characters, n_pieces : the length of the text; 0 until it has been read once.
    done : the number of pieces that are encoded.
    tokens, characters : how many of them there are so far, for each part.
    val : other lengths of the validation part so far: its words, its bytes, and the nats that it
        costs to spell its unknown pieces.
    """

    order: dict[str, Any]
    n_characters: int = 0
    n_pieces: int = 0
    done: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    characters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    val: dict[str, float] = field(default_factory=lambda: {"words": 0, "bytes": 0, "spelling": 0.0})

    __repr__ = brief

    def add(self, part: str, n_tokens: int, texts: Sequence[str], tokenizer: Tokenizer) -> None:
        """Count one more encoded piece; `texts` is its text without special tokens."""
        self.done += 1
        self.tokens[part] += n_tokens
        self.characters[part] += sum(map(len, texts))
        if part == "val":
            for text in texts:
                self.val["words"] += len(text.split())
                self.val["bytes"] += len(text.encode("utf-8"))
                self.val["spelling"] += tokenizer.spelling_nats(text)

    def save(self, folder: Path, token_files: Iterable[IO[bytes]] = ()) -> None:
        """Write the token files to the disk, and after them `preparing.json`."""
        for file in token_files:
            file.flush()
            os.fsync(file.fileno())
        write_json(folder / "preparing.json", vars(self))


def begin(folder: Path, order: dict[str, Any]) -> PrepareState:
    """Return the state in which an earlier call left `folder`, or else a new one.

    Raises
    ------
    FileExistsError
        If the folder has finished tokens, or unfinished ones of another order.
    ValueError
        If preparing.json is damaged.
    """
    path = folder / "preparing.json"
    if path.exists():
        state = _read_state(path)
        differing = [name for name in order if state.order.get(name) != order[name]]
        if not differing:
            return state
        if state.done:
            raise FileExistsError(
                f"{folder} holds unfinished tokens of something else ({', '.join(differing)} "
                "differ): use the same command with the same files to continue, or another folder"
            )
        (folder / "tokenizer.json").unlink(missing_ok=True)  # nothing else is lost
        path.unlink()
    results = (*(f"{part}.bin" for part in PARTS), "tokenizer.json")
    taken = [name for name in results if (folder / name).exists()]
    if taken:
        raise FileExistsError(f"{folder} has {taken[0]} already: choose another folder")
    state = PrepareState(order)
    state.save(folder)
    return state


def _read_state(path: Path) -> PrepareState:
    try:
        state = PrepareState(**read_json(path, MAX_DATASET_JSON_BYTES))
        _check_state(state)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}): delete {path.parent}, and begin again"
        ) from None
    return state


def _check_state(state: PrepareState) -> None:
    """Raise a ValueError if a field of `state` has a wrong type, or a number out of range."""
    for name, example in vars(PrepareState({})).items():
        value = getattr(state, name)
        numbers = [value]
        if isinstance(example, dict):
            if not isinstance(value, dict) or not example.keys() <= value.keys():
                raise ValueError(f"{name} must be an object with {', '.join(example)}")
            numbers = [value[key] for key in example]
        kinds = (int, float) if name == "val" else (int,)
        if not all(type(number) in kinds and 0 <= number < 2**63 for number in numbers):
            raise ValueError(f"{name} must be numbers of 0 or more, got {value!r:.100}")


def dtype_of(vocab_size: int) -> np.dtype[Any]:
    """Return the dtype of ids in a token file: nanoGPT's uint16 where it is enough, or uint32."""
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")


def open_token_file(folder: Path, part: str, size: int) -> IO[bytes]:
    """Return the unfinished token file of `part`, cut to the first `size` bytes, at its end."""
    final, path = folder / f"{part}.bin", folder / f"{part}.bin.part"
    if final.exists():  # the last call was stopped while it renamed the files
        final.replace(path)
    file = open_to_change(path, make=True)
    if file.seek(0, os.SEEK_END) < size:
        file.close()
        raise ValueError(f"{path} is shorter than it was: delete {folder}, and begin again")
    file.seek(size)
    file.truncate()
    return file


def finish(folder: Path, state: PrepareState, tokenizer: Tokenizer) -> dict[str, Any]:
    """Rename the token files, write dataset.json and return its content."""
    for part in PARTS:
        (folder / f"{part}.bin.part").replace(folder / f"{part}.bin")
    about = {
        "version": state.order["version"],
        "dtype": dtype_of(tokenizer.vocab_size).name,
        "vocab_size": tokenizer.vocab_size,
        **{f"{part}_tokens": state.tokens[part] for part in PARTS},
        **{f"{part}_characters": state.characters[part] for part in PARTS},
        **{f"val_{name}": amount for name, amount in state.val.items()},
        "sources": [source["path"] for source in state.order["sources"]],
    }
    write_json(folder / "dataset.json", about)
    (folder / "preparing.json").unlink()
    return about
