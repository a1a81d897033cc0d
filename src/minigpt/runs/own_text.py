"""The text of a run: how it is recognised, and how it is found again.

A run records a fingerprint of its text, and the names of its files. The names are relative to a
folder, and the text or the run may have moved. So the text is searched in a few places, and the
fingerprint proves which one is right.
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

TOKENS_HASHED_AT_ONCE = 2**20
DATA_SETTINGS = ("data", "field", "skip_undecodable")
"""Settings that say where a text is, and how to read it."""
BUILT_IN_SOURCES = ("plays", "shakespeare", "-")
"""Sources that are the same in every folder, unless it has a file of that name."""


def fingerprint(dataset: Dataset) -> dict[str, Any]:
    """Return the fingerprint of a text: its lengths, and SHA-256 checksums of all of it.

    Checksums of the tokens are not enough, as ``<unk>`` stands for many words. So a text that was
    encoded here has a checksum of its own too. One gigabyte takes about a second.
    """
    return {
        "train": [len(dataset.train), _checksum(dataset.train)],
        "val": [len(dataset.val), _checksum(dataset.val)],
        "val_characters": dataset.val_characters,
        "text": dataset.text_checksum,
    }


def covers_all_text(recorded: Any) -> bool:
    """Return whether a fingerprint covers all of a text; in older versions it does not."""
    return isinstance(recorded, dict) and "text" in recorded


def is_text_of(record: dict[str, Any], dataset: Dataset) -> bool:
    """Return whether `dataset` is the text of the run with this training.json.

    Runs of older versions have no fingerprint, or one of the beginning of the text. Whatever it
    does not cover is assumed to be the same.
    """
    recorded = record.get("text")
    if recorded is None:
        return True
    return bool(
        recorded == (fingerprint if covers_all_text(recorded) else _old_fingerprint)(dataset)
    )


def record_of_run(folder: Path) -> dict[str, Any]:
    """Read the newest training.json of the run that a model belongs to; {} if there is no run."""
    run = run_of(folder)
    return read_run(run) if (run / RECORD).is_file() else {}


def is_corpus_of(record: dict[str, Any], corpus: Corpus) -> bool:
    """Return whether the fingerprint in this training.json proves that the text is `corpus`."""
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
    folder : the run folder, or one of its checkpoints.
    record : its training.json.
    tokenizer : the tokenizer of its model.
    changes : settings with new values. Without `data`, the text is searched where it was.

    Returns
    -------
    The names of the text as seen from the current folder; the folder to which the names in the
    settings, or in `changes`, are relative; and the text as tokens.

    Raises
    ------
    FileNotFoundError
        If the text is not found; the message says where it was searched.
    ValueError
        If the text cannot be read, or is another text.
    """
    changed = {name: value for name, value in (changes or {}).items() if name in DATA_SETTINGS}
    settings, data = Settings().replace({**record["settings"], **changed}), changed.get("data")
    bases = [Path.cwd()] if data is not None else [*_base_of(folder, record), Path.cwd()]
    missing: list[str] = []
    unreadable: list[OSError | ValueError] = []
    others: list[str] = []
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
            unreadable.append(error)
        else:
            if is_text_of(record, dataset):
                return names, base, dataset
            others.append(" ".join(n if n in BUILT_IN_SOURCES else str(base / n) for n in names))
    if others:
        raise ValueError(_other_text(folder, record, others, is_given=data is not None))
    if unreadable:
        raise unreadable[0]
    if data is not None:
        raise FileNotFoundError("; ".join(missing))
    raise FileNotFoundError(
        f"the text of {folder} is not where it was: {'; '.join(missing)}. If it has moved, give "
        "its new place with --data: the run recognises it by its checksum"
    )


def _other_text(folder: Path, record: dict[str, Any], others: list[str], is_given: bool) -> str:
    """Return the error message for texts that are not the text of the run."""
    if is_given:
        return (
            f"{others[0]} is not the text that {folder} was trained on, "
            f"{' '.join(record['settings']['data'])}: its checksum is different"
        )
    return (
        f"the text of {folder}, {' and '.join(others)}, is no longer what it was when the run "
        "began. Restore it, or give its place with --data; or start a new run on the new text "
        f"with --init-from {for_shell(folder)}"
    )


def find_same_text(
    settings: Settings, base: Path, tokenizer: Tokenizer, text: dict[str, Any]
) -> Dataset:
    """Open the folder of tokens on this machine that rank 0 trains on.

    Parameters
    ----------
    settings : `settings.data` is a folder of tokens.
    base : the folder to which this name is relative, on the machine of rank 0.
    tokenizer : the tokenizer that made the tokens.
    text : their fingerprint in rank 0.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it has other tokens.
    """
    here = settings.data[0]
    names = names_from(base, settings.data) if not Path(here).exists() else settings.data
    if not Path(names[0]).exists():
        raise FileNotFoundError(
            f"there is no {here}: all processes need the folder of tokens at the same place"
        )
    dataset = find_data(settings.replace({"data": names}), tokenizer)[1]
    if fingerprint(dataset) != text:
        raise ValueError(
            f"{names[0]} has other tokens than the same folder of process 0: copy the folder to "
            "all machines again"
        )
    return dataset


def _check_ordinary(names: Sequence[str], folder: Path) -> None:
    """Raise if a name leads to a pipe or a device, which may never end."""
    for name in names:
        if is_special_file(name):
            raise ValueError(f"{name}, the text of {folder}, is not an ordinary file or a folder")


def names_from(base: Path, data: Sequence[str]) -> tuple[str, ...]:
    """Return the names in `data`, relative to `base`, as seen from the current folder.

    Patterns such as "*.txt" stay patterns.
    """
    return tuple(data) if tuple(data) == ("plays",) else tuple(_from(base, name) for name in data)


def _from(base: Path, name: str) -> str:
    path = base / name
    if base == Path.cwd() or (name in BUILT_IN_SOURCES and (name == "-" or not path.exists())):
        return name
    return str(path if path.exists() else Path(glob.escape(str(base)), name))


def started_in(base: Path, folder: Path) -> str:
    """Return the path from a run folder to `base`; it stays right if both move together."""
    try:
        return Path(os.path.relpath(base.resolve(), folder.resolve())).as_posix()
    except ValueError:  # on another drive of Windows
        return str(base.resolve())


def _base_of(folder: Path, record: dict[str, Any]) -> list[Path]:
    """Return the folder in which a run was started, or nothing if its record does not say it."""
    relative = record.get("started_in")
    if not isinstance(relative, str) or "\0" in relative:
        return []
    base = Path(os.path.normpath(run_of(folder).resolve() / relative))
    return [Path.cwd() if base == Path.cwd().resolve() else base]


def _checksum(tokens: Array) -> str:
    found = hashlib.sha256()
    mapped: Any = getattr(tokens, "_mmap", None)
    for start in range(0, len(tokens), TOKENS_HASHED_AT_ONCE):
        found.update(np.ascontiguousarray(tokens[start : start + TOKENS_HASHED_AT_ONCE]).data)
        if hasattr(mapped, "madvise"):  # release the pages that were read
            mapped.madvise(mmap.MADV_DONTNEED)
    return found.hexdigest()


def _old_fingerprint(dataset: Dataset) -> dict[str, Any]:
    """Return the fingerprint of older versions: lengths, and CRC-32 of the first 2²⁰ tokens."""
    return {
        name: [
            len(part),
            f"{zlib.crc32(np.ascontiguousarray(part[:TOKENS_HASHED_AT_ONCE]).data):08x}",
        ]
        for name, part in (("train", dataset.train), ("val", dataset.val))
    }
