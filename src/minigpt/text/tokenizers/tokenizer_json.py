"""The files of a tokenizer: read and write Hugging Face's ``tokenizer.json``."""

import json
import os
from pathlib import Path
from typing import Any

from minigpt.support.files import write_text
from minigpt.support.untrusted_files import read_json, read_utf8
from minigpt.text.tokenizers.added_tokens import MAX_TOKENIZER_FILE_BYTES
from minigpt.text.tokenizers.vocabulary import Vocabulary, usual_roles
from minigpt.text.tokenizers.vocabulary_from_json import from_json
from minigpt.text.tokenizers.vocabulary_to_json import BYTE_LEVEL, to_json


def write(path: str | os.PathLike[str], vocabulary: Vocabulary) -> None:
    """Write `vocabulary` to a ``.json`` file, or to a folder: see `Tokenizer.save`."""
    file = _file_of(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    _write_json(file, to_json(vocabulary))
    if file.name == "tokenizer.json":  # these would add tokens of an earlier tokenizer to it
        for older in ("added_tokens.json", "special_tokens_map.json"):
            file.with_name(older).unlink(missing_ok=True)
    config = Path(path) / "tokenizer_config.json"
    if config.parent.is_dir() and (vocabulary.roles or config.exists()):
        _write_json(config, tokenizer_config(vocabulary))


def _write_json(file: Path, content: dict[str, Any]) -> None:
    write_text(file, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def tokenizer_config(
    vocabulary: Vocabulary, model_max_length: int | None = None
) -> dict[str, object]:
    """Return the content of ``tokenizer_config.json``: see `Tokenizer.tokenizer_config`."""
    length = {} if model_max_length is None else {"model_max_length": model_max_length}
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **length,
        "clean_up_tokenization_spaces": False,  # which would remove the space from "my !"
        **(vocabulary.roles or usual_roles(vocabulary.special_tokens)),
    }


def read(path: str | os.PathLike[str], n_rows: int | None = None) -> Vocabulary:
    """Return the vocabulary in a ``.json`` file, or in the ``tokenizer.json`` of a folder.

    A folder may have GPT-2's older pair of files instead, ``vocab.json`` and ``merges.txt``. Other
    files in a folder may add tokens: see `minigpt.text.tokenizers.added_tokens`.

    Parameters
    ----------
    path : the file or the folder.
    n_rows : see `minigpt.text.tokenizers.load_tokenizer`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a ``tokenizer.json``, or needs something that miniGPT does not support.
    """
    file = _file_of(path)
    folder = None if file == Path(path) else file.parent
    older = file.with_name("vocab.json")
    try:
        if older.is_file() and not file.is_file():
            file = older
            data = _read_gpt2_files(older)
        else:
            data = read_json(file, MAX_TOKENIZER_FILE_BYTES)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"there is no tokenizer at {error.filename}") from None
    try:
        return from_json(data, folder, n_rows)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _read_gpt2_files(vocab: Path) -> dict[str, Any]:
    """Return vocab.json and merges.txt as the content of a tokenizer.json."""
    ids = read_json(vocab, MAX_TOKENIZER_FILE_BYTES)
    text = read_utf8(vocab.with_name("merges.txt"), MAX_TOKENIZER_FILE_BYTES)
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if lines and lines[0].startswith("#version"):
        lines = lines[1:]
    return {
        "added_tokens": [],
        "pre_tokenizer": BYTE_LEVEL,
        "decoder": BYTE_LEVEL,
        "model": {"type": "BPE", "vocab": ids, "merges": [line for line in lines if line]},
    }


def _file_of(path: str | os.PathLike[str]) -> Path:
    """Return the ``.json`` file that `path` means, which need not exist."""
    path = Path(path)
    if path.name in ("vocab.json", "merges.txt") and path.is_file():
        path = path.parent
    is_file = path.is_file() or (path.suffix == ".json" and not path.is_dir())
    return path if is_file else path / "tokenizer.json"
