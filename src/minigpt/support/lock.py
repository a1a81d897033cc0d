"""A lock that allows one process at a time to write into a folder."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import BufferedRandom
from pathlib import Path
from typing import Self

from minigpt.support.untrusted_files import open_to_change

NAME = ".lock"
MAX_PROCESS_ID = 20
"""Maximum length in bytes of the process id in the file."""


class FolderLock:
    """A lock on a folder, held in a `with` block; the same object may be entered again inside.

    The operating system releases the lock when the process ends, however it ends, so a crash
    leaves no lock. While the lock is held, the file `.lock` contains the process id. Afterwards,
    an existing `.lock` has its old content; a new one stays if the block ends without an error.
    If `stays` is false, the block removes `.lock` when it ends without an error.

    Parameters
    ----------
    folder : the folder to lock; it must exist.
    stays : whether `.lock` stays in the folder after a block without an error.
    doing : what happens in the folder meanwhile, for the error message of other processes.

    Raises
    ------
    BlockingIOError
        On entering, if another process holds the lock; the message names it.
    ValueError
        On entering, if `.lock` is not an ordinary file, which is possible in a stranger's folder.
    """

    def __init__(self, folder: Path, stays: bool = True, doing: str = "trained") -> None:
        self.folder = folder
        self.stays, self.doing = stays, doing
        self.depth = 0
        self.file: BufferedRandom | None = None
        self._before: bytes | None = None  # old content of the file; None without a file

    def __enter__(self) -> Self:
        if self.depth == 0:
            self.file = self._open()
        self.depth += 1
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.depth -= 1
        if self.depth == 0 and self.file is not None:
            goes = not self.stays if kind is None else self._before is None
            if goes:
                goes = not _removed(self.folder / NAME)  # Windows does not remove an open file
            elif self._before is not None:
                _write(self.file, self._before)
            self.file.close()
            self.file = None
            if goes:
                _removed(self.folder / NAME)

    def _open(self) -> BufferedRandom:
        path = self.folder / NAME
        is_new = not os.path.lexists(path)
        file = open_to_change(path, make=True)
        content = file.read(MAX_PROCESS_ID + 1)
        try:
            _lock(file)
        except (BlockingIOError, PermissionError):
            file.close()
            holder = content.decode("ascii", "replace").strip() or "another"
            raise BlockingIOError(
                f"{self.folder} is being {self.doing} by process {holder}: wait for it, stop it, "
                "or choose another folder"
            ) from None
        except OSError:  # some network file systems have no locks
            pass
        if len(content) > MAX_PROCESS_ID:
            file.close()
            raise ValueError(f"{path} is not the lock of a folder: move it away")
        try:
            is_there = os.path.samestat(path.lstat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            is_there = False
        if not is_there:  # the last holder has just removed it
            file.close()
            return self._open()
        self._before = None if is_new else content
        _write(file, str(os.getpid()).encode())
        return file


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _write(file: BufferedRandom, content: bytes) -> None:
    handle = file.fileno()
    with suppress(OSError):  # on a full disk, the file stays empty
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, content)


def _lock(file: BufferedRandom) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(2**30)  # a byte far after the process id, which others can still read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
