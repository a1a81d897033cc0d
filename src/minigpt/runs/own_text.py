"""The text of a run: what tells it from any other, and where it is found again.

A run remembers its text by a fingerprint, and by the names that led to it. Names are relative to a
folder, and both may move; so the text is looked for in a few places, and the fingerprint proves
which is right.
"""

from __future__ import annotations

import glob
import hashlib
import mmap
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.core.functional import Array
from minigpt.runs.checkpoints import RECORD, read_run, run_of
from minigpt.runs.starting import find_data
from minigpt.support.untrusted_files import is_special_file
from minigpt.support.wording import for_shell
from minigpt.text.data import Corpus, Dataset
from minigpt.text.tokenizers import Tokenizer
from minigpt.training.settings import Settings

TOKENS_HASHED_AT_ONCE = 2**20  # tokens
DATA_SETTINGS = ("data", "field", "skip_undecodable")
"""Settings that say where a text is, and how it is read."""
BUILT_IN_SOURCES = ("plays", "shakespeare", "-")
"""Names that mean the same in every folder, unless there is a file of that name."""


def fingerprint(dataset: Dataset) -> dict[str, Any]:
    """Return what tells a text from any other: lengths, and checksums of all of it, by SHA-256.

    The tokens are not enough where some are ``<unk>``, which stands for many a word: so what was
    encoded here has a checksum of the text too. A gigabyte takes about a second.
    """
    return {
        "train": [len(dataset.train), _checksum(dataset.train)],
        "val": [len(dataset.val), _checksum(dataset.val)],
        "val_characters": dataset.val_characters,
        "text": dataset.text_checksum,
    }


def covers_all_text(recorded: Any) -> bool:
    """Return whether a fingerprint covers all of a text, as those of older runs do not."""
    return isinstance(recorded, dict) and "text" in recorded


def is_text_of(record: dict[str, Any], dataset: Dataset) -> bool:
    """Return whether these tokens are those of the run with this training.json.

    What its fingerprint does not tell, as runs of older versions have none or one of the beginning
    only, is taken for the same.
    """
    recorded = record.get("text")
    if recorded is None:
        return True
    return bool(recorded == (fingerprint if covers_all_text(recorded) else _of_beginning)(dataset))


def record_of_run(folder: Path) -> dict[str, Any]:
    """Read the newest training.json of the run that a model belongs to; {} if it is of none."""
    run = run_of(folder)
    return read_run(run) if (run / RECORD).is_file() else {}


def is_corpus_of(record: dict[str, Any], corpus: Corpus) -> bool:
    """Return whether the run with this training.json was surely trained on `corpus`."""
    recorded = record.get("text")
    return isinstance(recorded, dict) and recorded.get("text") == corpus.checksum()


def find_run_text(
    folder: Path,
    record: dict[str, Any],
    tokenizer: Tokenizer,
    changes: Mapping[str, Any] | None = None,
) -> tuple[tuple[str, ...], Path, Dataset]:
    """Find the text that a run was trained on.

    Parameters
    ----------
    folder : that of the run, or of one of its checkpoints.
    record : its training.json.
    tokenizer : that of its model.
    changes : settings that are others than there. Without `data`, it is looked for where it was.

    Returns
    -------
    The names that lead to it from here, the folder from which those in the settings, or in
    `changes`, do so, and the text itself.

    Raises
    ------
    FileNotFoundError
        If it is not there; it says where it was looked for.
    ValueError
        If what is there cannot be read, or is another text.
    """
    changed = {name: value for name, value in (changes or {}).items() if name in DATA_SETTINGS}
    settings, data = Settings().replace({**record["settings"], **changed}), changed.get("data")
    bases = [Path.cwd()] if data is not None else [*_base_of(folder, record), Path.cwd()]
    others: list[str] = []
    problems: list[OSError | ValueError] = []
    missing: list[str] = []
    for base in dict.fromkeys(bases):
        try:
            names = names_from(base, settings.data)
            _check_ordinary(names, folder)
            dataset = find_data(settings.replace({"data": names}), tokenizer)[1]
        except FileNotFoundError as error:
            gone = [str(base / name) for name in names if name not in BUILT_IN_SOURCES]
            gone = [path for path in gone if not os.path.exists(path)]  # noqa: PTH110 - never raises
            missing.append(f"there is no {' and no '.join(gone[:3])}" if gone else str(error))
        except (OSError, ValueError) as error:
            problems.append(error)
        else:
            if is_text_of(record, dataset):
                return names, base, dataset
            others.append(" ".join(n if n in BUILT_IN_SOURCES else str(base / n) for n in names))
    if others and data is not None:
        raise ValueError(
            f"{others[0]} is not the text that {folder} was trained on, "
            f"{' '.join(record['settings']['data'])}: its checksum is another"
        )
    if others:
        raise ValueError(
            f"the text of {folder}, {' and '.join(others)}, is no longer what it was when the run "
            "began. Put it back, or say by --data where it is now; or start a new run on the new "
            f"text with --init-from {for_shell(folder)}"
        )
    if problems:
        raise problems[0]
    if data is not None:
        raise FileNotFoundError("; ".join(missing))
    raise FileNotFoundError(
        f"the text of {folder} is not where it was: {'; '.join(missing)}. If it has moved, say by "
        "--data where it is now: the run knows it again by its checksum"
    )


