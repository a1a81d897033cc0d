"""The checkpoints of a run: which there are, and which of them are whole.

    runs/x/                    the best model, and all that has been written down
    runs/x/checkpoint-200/     a model folder, training_state.safetensors, training.json
    runs/x/checkpoint-300/

A checkpoint gets its name when all of it is on the disk. After that it never changes; its
training.json holds sizes and checksums of the other files, and one of itself, so that damage done
later is seen.
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
    """Return the steps after which there are checkpoints in a run folder, the newest first."""
    names = (_NAME.fullmatch(path.name) for path in folder.glob("checkpoint-*") if path.is_dir())
    return sorted((int(name[1]) for name in names if name), reverse=True)


def read_record(folder: Path) -> dict[str, Any]:
    """Read training.json: the settings of a run and how far it is."""
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
    """Raise unless `files` describes files of one folder: a path would lead out of it."""
    if not isinstance(files, dict):
        raise ValueError(f"{path} is damaged: files must be an object with the name of each file")
    for name in files:
        if name in ("", "..") or Path(name).name != name or "\0" in name:
            raise ValueError(f"{path} is damaged: {name!r:.100} in files is no name of a file")


def read_run(folder: Path) -> dict[str, Any]:
    """Read how far a run is: the newest training.json. That of the folder is of its best model."""
    for step in steps_of(folder):
        if (path_of(folder, step) / RECORD).is_file():
            return read_record(path_of(folder, step))
    return read_record(folder)


def require_run(folder: Path) -> None:
    """Refuse a folder that is no run."""
    if not (folder / RECORD).is_file() and not steps_of(folder):
        why = reason_missing(folder, f"{RECORD}, no checkpoint")
        raise FileNotFoundError(f"{folder} is not a run folder: {why}")
    if run_of(folder) != folder:
        raise ValueError(
            f"{folder} is a checkpoint of the run {folder.parent}: give that run, or copy the "
            "checkpoint elsewhere to make a run of its own of it"
        )


def run_of(folder: Path) -> Path:
    """Return the folder of the run that a checkpoint belongs to; of anything else, itself."""
    in_run = _NAME.fullmatch(folder.name) and (folder.parent / RECORD).is_file()
    return folder.parent if in_run else folder


def seal(folder: Path, record: dict[str, Any]) -> None:
    """Write training.json: `record`, and checksums of all that is in `folder` and of itself."""
    files = {
        path.name: {"size": path.stat().st_size, "crc32": _checksum(path)}
        for path in sorted(folder.iterdir())
    }
    record = {**record, "files": files}
    write_json(folder / RECORD, {**record, "crc32": _checksum_of(record)})


def damage(folder: Path) -> str | None:
    """Say what is wrong with a checkpoint, or give None if it is whole."""
    try:
        record = read_record(folder)
        if not {"files", "crc32"} & record.keys():  # of version 0.1, which had no checksums
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
    """Find what a run can go on from: its newest checkpoint that is whole.

    What lies in the run folder itself counts too: it is a copy of the best checkpoint, or, in a
    run of version 0.1 or a checkpoint copied elsewhere, all there is.

    Parameters
    ----------
    folder : the run folder.
    say : is told of those that are damaged.
    below : only checkpoints of fewer steps are looked at.

    Raises
    ------
    ValueError
        If none is whole.
    """
    candidates = _candidates(folder, below)
    problems: list[str] = []
    for path in candidates:
        what = damage(path)
        if what is None:
            for problem in problems:
                say(f"{problem}: going on from {path if path == folder else path.name}")
            return path
        if path != folder or len(candidates) == 1:  # else it only repeats what has been said
            problems.append(f"{path.name} is damaged ({what})")
    raise ValueError(
        f"{folder} has no intact checkpoint: {'; '.join(problems)}. Nothing was changed"
    )


def publish(checkpoint: Path, folder: Path) -> None:
    """Link the files of a checkpoint into the run folder too, training.json last.

    What else lies in it, as links to files elsewhere may in a stranger's, is not spread.
    """
    names = read_record(checkpoint).get("files")
    if names is None:  # of version 0.1
        files = (path for path in checkpoint.iterdir() if path.is_file() and not path.is_symlink())
        names = [path.name for path in files if path.name != RECORD]
    for name in (*names, RECORD):
        try:
            link_or_copy(checkpoint / name, folder / name)
        except PermissionError:  # Windows does not replace what somebody reads; next time it may
            return


def prune(folder: Path, keep: int, latest: int, best: int | None) -> None:
    """Remove checkpoints but for the `keep` newest up to `latest`, and the `best`.

    Those after `latest` were damaged, or training diverged there and went back.
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
    """Return the checkpoints and the run folder, by their steps, the newest first."""
    steps = {path_of(folder, step): step for step in steps_of(folder)}
    try:
        steps[folder] = read_record(folder)["step"]
    except ValueError:
        steps[folder] = -1
    except FileNotFoundError:
        pass  # killed before the first one was copied
    # The folder itself stands behind the checkpoint it is a copy of.
    order = sorted(steps, key=lambda path: (steps[path], path != folder), reverse=True)
    return [path for path in order if steps[path] < below]


def _difference(path: Path, size: int, checksum: str) -> str | None:
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != size:
        return "is cut short" if path.stat().st_size < size else "is longer than it was"
    return None if _checksum(path) == checksum else "has changed"


def _checksum(path: Path) -> str:
    """Return the CRC-32 of a file: quick on every machine, and it guards against accidents only."""
    crc = 0
    with open_to_read(path) as file:
        while part := file.read(2**20):
            crc = zlib.crc32(part, crc)
    return f"{crc:08x}"


def _checksum_of(record: dict[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(record, sort_keys=True).encode()):08x}"
