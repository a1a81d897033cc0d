"""Writing files: a file or folder appears under its name complete, or not at all."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minigpt.support.untrusted_files import NEVER_WAIT, NO_LINK, is_special_file, open_ordinary


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; at the end of the block, it replaces `path`.

    Until then, and if anything goes wrong, an existing file at `path` stays unchanged. The content
    is on the disk before the name changes, so neither a crash nor a full disk leaves half a file.

    >>> with replacing("notes.txt") as temporary:
    ...     temporary.write_text("all of it", encoding="utf-8")
    """
    target = Path(path)
    if target.is_dir() or is_special_file(target):  # a link to a file is replaced, not followed
        raise ValueError(f"{target} is not an ordinary file: give another name, or move it away")
    temporary = target.parent / f".{target.name}.{secrets.token_hex(4)}.tmp"
    # O_EXCL: always a new file, never an existing one or a link. It gets the usual permissions:
    # the system applies the umask, which no thread can read without changing it.
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except OSError as error:
        error.filename = str(target)  # the temporary name means nothing to the user
        raise
    try:
        yield temporary
        flush(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; at the end of the block, it replaces `path`.

    The files in it must be on the disk by then; `replacing` and `write_text` ensure that. The
    temporary name begins with a dot, and `remove_leftovers` removes it after a crash.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    remove(temporary)
    temporary.mkdir()
    try:
        yield temporary
        flush_folder(temporary)
        if os.path.lexists(path):
            remove_folder(path)
        temporary.rename(path)
        flush_folder(path.parent)
    finally:
        remove(temporary)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` as UTF-8, completely or not at all; line ends stay as they are."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON: see `write_text`."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def link_or_copy(source: Path, target: Path) -> None:
    """Create `target` as a hard link to the file `source`, or as a copy without hard links."""
    if os.path.lexists(target) and os.path.samestat(target.lstat(), source.lstat()):
        return
    handle = open_ordinary(source, os.O_RDONLY | NO_LINK)
    with os.fdopen(handle, "rb") as content, replacing(target) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:
            with temporary.open("xb") as copy:
                shutil.copyfileobj(content, copy)


def check_can_be_made(folder: Path) -> None:
    """Raise unless `folder` exists or can be created."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{folder} cannot be made, as {there} is a file: choose another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} cannot be made: you may not write into {there}")


def remove_folder(path: Path) -> None:
    """Remove a folder; its name disappears first, so that nobody sees half of it."""
    leftover = path.with_name(f".{path.name}.old.tmp")
    remove(leftover)
    path.rename(leftover)
    remove(leftover)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files that a killed process has left in `folder`."""
    for path in folder.glob(".*.tmp"):
        remove(path)


def remove(path: Path) -> None:
    """Remove the file, folder or link at `path`, if any; the target of a link stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Ensure that the content of a file is on the disk."""
    _flush(path, os.O_RDWR | NO_LINK)


def flush_folder(folder: Path) -> None:
    """Ensure that the names in a folder are on the disk; Windows does so by itself."""
    if os.name == "posix":
        _flush(folder, os.O_RDONLY)


def _flush(path: Path, flags: int) -> None:
    handle = os.open(path, flags | NEVER_WAIT)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