def find_same_text(
    settings: Settings, base: Path, tokenizer: Tokenizer, text: dict[str, Any]
) -> Dataset:
    """Open the tokens that another process trains on, where they are on this machine.

    Parameters
    ----------
    settings : its `data` is a folder of tokens.
    base : the folder in which its name leads there on the other's machine.
    tokenizer : what made them.
    text : their fingerprint there.

    Raises
    ------
    ValueError, FileNotFoundError
        If it is not there, or something else is.
    """
    here = settings.data[0]
    names = names_from(base, settings.data) if not Path(here).exists() else settings.data
    if not Path(names[0]).exists():
        raise FileNotFoundError(
            f"there is no {here}: a folder of tokens must be at the same place for all processes"
        )
    dataset = find_data(settings.replace({"data": names}), tokenizer)[1]
    if fingerprint(dataset) != text:
        raise ValueError(
            f"{names[0]} has other tokens than it has for process 0: copy the folder to all "
            "machines again"
        )
    return dataset


def _check_ordinary(names: Sequence[str], folder: Path) -> None:
    """Raise unless what names lead to can be read to its end."""
    for name in names:
        if is_special_file(name):
            raise ValueError(f"{name}, the text of {folder}, is not an ordinary file or a folder")


def names_from(base: Path, data: Sequence[str]) -> tuple[str, ...]:
    """Return the names in `data`, which are relative to the folder `base`, as they are from here.

    Patterns such as "*.txt" remain patterns.
    """
    return tuple(data) if tuple(data) == ("plays",) else tuple(_from(base, name) for name in data)


def _from(base: Path, name: str) -> str:
    path = base / name
    if base == Path.cwd() or (name in BUILT_IN_SOURCES and (name == "-" or not path.exists())):
        return name
    return str(path if path.exists() else Path(glob.escape(str(base)), name))


def started_in(base: Path, folder: Path) -> str:
    """Return where the folder `base` is, seen from a run folder: both may move together."""
    try:
        return Path(os.path.relpath(base.resolve(), folder.resolve())).as_posix()
    except ValueError:  # on another drive of Windows
        return str(base.resolve())


def _base_of(folder: Path, record: dict[str, Any]) -> list[Path]:
    """Return the folder in which a run was started, if its training.json says so."""
    seen_from_run = record.get("started_in")
    if not isinstance(seen_from_run, str) or "\0" in seen_from_run:
        return []
    base = Path(os.path.normpath(run_of(folder).resolve() / seen_from_run))
    return [Path.cwd() if base == Path.cwd().resolve() else base]


def _checksum(tokens: Array) -> str:
    found = hashlib.sha256()
    mapped: Any = getattr(tokens, "_mmap", None)
    for start in range(0, len(tokens), TOKENS_HASHED_AT_ONCE):
        found.update(np.ascontiguousarray(tokens[start : start + TOKENS_HASHED_AT_ONCE]).data)
        if hasattr(mapped, "madvise"):  # what was looked at need not stay in the memory
            mapped.madvise(mmap.MADV_DONTNEED)
    return found.hexdigest()


def _of_beginning(dataset: Dataset) -> dict[str, Any]:
    """Return the fingerprint of older versions: lengths, and CRC-32 of the first 2²⁰ tokens."""
    return {
        name: [
            len(part),
            f"{zlib.crc32(np.ascontiguousarray(part[:TOKENS_HASHED_AT_ONCE]).data):08x}",
        ]
        for name, part in (("train", dataset.train), ("val", dataset.val))
    }
