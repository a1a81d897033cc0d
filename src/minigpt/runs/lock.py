"""One process at a time in a run folder."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Self

NAME = ".lock"


class FolderLock:
    """Held in a `with` block, which may be entered again inside.

    The operating system keeps the lock and drops it with the process, however that ends, so none
    is left behind by a crash. The file `.lock` stays, and tells who held it last.

    Parameters
    ----------
    folder : what to lock; it has to be there.

    Raises
    ------
    BlockingIOError
        On entering, if another holds it; the message says which process.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.depth = 0
        self.file: FileIO | None = None

    def __enter__(self) -> Self:
        if self.depth == 0:
            self.file = self._open()
        self.depth += 1
        return self

    def __exit__(self, *error: object) -> None:
        self.depth -= 1
        if self.depth == 0 and self.file is not None:
            self.file.close()
            self.file = None

    def _open(self) -> FileIO:
        file = (self.folder / NAME).open("a+b", buffering=0)
        try:
            _lock(file)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            holder = (file.read(20) or b"").decode("ascii", "replace").strip() or "another"
            file.close()
            raise BlockingIOError(
                f"{self.folder} is being trained by process {holder}: wait for it, stop it, or "
                "choose another folder"
            ) from None
        except OSError:  # some network file systems have no locks
            pass
        with suppress(OSError):  # on a full disk it stays nameless
            file.truncate(0)
            file.write(str(os.getpid()).encode())
        return file


def _lock(file: FileIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(2**30)  # a byte far behind the process id, which others can then still read
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
