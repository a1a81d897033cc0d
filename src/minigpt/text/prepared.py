"""Open a folder of tokens, one of `minigpt.text.prepare` or one of nanoGPT's, without reading it.

The files are mapped into memory: what is looked at is read from the disk then, so that a text of
any size trains with the memory of the model. Ids are checked when they come to the model.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.core.functional import Array
from minigpt.support.untrusted_files import check_not_placeholder, open_to_read, read_json
from minigpt.text.data import Dataset
from minigpt.text.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer
from minigpt.text.tokenizers.making import make_tokenizer
from minigpt.text.tokenizers.vocabulary import UNKNOWN

TOKENS_PER_CHUNK = 2**20  # tokens

MAX_DATASET_JSON_BYTES = 2**26
"""Bytes of a dataset.json, which names all files that the tokens come from."""


def prepared_folder(data: Sequence[str | Path]) -> Path | None:
    """Return the folder of tokens that `data` names; None if it names something else."""
    folder = Path(data[0])
    names = ("train.bin", "val.bin", "preparing.json")
    if len(data) == 1 and any((folder / name).exists() for name in names):
        return folder
    return None


def tokenizer_of(
    folder: Path, name: str | None = None, model_tokenizer: Tokenizer | None = None
) -> Tokenizer:
    """Return the tokenizer that made the tokens in `folder`.

    Parameters
    ----------
    folder : has it as tokenizer.json; nanoGPT's folders do not.
    name : what was chosen: its kind, or, as nanoGPT's folders need it, a tokenizer.json or the
        folder of one. None if nothing was.
    model_tokenizer : that of a model which is to go on learning, and must be the same.

    Raises
    ------
    ValueError
        If something else was chosen than what made the tokens, or nothing says what did.
    """
    if (folder / "tokenizer.json").exists():
        tokenizer = load_tokenizer(folder)
        if model_tokenizer is not None and model_tokenizer.vocabulary != tokenizer.vocabulary:
            raise ValueError(
                f"the tokens in {folder} were not made by the tokenizer of the model: prepare the "
                "text again, with --tokenizer and the model's folder"
            )
        if not _is_called(tokenizer, name):
            raise ValueError(
                f"tokenizer must be left out, got {name}: the tokens in {folder} were made by "
                f"another, of the kind {tokenizer.kind} with {tokenizer.vocab_size:,} tokens. Or "
                "prepare the text again"
            )
        return tokenizer
    given = model_tokenizer
    if given is None and name is not None and name not in TOKENIZERS:
        given = make_tokenizer(name, "")
    if (folder / "meta.pkl").exists() and (given is None or given.kind != "char"):
        text = folder / "input.txt"
        how = f"--data {text if text.exists() else 'TEXT'} --tokenizer char"
        raise ValueError(
            f"{folder} has nanoGPT's characters as numbers. What they mean is in meta.pkl, a "
            "pickle, which can run any program, so that miniGPT never opens it. Use the text that "
            f"they were made of: {how}"
        )
    if given is None:
        raise ValueError(
            f"{folder} has tokens, but no tokenizer.json that says what they mean: give the one "
            "that made them with --tokenizer, a tokenizer.json or its folder, or gpt2"
        )
    return given


def _is_called(tokenizer: Tokenizer, name: str | None) -> bool:
    """Return whether `name` is that of the kind of a tokenizer, or of a file with the same one."""
    if name is None or name in TOKENIZERS:
        return name in (None, tokenizer.kind)
    return make_tokenizer(name, "").vocabulary == tokenizer.vocabulary


def check_reading_options(folder: Path, field: str | None, skip_undecodable: bool) -> None:
    """Raise if it is said how texts are to be read, where there are tokens already."""
    if field is not None:
        raise ValueError(f"{folder} has tokens already, and no fields: leave out --field")
    if skip_undecodable:
        raise ValueError(
            f"{folder} has tokens already, and no text that is decoded: leave out "
            "--skip-undecodable, or prepare the text again with it"
        )


def first_text_note(folder: Path, dataset: Dataset, tokenizer: Tokenizer) -> str | None:
    """Return a sentence with the text that tokens begin with, if nothing says what made them.

    Whoever reads it sees whether `tokenizer` is the right one.
    """
    if (folder / "tokenizer.json").exists():
        return None
    text = tokenizer.decode(dataset.train[:24].tolist())
    return f"{folder} has no tokenizer.json: with this one, its text begins {text[:60]!r}"


def _check_ids(path: Path, tokens: Array, tokenizer: Tokenizer) -> None:
    """Raise if there are ids that a tokenizer does not have."""
    for start in range(0, len(tokens), TOKENS_PER_CHUNK):
        largest = int(tokens[start : start + TOKENS_PER_CHUNK].max())
        if largest >= tokenizer.vocab_size:
            raise ValueError(
                f"{path} has the token {largest}, but the tokenizer has {tokenizer.vocab_size:,} "
                "only: another one made these tokens"
            )


def open_dataset(folder: Path, tokenizer: Tokenizer) -> Dataset:
    """Map the tokens in `folder` into memory.

    Raises
    ------
    ValueError
        If preparing them was not finished, a file is damaged, or another tokenizer made them.
    FileNotFoundError
        If one of the two files is missing.
    """
    if (folder / "preparing.json").exists():
        raise ValueError(
            f"preparing {folder} was not finished: give the same `minigpt prepare` command again, "
            "which goes on where it stopped"
        )
    about = read_dataset_json(folder)
    dtype = np.dtype(about.get("dtype", "uint16")).newbyteorder("<")
    train, val = (_map(folder / f"{part}.bin", dtype) for part in ("train", "val"))
    for part, tokens in (("train", train), ("val", val)):
        if len(tokens) != about.get(f"{part}_tokens", len(tokens)):
            raise ValueError(
                f"{folder / part}.bin has {len(tokens):,} tokens, but dataset.json says it should "
                f"have {about[f'{part}_tokens']:,}: prepare it again"
            )
    if (folder / "tokenizer.json").exists():
        tokenizer_of(folder, model_tokenizer=tokenizer)
    else:
        for part, tokens in (("train", train), ("val", val)):
            _check_ids(folder / f"{part}.bin", tokens, tokenizer)
    n_characters = about.get("val_characters")
    if n_characters is None:
        n_characters = sum(map(len, decoded(val, tokenizer)))
    spelling = about.get("val_spelling")
    if spelling is None and np.any(val == tokenizer.special_tokens.get(UNKNOWN, -1)):
        raise ValueError(
            f"{folder / 'val.bin'} has unknown words ({UNKNOWN}), and dataset.json does not say "
            "what spelling them costs, without which no loss per character can be told: make the "
            "folder again by `minigpt prepare`"
        )
    about_val = n_characters, None, spelling or 0.0
    return Dataset(folder.resolve().name, train, val, *about_val, tokenizer)


def decoded(tokens: Array, tokenizer: Tokenizer) -> Iterator[str]:
    """Decode tokens, as many at a time as fit the memory; ends of documents are no text."""
    special_ids = list(tokenizer.special_tokens.values())
    decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may be cut in two
    for start in range(0, len(tokens), TOKENS_PER_CHUNK):
        chunk = tokens[start : start + TOKENS_PER_CHUNK]
        ordinary = chunk[~np.isin(chunk, special_ids)]
        yield decoder.decode(b"".join(map(tokenizer.token_bytes, ordinary)))


def _map(path: Path, dtype: np.dtype[Any]) -> Array:
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}: a folder of tokens has train.bin and val.bin")
    with open_to_read(path) as file:
        check_not_placeholder(path, file.read(64))
        size = os.fstat(file.fileno()).st_size
        if size == 0 or size % dtype.itemsize:
            raise ValueError(
                f"{path} has {size:,} bytes, which are no {dtype.name} numbers: it is damaged, or "
                "no token file"
            )
        return np.memmap(file, dtype, mode="r")


def read_dataset_json(folder: Path) -> dict[str, Any]:
    """Read dataset.json, which nanoGPT's folders do not have."""
    path = folder / "dataset.json"
    if not path.exists():
        return {}
    try:
        about = read_json(path, MAX_DATASET_JSON_BYTES)
        if about["dtype"] not in ("uint16", "uint32"):
            raise ValueError(f"dtype is {about['dtype']!r:.100}, not uint16 or uint32")
        for part in ("train", "val"):
            for what in ("tokens", "characters"):
                if type(n := about[f"{part}_{what}"]) is not int or n < 1:
                    raise ValueError(f"{part}_{what} is {n!r:.100}, no number of {what}")
        for what in ("words", "bytes", "spelling"):
            m = about.get(f"val_{what}", 0)
            if type(m) not in (int, float) or not 0 <= m < 2**63:
                raise ValueError(f"val_{what} is {m!r:.100}, no number of 0 or more")
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return about
