"""The memory of the page: everything that it keeps shares one budget of bytes."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import numpy as np
from anyio import to_thread

from minigpt.core.functional import Array
from minigpt.web.problems import AGAIN, Problem

BUDGET = 2**29
"""Bytes for answers, for lessons, and for the caches of texts that are being written."""
MAX_KEPT = 64
"""Answers that are kept: a few for each member of a class of twenty."""
TRIM_SECONDS = 5.0
"""Time after which free memory goes back to the system."""
BYTES_PER_ARRAY = 200
"""Size of an array without its numbers, including its name in a dictionary."""


class Memory:
    """Keeps answers for later requests, as many as fit. The least recently used one goes first.

    Attributes
    ----------
    others : returns the bytes that lessons keep, which cannot be dropped.
    """

    def __init__(self) -> None:
        self.others: Callable[[], int] = lambda: 0
        self._kept: OrderedDict[Any, tuple[Any, int]] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def n_bytes(self) -> int:
        """Bytes of everything that is kept."""
        return self.others() + self._held + sum(size for _, size in self._kept.values())

    def get(self, key: Any) -> Any:
        """Return the answer kept under `key`, or None."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def keep(self, key: Any, value: Any, size: int) -> None:
        """Keep `value`, which takes `size` bytes, as long as there is room for it."""
        with self._lock:
            self._kept[key] = value, size
            self._kept.move_to_end(key)
            self._make_room()

    def hold(self, size: int) -> None:
        """Reserve `size` bytes until `release`.

        Raises
        ------
        Problem
            503 if others have reserved so much that they do not fit.
        """
        with self._lock:
            if self._held and self._held + size + self.others() > BUDGET:
                raise Problem(503, "the memory is full: try again in a second", AGAIN)
            self._held += size
            self._make_room()

    def release(self, size: int) -> None:
        """Release `size` reserved bytes."""
        with self._lock:
            self._held -= size

    def _make_room(self) -> None:
        too_many = self.n_bytes - BUDGET
        while self._kept and (too_many > 0 or len(self._kept) > MAX_KEPT):
            _, (_, size) = self._kept.popitem(last=False)
            too_many -= size


def trim() -> None:
    """Return free memory to the system, on Linux.

    Otherwise the C library keeps it, separately for each thread that has ever used some. Together
    that is several times as much as the memory in use.
    """
    if sys.platform == "linux":
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if give_back is not None:  # musl has no such function
            give_back(0)


async def keep_trimmed() -> None:
    """Trim at intervals until cancelled."""
    while True:
        await anyio.sleep(TRIM_SECONDS)
        await to_thread.run_sync(trim)


def bytes_of(arrays: Iterable[Array]) -> int:
    """Return the bytes that arrays keep alive; a view keeps its whole base array alive."""
    wholes = {}
    n_arrays = 0
    for array in arrays:
        n_arrays += 1
        while isinstance(array.base, np.ndarray):
            array = array.base
        if not isinstance(array, np.memmap):  # the system can drop the pages of a file
            wholes[id(array)] = array.nbytes
    return sum(wholes.values()) + BYTES_PER_ARRAY * n_arrays
