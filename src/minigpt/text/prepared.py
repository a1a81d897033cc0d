"""Open a folder of tokens, made by `minigpt.text.prepare` or by nanoGPT, without reading it whole.

The token files are mapped into memory: a part is read from the disk only when it is used. So a text
of any size needs no more memory than the model. Ids are checked when the model receives them.
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
"""A dataset.json names all files that the tokens come from, so it may be long."""


def prepared_folder(data: Sequence[str | Path]) -> Path | None:
    """Return the folder of tokens that `data` names, or None if it names something else."""
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
    folder : the folder of tokens. nanoGPT's folders have no tokenizer.json.
    name : the tokenizer that the user chose, if any: a kind, a tokenizer.json or its folder.
        nanoGPT's folders need one.
    model_tokenizer : the tokenizer of a model that continues training; it must be the same one.

    Raises
    ------
    ValueError
        If another tokenizer made the tokens, or if it is unknown which one made them.
    """
    if (folder / "tokenizer.json").exists():
        tokenizer = load_tokenizer(folder)
        if model_tokenizer is not None and model_tokenizer.vocabulary != tokenizer.vocabulary:
            raise ValueError(
                f"the tokens in {folder} were not made by the tokenizer of the model: prepare the "
                "text again with --tokenizer and the model's folder"
            )
        if not _is_called(tokenizer, name):
            raise ValueError(
                f"tokenizer is {name}, but the tokens in {folder} were made by another, of kind "
                f"{tokenizer.kind} with {tokenizer.vocab_size:,} tokens: leave out the option, or "
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
            f"{folder} has nanoGPT's characters as numbers. Their meaning is in meta.pkl, a "
            "pickle, which can run any program, so miniGPT never opens it. Use the text that "
            f"the numbers were made from: {how}"
        )
    if given is None:
        raise ValueError(
            f"{folder} has tokens, but no tokenizer.json that defines them: name the tokenizer "
            "that made them with --tokenizer: a tokenizer.json, its folder, or gpt2"
        )
    return given


def _is_called(tokenizer: Tokenizer, name: str | None) -> bool:
    """Return whether `name` is None, the kind of `tokenizer`, or a saved tokenizer equal to it."""
    if name is None or name in TOKENIZERS:
        return name in (None, tokenizer.kind)
    return make_tokenizer(name, "").vocabulary == tokenizer.vocabulary


def check_reading_options(folder: Path, field: str | None, skip_undecodable: bool) -> None:
    """Raise a ValueError if an option says how to read a text, which a folder of tokens lacks."""
    if field is not None:
        raise ValueError(f"{folder} has tokens, not texts with fields: leave out --field")
    if skip_undecodable:
        raise ValueError(
            f"{folder} has tokens, not texts to decode: leave out --skip-undecodable, or prepare "
            "the text again with it"
        )


def first_text_note(folder: Path, dataset: Dataset, tokenizer: Tokenizer) -> str | None:
    """Return a sentence with the beginning of the text, or None if the folder has a tokenizer.

    The user then sees whether the chosen `tokenizer` is the right one.
    """
    if (folder / "tokenizer.json").exists():
        return None
    text = tokenizer.decode(dataset.train[:24].tolist())
    return f"{folder} has no tokenizer.json: with this one, its text begins {text[:60]!r}"


def _check_ids(path: Path, tokens: Array, tokenizer: Tokenizer) -> None:
    """Raise a ValueError if there are ids that the tokenizer does not have."""
    for start in range(0, len(tokens), TOKENS_PER_CHUNK):
        largest = int(tokens[start : start + TOKENS_PER_CHUNK].max())
        if largest >= tokenizer.vocab_size:
            raise ValueError(
                f"{path} has the token id {largest}, but the tokenizer has only "
                f"{tokenizer.vocab_size:,} tokens: another one made this file"
            )


def open_dataset(folder: Path, tokenizer: Tokenizer) -> Dataset:
    """Return the dataset in `folder`, whose token files are mapped into memory.

    Raises
    ------
    ValueError
        If the tokens are unfinished, a file is damaged, or another tokenizer made the tokens.
    FileNotFoundError
        If one of the two token files is missing.
    """
    if (folder / "preparing.json").exists():
        raise ValueError(
            f"preparing {folder} was not finished: run the same `minigpt prepare` command again, "
            "which continues where it stopped"
        )
    about = read_dataset_json(folder)
    dtype = np.dtype(about.get("dtype", "uint16")).newbyteorder("<")
    train, val = (_map(folder / f"{part}.bin", dtype) for part in ("train", "val"))
    for part, tokens in (("train", train), ("val", val)):
        if len(tokens) != about.get(f"{part}_tokens", len(tokens)):
            raise ValueError(
                f"{folder / part}.bin has {len(tokens):,} tokens, but dataset.json says it should "
                f"have {about[f'{part}_tokens']:,}: prepare the folder again"
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
            f"{folder / 'val.bin'} has unknown words ({UNKNOWN}), but dataset.json does not state "
            "the cost of spelling them, which a loss per character needs: prepare the folder "
            "again with `minigpt prepare`"
        )
    about_val = n_characters, None, spelling or 0.0
    return Dataset(folder.resolve().name, train, val, *about_val, tokenizer)


def decoded(tokens: Array, tokenizer: Tokenizer) -> Iterator[str]:
    """Yield the text of `tokens` in parts that fit in memory, without special tokens."""
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
                f"{path} has {size:,} bytes, which cannot be {dtype.name} token ids: the file is "
                "damaged or not a token file"
            )
        return np.memmap(file, dtype, mode="r")


def read_dataset_json(folder: Path) -> dict[str, Any]:
    """Return the content of dataset.json; empty for nanoGPT's folders, which do not have it."""
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
                    raise ValueError(f"{part}_{what} is {n!r:.100}, not a number of {what}")
        for what in ("words", "bytes", "spelling"):
            m = about.get(f"val_{what}", 0)
            if type(m) not in (int, float) or not 0 <= m < 2**63:
                raise ValueError(f"val_{what} is {m!r:.100}, not a number of 0 or more")
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return about
