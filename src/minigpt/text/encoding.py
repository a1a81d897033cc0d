"""Count the words of a long text, and encode it: piece by piece, on all cores, in bounded memory.

Python runs only one thread at a time, so the work is shared among processes. They are started with
"spawn", because a fork would copy locks that threads hold. Each process receives the tokenizer
once, and then pieces of text; only a few pieces are sent ahead. Starting the processes takes a
third of a second, so a short text is processed by the calling process.

Each process reads the main program's file again. So a program that asks for more than one process
must keep its own work under ``if __name__ == "__main__":``, as always with `multiprocessing`.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import numpy as np

from minigpt.core.functional import Array

if TYPE_CHECKING:
    from concurrent.futures import Future, ProcessPoolExecutor

    from minigpt.text.tokenizers import Tokenizer

Piece: TypeAlias = str | list[str]
Result = TypeVar("Result")
Work = Callable[["Tokenizer", Piece], Result]

MAX_DISTINCT_WORDS = 2**20
"""This many words, with the tables that learning needs, take about 300 MB."""

MIN_CHARS_FOR_PROCESSES = 2_000_000
"""Processing a text of this length takes about as long as starting the processes."""

PIECES_PER_PROCESS = 3
"""Pieces sent to each process: it works on one while the others wait."""


def count_words(
    tokenizer: Tokenizer,
    pieces: Iterable[Piece],
    n_processes: int = 1,
    *,
    allow_special: bool = False,
) -> Counter[str]:
    """Return how often each word of a text occurs, for `Tokenizer.learn`.

    When there are more than `MAX_DISTINCT_WORDS` different words, the rarest are forgotten on the
    way, so that memory stays bounded; word2vec does the same.

    Parameters
    ----------
    tokenizer : defines what a word is; it need not be trained.
    pieces : the text, cut between words, for example by `minigpt.text.tokenizers.stream`.
    n_processes : the number of processes that share the work; 0 for one per core.
    allow_special : whether a special token's name stands for that token: see `Tokenizer.train`.
    """
    work = partial(_count, allow_special=allow_special)
    counts: Counter[str] = Counter()
    rare = 0
    with closing(_map(work, tokenizer, pieces, n_processes)) as results:
        for each in results:
            counts.update(each)
            while len(counts) > MAX_DISTINCT_WORDS:
                rare += 1
                counts = Counter({word: n for word, n in counts.items() if n > rare})
    return counts


def encode_pieces(
    tokenizer: Tokenizer,
    pieces: Iterable[Piece],
    n_processes: int = 1,
    *,
    allow_special: bool = False,
) -> Generator[Array]:
    """Encode a text piece by piece.

    Parameters
    ----------
    tokenizer : a trained tokenizer.
    pieces : the text, cut between words, for example by `minigpt.text.tokenizers.stream`. A piece
        may be a list of texts: then a document ends after each text but the last, and the
        tokenizer's end of text is inserted there, if it has one.
    n_processes : the number of processes that share the work; 0 for one per core.
    allow_special : whether a special token's name becomes that token: see `Tokenizer.encode`.

    Yields
    ------
    ids : unsigned integer (N,), the ids of each piece in order, in the smallest dtype that fits the
        vocabulary. Concatenated, they are the ids of the whole text.
    """
    return _map(partial(_encode, allow_special=allow_special), tokenizer, pieces, n_processes)


def _count(tokenizer: Tokenizer, piece: Piece, allow_special: bool) -> Counter[str]:
    return tokenizer.count_words(piece, allow_special=allow_special)


def _encode(tokenizer: Tokenizer, piece: Piece, allow_special: bool) -> Array:
    texts = [piece] if isinstance(piece, str) else piece
    end = tokenizer.end_of_text
    ids: list[int] = []
    for number, text in enumerate(texts):
        if number > 0 and end is not None:
            ids.append(end)
        ids += tokenizer.encode(text, allow_special=allow_special)
    # Twice as fast as np.array, which first has to find out the shape.
    return np.fromiter(ids, np.min_scalar_type(tokenizer.vocab_size - 1), len(ids))


def _map(
    work: Work[Result], tokenizer: Tokenizer, pieces: Iterable[Piece], n_processes: int
) -> Generator[Result]:
    """Yield ``work(tokenizer, piece)`` for each piece, in order."""
    from minigpt.fast.threads import available_cores
    from minigpt.support.processes import can_start_threads

    n_processes = n_processes or available_cores()
    pieces = iter(pieces)
    if n_processes > 1 and can_start_threads():  # a pool of processes is managed by threads
        first = list(_up_to(MIN_CHARS_FOR_PROCESSES, pieces))
        more = next(pieces, None)
        pieces = iter(first) if more is None else itertools.chain(first, [more], pieces)
        if more is not None and (pool := _start_processes(tokenizer, n_processes)):
            yield from _map_on_processes(work, pieces, pool, n_processes)
            return
    for piece in pieces:
        yield work(tokenizer, piece)


def _up_to(size: int, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Yield pieces until they have `size` characters together."""
    while size > 0 and (piece := next(pieces, None)) is not None:
        yield piece
        size -= len(piece) if isinstance(piece, str) else sum(map(len, piece))


def _map_on_processes(
    work: Work[Result], pieces: Iterable[Piece], pool: ProcessPoolExecutor, n_processes: int
) -> Generator[Result]:
    waiting: deque[Future[Result]] = deque()
    with _ended(pool):
        for piece in pieces:
            waiting.append(pool.submit(_work, work, piece))
            if len(waiting) == PIECES_PER_PROCESS * n_processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _start_processes(tokenizer: Tokenizer, n: int) -> ProcessPoolExecutor | None:
    """Start processes that have the tokenizer; return None where that fails, as in WebAssembly."""
    try:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        pool = ProcessPoolExecutor(
            n, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(tokenizer,)
        )
    except (OSError, ImportError, NotImplementedError):  # there are no semaphores
        return None
    started = False
    with _ended(pool, unless=lambda: started), suppress(OSError), _no_interrupts():
        for _ in range(n):
            pool.submit(int)  # starts one more process, unless the system's limit is reached
        started = True
    return pool if started else None


@contextmanager
def _ended(pool: ProcessPoolExecutor, unless: Callable[[], bool] = bool) -> Iterator[None]:
    """End the processes at the end of the block, also after an error, unless `unless()` is true."""
    from concurrent.futures.process import BrokenProcessPool

    try:
        yield
    except BrokenProcessPool:
        raise RuntimeError(
            "a worker process ended before its work was done: was there too little memory? If this "
            "is your own program, is its work under `if __name__ == '__main__':`?"
        ) from None
    finally:
        if not unless():
            pool.shutdown(cancel_futures=True)


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C in the block, and in the processes started there: this process stops them."""
    if threading.current_thread() is not threading.main_thread():  # only this one may set signals
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_tokenizer: Tokenizer  # set in worker processes only


def _begin(tokenizer: Tokenizer) -> None:
    """Prepare a worker process."""
    global _tokenizer
    _tokenizer = tokenizer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # not inherited on Windows
    with suppress(RuntimeError):  # without threads, it ends after its last piece
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait until the parent process has ended, even if it was killed; then end this process."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(work: Work[Result], piece: Piece) -> Result:
    return work(_tokenizer, piece)
