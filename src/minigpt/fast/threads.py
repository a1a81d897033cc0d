"""Threads of our own: work on arrays, shared out among the cores.

While a thread waits for nothing but arithmetic, NumPy lets the others run. So cores can be kept
busy from Python: `share_out` cuts work in as many parts as there are threads, and `product` does it
for a product of matrices. Outside of a `with` block of `Threads` both do the same work right here.
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

WORTH_SHARING = 2**20
"""Of less than so many numbers, handing them to threads costs more than it brings."""

FEW_ROWS = 32
"""Up to so many rows, a matrix product is bound by reading the matrix."""

MULTIPLY_ADDS_PER_ELEMENT = 64
"""Multiplications that a matrix product does in the time of one element of an elementwise pass."""

_here = threading.local()  # its `threads` are those that a `with` block of this thread started


class Threads:
    """Threads for `share_out`, within a `with` block.

    Parameters
    ----------
    n : number of threads, including the calling one; with one, nothing is shared out. Where no
        more can be started, those there are do all the work.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        from concurrent.futures import ThreadPoolExecutor

        self.pool = ThreadPoolExecutor(max(1, self.n - 1))
        self._outer, _here.threads = _active(), self
        return self

    def map(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Do `work` on each of n items at most, all at once, with one thread of BLAS each.

        The first is done right here, as handing it over takes time too. So are those that no
        other thread has begun by then: where none can be started, all of them. NumPy's settings
        of this thread, such as which overflows it warns of, hold on the others.
        """
        from concurrent.futures import Future, wait

        if self.pool is None:
            raise RuntimeError(f"{type(self).__name__} work within a `with` block only")
        results: list[Future[Result]] = [Future() for _ in items]
        left = deque(zip(items, results, strict=True))

        def work_off() -> None:
            with suppress(IndexError):  # nothing is left
                while True:
                    do(*left.popleft())

        def do(item: Item, result: Future[Result]) -> None:
            try:
                result.set_result(work(item))
            except BaseException as error:
                result.set_exception(error)

        with one_thread_of_blas():
            first = left.popleft()
            with suppress(RuntimeError):  # no more threads can be started: those there are do it
                for _ in items[1:]:
                    self.pool.submit(contextvars.copy_context().run, work_off)
            outer = getattr(_here, "threads", None)
            _here.threads = None  # what is shared out already is not shared out again
            try:
                do(*first)
                work_off()
            finally:
                _here.threads = outer
            wait(results)  # nobody may work on when this has ended
        return [result.result() for result in results]

    def __exit__(self, *error: object) -> None:
        if self.pool is not None:
            self.pool.shutdown()
        self.pool = None  # should the block have been left by another thread
        if getattr(_here, "threads", None) is self:
            _here.threads = self._outer


def _active() -> Threads | None:
    threads = getattr(_here, "threads", None)
    return threads if threads is not None and threads.pool is not None else None


def share_out(
    work: Callable[[slice], Result], size: int, numbers: int | None = None
) -> list[Result]:
    """Do `work` on all of range(size): a slice for each of the `Threads` at work.

    Parameters
    ----------
    work : is called with slices that make up the range, each on a thread of its own.
    size : the end of the range.
    numbers : how many numbers there are to go through in all; `size` if None. Few are not shared.

    Returns
    -------
    What `work` gave, in order.
    """
    threads = _active()
    if threads is None or threads.n == 1 or (numbers or size) < WORTH_SHARING:
        return [work(slice(0, size))]
    n = min(threads.n, size)
    cuts = [size * i // n for i in range(n + 1)]
    return threads.map(work, [slice(*ends) for ends in itertools.pairwise(cuts)])


def in_pieces(work: Callable[[slice], object], size: int) -> None:
    """Do `work` on all of range(size), a piece at a time: see `functional.in_pieces`."""

    def pieces(part: slice) -> None:
        for start in range(part.start, part.stop, PIECE_SIZE):
            work(slice(start, min(start + PIECE_SIZE, part.stop)))

    share_out(pieces, size)


def last_logits(model: miniGPT, ids: Array, cache: list[KVCache]) -> Array:
    """Read ids and return the logits of what comes next, on all cores: see `core.generation`."""
    with on_all_cores():
        return PLAIN["last_logits"](model, ids, cache)


def product(a: Array, b: Array, out: Array | None = None) -> Array:
    """Multiply matrices (n, k) @ (k, m), the longer side of the result shared out.

    BLAS has threads of its own for that, but they wait for more by running idle: whatever comes
    next on other threads, elementwise work or attention, would share the cores with them. Few rows,
    as while text is written, are left to BLAS: one product follows the other, each soon done.
    """
    (n, k), m = a.shape, b.shape[1]
    if n <= FEW_ROWS:
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
    """Hold BLAS to one thread within a `with` block, as its threads would share our cores.

    The setting is the whole process's. When several threads are in such blocks, the first one sets
    it and the last one restores it. If each did so by itself, BLAS could keep one thread for good.
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


def can_start_threads() -> bool:
    """Whether this process can start a thread: not in WebAssembly, nor in a tight container."""
    thread = threading.Thread(target=int)
    try:
        thread.start()
    except RuntimeError:
        return False
    thread.join()
    return True


@cache
def blas() -> Any:
    """Find the library that multiplies NumPy's matrices, and the switch for its threads."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def on_all_cores() -> AbstractContextManager[object]:
    """Return a `with` block in which `share_out` uses all cores, if no threads are at work."""
    return nullcontext() if _active() else Threads(available_cores())


def available_cores() -> int:
    """Count the processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
