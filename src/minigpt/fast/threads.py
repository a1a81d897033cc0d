"""Threads for work on arrays.

NumPy lets other Python threads run while it computes, so Python threads can keep all cores busy.
`share_out` splits work into one part for each thread, and `product` splits a matrix product.
Outside a `with` block of `Threads`, both do the same work on the calling thread.
"""

from __future__ import annotations

import contextvars
import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from minigpt.core.functional import PIECE_SIZE, Array
from minigpt.core.kernels import PLAIN

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from minigpt.core.cache import KVCache
    from minigpt.core.model import miniGPT

Item = TypeVar("Item")
Result = TypeVar("Result")

MIN_NUMBERS_TO_SHARE = 2**20
"""Work on fewer numbers is not shared: handing it to threads would cost more than it saves."""

MAX_ROWS_LEFT_TO_BLAS = 32
"""With so few rows, a matrix product spends most of its time reading the matrix."""

MULTIPLY_ADDS_PER_ELEMENT = 64
"""Multiply-adds of a matrix product that take as long as one element of an elementwise pass."""

_local = threading.local()  # `_local.threads` is the `Threads` whose `with` block this thread is in


class Threads:
    """Threads for `share_out`, within a `with` block.

    Parameters
    ----------
    n : number of threads, including the calling one. If fewer can be started, these do all the
        work.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        from concurrent.futures import ThreadPoolExecutor

        self.pool = ThreadPoolExecutor(max(1, self.n - 1))
        self._outer, _local.threads = _active(), self
        return self

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Call `work` on each of up to n items in parallel, and return the results in order.

        Each call uses one thread of BLAS. The calling thread does the first item, since handing it
        over takes time, and then every item that no other thread has begun; if no thread can be
        started, it does all. NumPy's error settings of the calling thread apply on all threads.
        """
        from concurrent.futures import Future, wait

        if self.pool is None:
            raise RuntimeError(f"{type(self).__name__} must be used within a `with` block")
        results: list[Future[Result]] = [Future() for _ in items]
        remaining = deque(zip(items, results, strict=True))

        def do_remaining() -> None:
            with suppress(IndexError):  # nothing remains
                while True:
                    do(*remaining.popleft())

        def do(item: Item, result: Future[Result]) -> None:
            try:
                result.set_result(work(item))
            except BaseException as error:
                result.set_exception(error)

        with one_thread_of_blas():
            first = remaining.popleft()
            with suppress(RuntimeError):  # no more threads can be started: the others do the work
                for _ in items[1:]:
                    self.pool.submit(contextvars.copy_context().run, do_remaining)
            outer = getattr(_local, "threads", None)
            _local.threads = None  # work that is already shared out is not split again
            try:
                do(*first)
                do_remaining()
            finally:
                _local.threads = outer
            wait(results)  # no thread may still be working when this method returns
        return [result.result() for result in results]

    def __exit__(self, *error: object) -> None:
        if self.pool is not None:
            self.pool.shutdown()
        self.pool = None  # so that no work is shared even if another thread ended the block
        if getattr(_local, "threads", None) is self:
            _local.threads = self._outer


def _active() -> Threads | None:
    threads = getattr(_local, "threads", None)
    return threads if threads is not None and threads.pool is not None else None


def share_out(
    work: Callable[[slice], Result], size: int, numbers: int | None = None
) -> list[Result]:
    """Call `work` on slices that together make up range(size), one for each active thread.

    Parameters
    ----------
    work : called with a slice, each call on a thread of its own.
    size : the end of the range.
    numbers : how many numbers the work goes through in all, `size` if None. With few of them, the
        work is not split.

    Returns
    -------
    The results of `work`, in order.
    """
    threads = _active()
    if threads is None or threads.n == 1 or (numbers or size) < MIN_NUMBERS_TO_SHARE:
        return [work(slice(0, size))]
    n = min(threads.n, size)
    cuts = [size * i // n for i in range(n + 1)]
    return threads.map(work, [slice(*ends) for ends in itertools.pairwise(cuts)])


def in_pieces(work: Callable[[slice], object], size: int) -> None:
    """Call `work` on all of range(size), a piece at a time: see `functional.in_pieces`."""

    def pieces(part: slice) -> None:
        for start in range(part.start, part.stop, PIECE_SIZE):
            work(slice(start, min(start + PIECE_SIZE, part.stop)))

    share_out(pieces, size)


def last_logits(model: miniGPT, ids: Array, cache: list[KVCache]) -> Array:
    """Read ids and return the logits for the next token, on all cores: see `core.generation`."""
    with on_all_cores():
        return PLAIN["last_logits"](model, ids, cache)


def product(a: Array, b: Array, out: Array | None = None) -> Array:
    """Return the matrix product (n, k) @ (k, m), split along the longer side of the result.

    BLAS has threads of its own, but they spin while they wait for more work, and so take the cores
    from what comes next on other threads, such as elementwise work or attention. Products of few
    rows, as in text generation, are left to BLAS: they are short and follow each other closely.
    """
    (n, k), m = a.shape, b.shape[1]
    if n <= MAX_ROWS_LEFT_TO_BLAS:
        return np.matmul(a, b, out=out)
    if out is None:
        out = np.empty((n, m), np.result_type(a, b))

    def multiply(part: slice) -> None:
        if n > m:
            np.matmul(a[part], b, out=out[part])
        else:
            np.matmul(a, b[:, part], out=out[:, part])

    share_out(multiply, max(n, m), n * k * m // MULTIPLY_ADDS_PER_ELEMENT)
    return out


_blas_lock = threading.Lock()
_blas_users = 0
_blas_limit: Any = None


@contextmanager
def one_thread_of_blas() -> Iterator[None]:
    """Limit BLAS to one thread within a `with` block, because its threads would compete with ours.

    The limit applies to the whole process. When several threads are in such blocks, the first one
    sets it and the last one restores it. If each restored what it found, the limit could stay.
    """
    global _blas_users, _blas_limit
    with _blas_lock:
        if _blas_users == 0:
            _blas_limit = blas().limit(limits=1, user_api="blas")
        _blas_users += 1
    try:
        yield
    finally:
        with _blas_lock:
            _blas_users -= 1
            if _blas_users == 0:
                _blas_limit.restore_original_limits()


@cache
def blas() -> Any:
    """Return the controller of the BLAS library that NumPy uses, to limit its threads."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def on_all_cores() -> AbstractContextManager[object]:
    """Return a context in which `share_out` uses all cores, unless threads are active already."""
    return nullcontext() if _active() else Threads(available_cores())


def available_cores() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
