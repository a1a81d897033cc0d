"""Reading and changing files that may come from a stranger: nothing in them is taken on trust.

In a folder from elsewhere, a name may be a link to a private file, a pipe that never ends, or a
device. So each function checks the file it has opened, never only its name.
"""

import json
import os
import stat
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import Any

MAX_SETTINGS_FILE = 2**20
"""Bytes of the largest file of settings that is read."""

MAX_JSON_DEPTH = 64
"""How deeply lists and objects may be nested in a JSON file."""

NEVER_WAIT = sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"))
NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def open_to_read(path: str | os.PathLike[str], follow: bool = True) -> BufferedReader:
    """Open a file that may come from a stranger, for reading.

    The Hugging Face cache consists of links, so links are followed, but only to ordinary files: a
    pipe could make us wait, and a device could send bytes forever. Before content is shown to
    others, open the file with `follow=False`: a link may lead to a secret.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an ordinary file.
    """
    flags = os.O_RDONLY if follow else os.O_RDONLY | NO_LINK
    return os.fdopen(open_ordinary(Path(path), flags, follow), "rb")


def open_to_change(path: Path, make: bool = False) -> BufferedRandom:
    """Open a file in a folder that may come from a stranger, to read it and change it in place.

    Links are not followed and pipes are not waited for. The file is not truncated. The user chose
    the folder, so links in the path to the folder are trusted.

    Parameters
    ----------
    path : the file, directly in that folder.
    make : whether to create the file if it does not exist.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an ordinary file, or has a second name (a hard link): a change would also
        change the file of that name.
    """
    handle = open_ordinary(path, os.O_RDWR | NO_LINK | (os.O_CREAT if make else 0))
    if os.fstat(handle).st_nlink > 1:
        os.close(handle)
        raise ValueError(
            f"{path} has a second name (a hard link), and that file would change too: replace "
            f"{path.name} with a copy"
        )
    return os.fdopen(handle, "r+b")


def open_ordinary(path: Path, flags: int, follow: bool = False) -> int:
    """Open a file with `flags` and return its handle; raise ValueError if it is not ordinary."""
    advice = ": move it away, and a new one will be created" if flags & os.O_RDWR else ""
    not_ordinary = ValueError(f"{path} is not an ordinary file{advice}")
    try:
        handle = os.open(path, flags | NEVER_WAIT, 0o666)
    except OSError:
        if path.is_dir() or is_special_file(path) or (path.is_symlink() and not follow):
            raise not_ordinary from None
        raise
    try:
        about = os.fstat(handle)
        # Without O_NOFOLLOW, comparing the open file with its name reveals a link.
        if not stat.S_ISREG(about.st_mode) or not (follow or os.path.samestat(about, path.lstat())):
            raise not_ordinary
    except BaseException:
        os.close(handle)
        raise
    return handle


def is_special_file(path: str | os.PathLike[str]) -> bool:
    """Return whether `path` is a pipe, a device or another special file, which may never end."""
    try:
        mode = Path(path).stat().st_mode
    except (OSError, ValueError):  # it does not exist, or the name is impossible
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def append_text(path: Path, text: str) -> int:
    """Append `text` to a file as UTF-8, and return the new size of the file in bytes.

    Raises
    ------
    ValueError
        If it is not an ordinary file: see `open_to_change`.
    """
    with open_to_change(path, make=True) as file:
        file.seek(0, os.SEEK_END)
        file.write(text.encode("utf-8"))
        return file.tell()


def read_bytes(path: Path, at_most: int) -> bytes:
    """Read a file of at most `at_most` bytes: see `open_to_read`.

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
                f"{path} has {size:,} bytes, more than the {at_most:,} that can be read"
            )
        content = file.read(size + 1)
    if len(content) != size:
        raise ValueError(f"the size of {path} changed while it was read: a program is writing it")
    return content


def check_not_placeholder(path: Path, start: bytes, may_be_page: bool = False) -> None:
    """Raise if a file that begins with `start` is a Git LFS pointer or a web page.

    Downloads often leave one of these in place of the real file. A web page is accepted if
    `may_be_page` is true.
    """
    beginning = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:40].lower()
    if beginning.startswith(b"version https://git-lfs"):
        raise ValueError(
            f"{path} is a Git LFS pointer, a few words that stand for a large file: fetch the file "
            "itself with `git lfs pull`, or download it again"
        )
    if not may_be_page and beginning.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise ValueError(
            f"{path} is a web page, not the file itself: download it again with the link to the "
            "file, not to the page about it (on Hugging Face /resolve/, not /blob/)"
        )


def read_utf8(path: Path, at_most: int = MAX_SETTINGS_FILE) -> str:
    """Read a UTF-8 text of at most `at_most` bytes: see `read_bytes`."""
    content = read_bytes(path, at_most)
    check_not_placeholder(path, content)
    try:
        return content.decode("utf-8-sig")  # some editors write a mark first
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from None


def read_json(path: Path, at_most: int = MAX_SETTINGS_FILE) -> dict[str, Any]:
    """Read a JSON object from a file of at most `at_most` bytes.

    The caller must check what the object contains.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not an ordinary file, too long, not UTF-8, not JSON, not an object, nested more
        than 64 levels deep, or has a key twice.
    """
    return parse_json(read_utf8(path, at_most), str(path))


def parse_json(text: str, where: str) -> dict[str, Any]:
    """Parse a JSON object with the checks of `read_json`; errors name `where`."""
    try:
        content = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {error!s:.300}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{where} must hold a JSON object, got a {type(content).__name__}")
    level: list[Any] = [content]
    for _ in range(MAX_JSON_DEPTH):
        inside = (x.values() if isinstance(x, dict) else x for x in level)
        level = [x for values in inside for x in values if isinstance(x, dict | list)]
    if level:
        raise ValueError(f"{where} is nested deeper than {MAX_JSON_DEPTH} levels")
    return content


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):  # another program might use the other value
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"it has {name!r:.100} twice")
            seen.add(name)
    return content


def reason_missing(folder: Path, name: str) -> str:
    """Return why `folder` has no file `name`, to follow "... is not a run folder: "."""
    if folder.is_dir():
        return f"it has no {name}"
    return "it is a file" if folder.exists() else "it does not exist"
