"""Files out and in: written whole or not at all, and from strangers never taken on trust."""

import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import Any

LARGEST_SETTINGS_FILE = 2**20
"""Bytes that a file of settings has at most: one that is longer is none."""

DEEPEST = 64
"""Lists and objects inside each other that a JSON file has at most."""

_NEVER_WAIT = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"))
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Return a temporary path beside `path`; what is written there takes its place at the end.

    Until then, and if anything goes wrong, a file that was at `path` stays as it was. Since the
    content is on the disk before the name changes, neither a crash nor a full disk leaves a part.

    >>> with replacing("notes.txt") as temporary:
    ...     temporary.write_text("all of it", encoding="utf-8")
    """
    target = Path(path)
    if target.is_dir() or never_ends(target):  # a link to a file is replaced, not followed
        raise ValueError(f"{target} is no ordinary file: give another name, or move it away")
    temporary = target.parent / f".{target.name}.{secrets.token_hex(4)}.tmp"
    # A new file, never one that is there or linked to. Its permissions are those of any new file:
    # the system takes away what the umask says, which no thread can read without changing it.
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    except OSError as error:
        error.filename = str(target)  # the temporary name tells nobody anything
        raise
    try:
        yield temporary
        flush(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Return a temporary folder beside `path`; filled, it takes its place.

    What is put into it has to be on the disk by then, as it is after `replacing` or `write_text`.
    The temporary name begins with a dot, and `remove_leftovers` finds it after a crash.
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
    """Write `text` to `path` as UTF-8, line ends as they are, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON that a person can read: see `write_text`."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def place(source: Path, target: Path) -> None:
    """Link `target` to the file `source`: a hard link, or a copy without these."""
    if os.path.lexists(target) and os.path.samestat(target.lstat(), source.lstat()):
        return
    handle = _open(source, os.O_RDONLY | _NO_LINK)
    with os.fdopen(handle, "rb") as content, replacing(target) as temporary:
        temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError:
            with temporary.open("xb") as copy:
                shutil.copyfileobj(content, copy)


