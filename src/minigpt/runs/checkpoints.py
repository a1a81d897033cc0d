"""The checkpoints of a run: which exist, and which of them are intact.

    runs/x/                    the best model, and the logs
    runs/x/checkpoint-200/     a model folder, training_state.safetensors, training.json
    runs/x/checkpoint-300/

A checkpoint gets its name when all of it is on the disk, and then never changes. Its training.json
holds the sizes and checksums of the other files and a checksum of itself, which reveal damage.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigpt.support.files import link_or_copy, remove_folder, write_json
from minigpt.support.untrusted_files import is_special_file, open_to_read, read_json, reason_missing
from minigpt.training.settings import Settings

RECORD = "training.json"
_NAME = re.compile(r"checkpoint-(\d+)")


def path_of(folder: Path, step: int) -> Path:
    """Return the folder of a checkpoint."""
    return folder / f"checkpoint-{step}"


def steps_of(folder: Path) -> list[int]:
    """Return the steps of the checkpoints in a run folder, the newest first."""
    names = (_NAME.fullmatch(path.name) for path in folder.glob("checkpoint-*") if path.is_dir())
    return sorted((int(name[1]) for name in names if name), reverse=True)


def read_record(folder: Path) -> dict[str, Any]:
    """Read training.json: the settings of a run, and how far it is."""
    path = folder / RECORD
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is not a run folder: {reason_missing(folder, RECORD)}")
    record = read_json(path)
    step, settings = record.get("step"), record.get("settings")
    if type(step) is not int or not 0 <= step < 2**63 or not isinstance(settings, dict):
        raise ValueError(f"{path} is damaged: it must have step, a whole number, and settings")
    try:
        data = Settings().replace(settings).data
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    for source in data:
        if is_special_file(source):
            raise ValueError(f"{path}: {source} in data is not an ordinary file or a folder")
    _check_names(record.get("files", {}), path)
    return record


def _check_names(files: object, path: Path) -> None:
    """Raise unless `files` has plain file names: a path could lead out of the folder."""
    if not isinstance(files, dict):
        raise ValueError(f"{path} is damaged: files must be an object with the name of each file")
    for name in files:
        if name in ("", "..") or Path(name).name != name or "\0" in name:
            raise ValueError(f"{path} is damaged: {name!r:.100} in files is not a file name")


def read_run(folder: Path) -> dict[str, Any]:
    """Read the newest training.json of a run; the one in the run folder is of the best model."""
    for step in steps_of(folder):
        if (path_of(folder, step) / RECORD).is_file():
            return read_record(path_of(folder, step))
    return read_record(folder)


def require_run(folder: Path) -> None:
    """Raise unless `folder` is a run folder."""
    if not (folder / RECORD).is_file() and not steps_of(folder):
        why = reason_missing(folder, f"{RECORD}, no checkpoint")
        raise FileNotFoundError(f"{folder} is not a run folder: {why}")
    if run_of(folder) != folder:
        raise ValueError(
            f"{folder} is a checkpoint of the run {folder.parent}: give that run, or copy the "
            "checkpoint elsewhere to make it a run of its own"
        )


def run_of(folder: Path) -> Path:
    """Return the run folder that a checkpoint belongs to; any other folder is returned itself."""
    in_run = _NAME.fullmatch(folder.name) and (folder.parent / RECORD).is_file()
    return folder.parent if in_run else folder


def seal(folder: Path, record: dict[str, Any]) -> None:
    """Write training.json: `record`, the checksums of all files in `folder`, and its own."""
    files = {
        path.name: {"size": path.stat().st_size, "crc32": _checksum(path)}
        for path in sorted(folder.iterdir())
    }
    record = {**record, "files": files}
    write_json(folder / RECORD, {**record, "crc32": _checksum_of(record)})


def damage(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint, or None if it is intact."""
    try:
        record = read_record(folder)
        if not {"files", "crc32"} & record.keys():  # version 0.1 had no checksums
            return None
        if record.pop("crc32", None) != _checksum_of(record):
            return f"{RECORD} has changed"
        for name, about in record["files"].items():
            if what := _difference(folder / name, about["size"], about["crc32"]):
                return f"{name} {what}"
    except OSError as error:
        return str(error)
    except (ValueError, TypeError, AttributeError, KeyError):
        return f"{RECORD} cannot be read"
    return None


def newest_intact(folder: Path, say: Callable[[str], None], below: float = math.inf) -> Path:
    """Return the newest intact checkpoint of a run, from which it can continue.

    The run folder itself is a candidate too: it is a copy of the best checkpoint. In version 0.1,
    or if a checkpoint was copied elsewhere, it is the only one.

    Parameters
    ----------
    folder : the run folder.
    say : is called with a line about each damaged checkpoint.
    below : only checkpoints of fewer steps are considered.

    Raises
    ------
    ValueError
        If no checkpoint is intact.
    """
    candidates = _candidates(folder, below)
    problems: list[str] = []
    for path in candidates:
        what = damage(path)
        if what is None:
            for problem in problems:
                say(f"{problem}: continuing from {path if path == folder else path.name}")
            return path
        if path != folder or len(candidates) == 1:  # the copy has the same damage: report it once
            problems.append(f"{path.name} is damaged ({what})")
    raise ValueError(
        f"{folder} has no intact checkpoint: {'; '.join(problems)}. Nothing was changed"
    )


def publish(checkpoint: Path, folder: Path) -> None:
    """Link the files of a checkpoint into the run folder, training.json last.

    Only files named in training.json are linked: a stranger's checkpoint may hold links to others.
    """
    names = read_record(checkpoint).get("files")
    if names is None:  # version 0.1
        files = (path for path in checkpoint.iterdir() if path.is_file() and not path.is_symlink())
        names = [path.name for path in files if path.name != RECORD]
    for name in (*names, RECORD):
        try:
            link_or_copy(checkpoint / name, folder / name)
        except PermissionError:  # Windows does not replace an open file; the next call may succeed
            return


def prune(folder: Path, keep: int, latest: int, best: int | None) -> None:
    """Remove checkpoints except the `keep` newest up to step `latest`, and that of step `best`.

    Checkpoints after `latest` are damaged, or are left over from training that diverged.
    """
    steps = steps_of(folder)
    kept = {*[step for step in steps if step <= latest][:keep], best}
    for step in steps:
        if step not in kept:
            try:
                remove_folder(path_of(folder, step))
            except PermissionError:  # as in `publish`
                continue


def _candidates(folder: Path, below: float) -> list[Path]:
    """Return the checkpoints and the run folder, sorted by step, the newest first."""
    steps = {path_of(folder, step): step for step in steps_of(folder)}
    try:
        steps[folder] = read_record(folder)["step"]
    except ValueError:
        steps[folder] = -1
    except FileNotFoundError:
        pass  # killed before the first one was copied
    # The run folder comes after the checkpoint that it is a copy of.
    order = sorted(steps, key=lambda path: (steps[path], path != folder), reverse=True)
    return [path for path in order if steps[path] < below]


def _difference(path: Path, size: int, checksum: str) -> str | None:
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != size:
        return "is cut short" if path.stat().st_size < size else "is longer than it was"
    return None if _checksum(path) == checksum else "has changed"


def _checksum(path: Path) -> str:
    """Return the CRC-32 of a file: fast everywhere, but no protection against forgery."""
    crc = 0
    with open_to_read(path) as file:
        while part := file.read(2**20):
            crc = zlib.crc32(part, crc)
    return f"{crc:08x}"


def _checksum_of(record: dict[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(record, sort_keys=True).encode()):08x}"
