"""What the page keeps in memory: all of it in one budget of bytes."""

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
"""Bytes of all that is kept between requests, and of the caches of texts that are being written."""
MOST_KEPT = 64
"""Answers that are kept: a class of twenty can look at some each."""
TRIMMED_EVERY = 5.0
"""Seconds after which memory that is free again goes back to the system."""
PER_ARRAY = 200
"""Bytes that an array takes beside its numbers, its name in a dictionary included."""


class Memory:
    """Keeps answers that may be wanted again, as many as fit; the least recently used one goes.

    Attributes
    ----------
    others : tells the bytes of what else is kept, which does not go by itself: lessons.
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
        """Bytes of all that is kept."""
        return self.others() + self._held + sum(size for _, size in self._kept.values())

    def get(self, key: Any) -> Any:
        """Return what was kept under `key`, or None."""
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
        """Set `size` bytes aside until `release`.

        Raises
        ------
        Problem
            503 if others hold so much that it does not fit.
        """
        with self._lock:
            if self._held and self._held + size + self.others() > BUDGET:
                raise Problem(503, "the memory is full: try again in a second", AGAIN)
            self._held += size
            self._make_room()

    def release(self, size: int) -> None:
        """Release what was held."""
        with self._lock:
            self._held -= size

    def _make_room(self) -> None:
        too_many = self.n_bytes - BUDGET
        while self._kept and (too_many > 0 or len(self._kept) > MOST_KEPT):
            _, (_, size) = self._kept.popitem(last=False)
            too_many -= size


def trim() -> None:
    """Return freed memory back to the system, on Linux, where the C library keeps it otherwise.

    It keeps it for each thread that has ever used it, which is a multiple of what is in use.
    """
    if sys.platform == "linux":
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if give_back is not None:  # there is none in musl
            give_back(0)


async def keep_trimmed() -> None:
    """Trim again and again, until this is cancelled."""
    while True:
        await anyio.sleep(TRIMMED_EVERY)
        await to_thread.run_sync(trim)


def bytes_of(arrays: Iterable[Array]) -> int:
    """Return the memory that arrays keep alive: of a view, all of the array that it looks into."""
    wholes = {}
    n_arrays = 0
    for array in arrays:
        n_arrays += 1
        while isinstance(array.base, np.ndarray):
            array = array.base
        if not isinstance(array, np.memmap):  # the system drops pages of a file when it must
            wholes[id(array)] = array.nbytes
    return sum(wholes.values()) + PER_ARRAY * n_arrays