def check_can_be_made(folder: Path) -> None:
    """Raise unless a folder can be made at this path, or is there."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{folder} cannot be made, as {there} is a file: choose another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} cannot be made: you may not write into {there}")


def remove_folder(path: Path) -> None:
    """Remove a folder; its name is gone at once, so that nobody sees a part of it."""
    leftover = path.with_name(f".{path.name}.old.tmp")
    remove(leftover)
    path.rename(leftover)
    remove(leftover)


def remove_leftovers(folder: Path) -> None:
    """Remove what the functions here have left in `folder` when their process was killed."""
    for path in folder.glob(".*.tmp"):
        remove(path)


def remove(path: Path) -> None:
    """Remove what has this name, if anything has: of a link the link, not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Ensure that the content of a file is on the disk."""
    _flush(path, os.O_RDWR | _NO_LINK)


def flush_folder(folder: Path) -> None:
    """Ensure that the names in a folder are on the disk; Windows does so by itself."""
    if os.name == "posix":
        _flush(folder, os.O_RDONLY)


def _flush(path: Path, flags: int) -> None:
    handle = os.open(path, flags | _NEVER_WAIT)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def append_text(path: Path, text: str) -> int:
    """Add `text` to the end of a file, UTF-8; return the bytes it has then.

    Raises
    ------
    ValueError
        If it is a link, a pipe or the like: see `open_to_change`.
    """
    with open_to_change(path, make=True) as file:
        file.seek(0, os.SEEK_END)
        file.write(text.encode("utf-8"))
        return file.tell()


def why_without(folder: Path, name: str) -> str:
    """Say why the file `name` cannot be read in `folder`, after "... is no run folder: "."""
    if folder.is_dir():
        return f"it has no {name}"
    return "it is a file" if folder.exists() else "it is not there"


def open_to_change(path: Path, make: bool = False) -> BufferedRandom:
    """Open a file of a folder that may come from a stranger, to read and change it in place.

    In such a folder, a name may be a link to any file of the user's, or a pipe that nobody empties.
    So links are not followed, pipes are not waited for, and it is the open file that is checked,
    not its name. Nothing is cut off. The caller names the folder, so links on the way to it count
    as the user's own.

    Parameters
    ----------
    path : the file, directly in that folder.
    make : whether to make it if there is none.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an ordinary file, or has a second name (a hard link), under which something
        else would change.
    """
    handle = _open(path, os.O_RDWR | _NO_LINK | (os.O_CREAT if make else 0))
    if os.fstat(handle).st_nlink > 1:
        os.close(handle)
        raise ValueError(
            f"{path} has a second name (a hard link), and what that names would change too: put a "
            "copy in its place"
        )
    return os.fdopen(handle, "r+b")


def open_to_read(path: str | os.PathLike[str], follow: bool = True) -> BufferedReader:
    """Open a file that may come from a stranger, to read it.

    Links are followed, as the Hugging Face cache consists of them, but what they lead to must be
    an ordinary file: a pipe could keep us waiting, and a device could send bytes without end. What
    is shown as it is, whatever it is, must be opened without `follow`: a link may lead to secrets.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an ordinary file.
    """
    flags = os.O_RDONLY if follow else os.O_RDONLY | _NO_LINK
    return os.fdopen(_open(Path(path), flags, follow), "rb")


def _open(path: Path, flags: int, follow: bool = False) -> int:
    advice = ": move it away, and a new one is begun" if flags & os.O_RDWR else ""
    not_ordinary = ValueError(f"{path} is no ordinary file{advice}")
    try:
        handle = os.open(path, flags | _NEVER_WAIT, 0o666)
    except OSError:
        if path.is_dir() or never_ends(path) or (path.is_symlink() and not follow):
            raise not_ordinary from None
        raise
    try:
        about = os.fstat(handle)
        # Where the system cannot refuse links itself, the name shows whether it is one.
        if not stat.S_ISREG(about.st_mode) or not (follow or os.path.samestat(about, path.lstat())):
            raise not_ordinary
    except BaseException:
        os.close(handle)
        raise
    return handle


def never_ends(path: str | os.PathLike[str]) -> bool:
    """Return whether a pipe, a device or the like is there, and neither a file nor a folder."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):  # there is nothing, or there can be nothing of this name
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def read_bytes(path: Path, at_most: int) -> bytes:
    """Read a file that may come from a stranger, of at most `at_most` bytes: see `open_to_read`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an ordinary file, or too long.
    """
    with open_to_read(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > at_most:
            raise ValueError(
                f"{path} has {size:,} bytes, more than the {at_most:,} that are read of it"
            )
        content = file.read(size + 1)
    if len(content) != size:
        raise ValueError(f"{path} is not as long as it is said to be: something is writing it")
    return content


def check_is_itself(path: Path, start: bytes, may_be_page: bool = False) -> None:
    """Raise if a file that begins with `start` is there in place of the one it should be.

    It is a Git LFS pointer or a web page; the latter is refused unless it may be one.
    """
    beginning = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:40].lower()
    if beginning.startswith(b"version https://git-lfs"):
        raise ValueError(
            f"{path} is a Git LFS pointer, a few words that stand for a large file: fetch the file "
            "itself by `git lfs pull`, or download it again"
        )
    if not may_be_page and beginning.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ValueError(
            f"{path} is a web page, and not the file itself: download it again, by the link to the "
            "file and not to the page about it (on Hugging Face /resolve/, not /blob/)"
        )


def read_utf8(path: Path, at_most: int = LARGEST_SETTINGS_FILE) -> str:
    """Read a text of `at_most` so many bytes, as `read_bytes` does, and UTF-8 only."""
    content = read_bytes(path, at_most)
    check_is_itself(path, content)
    try:
        return content.decode("utf-8-sig")  # some editors put a mark first
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from None


def read_json(path: Path, at_most: int = LARGEST_SETTINGS_FILE) -> dict[str, Any]:
    """Read a JSON object from a file of `at_most` so many bytes that may come from a stranger.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no ordinary file, too long, not UTF-8, not JSON, not an object, nested deeper than
        64 levels, or says something twice. What the object holds is for the caller to check.
    """
    return parse_json(read_utf8(path, at_most), str(path))


def parse_json(text: str, where: str) -> dict[str, Any]:
    """Parse `text` as `read_json` does; errors name `where`."""
    try:
        content = json.loads(text, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {error!s:.300}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{where} must hold a JSON object, got a {type(content).__name__}")
    level: list[Any] = [content]
    for _ in range(DEEPEST):
        inside = (x.values() if isinstance(x, dict) else x for x in level)
        level = [x for values in inside for x in values if isinstance(x, dict | list)]
    if level:
        raise ValueError(f"{where} is nested deeper than {DEEPEST} levels")
    return content


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):  # of two, other programs may believe the other
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"it has {name!r:.100} twice")
            seen.add(name)
    return content
