"""Count the words of much text, and encode it: piece by piece, on all cores, in bounded memory.

Python runs one thread at a time, so that the work is shared among processes. They are started
afresh ("spawn": a fork would copy locks that threads hold), get the tokenizer once, and then
pieces of text; only a few pieces are on their way at a time. To start them takes a third of a
second, so that a short text is worked on right here.

A program that asks for more than one process keeps what it does, as with all of `multiprocessing`,
under ``if __name__ == "__main__":``, since each process reads the program's file again.
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
"""Different words; with what learning needs beside them they take about 300 MB."""

MIN_CHARS_FOR_PROCESSES = 2_000_000
"""Characters; so much text takes about as long as to start processes."""

PIECES_PER_PROCESS = 3
"""Pieces on their way for each process: one being worked on, the others waiting for it."""


def count_words(
    tokenizer: Tokenizer,
    pieces: Iterable[Piece],
    n_processes: int = 1,
    *,
    allow_special: bool = False,
) -> Counter[str]:
    """Count the words of a text, for `Tokenizer.learn`.

    When there are more than `MAX_DISTINCT_WORDS` different words, the rarest are forgotten on the
    way, so that memory stays bounded; word2vec does the same.

    Parameters
    ----------
    tokenizer : knows what a word is; it need not be trained.
    pieces : the text, cut between words, say by `minigpt.text.tokenizers.stream`.
    n_processes : how many to share the work among; 0 for one a core.
    allow_special : whether names of special tokens are no words: see `Tokenizer.train`.
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
    tokenizer : a trained one.
    pieces : the text, cut between words, say by `minigpt.text.tokenizers.stream`. A piece that is a
        list of texts has ends of documents between them: there stands the tokenizer's
        end of text, if it has one.
    n_processes : how many to share the work among; 0 for one a core.
    allow_special : whether names of special tokens give these tokens: see `Tokenizer.encode`.

    Yields
    ------
    The ids of each piece in order, as arrays (N,) of the smallest unsigned type that fits the
    vocabulary. All in a row are the ids of the whole text.
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
    # Twice as fast as np.array, which looks for the shape of what it is given.
    return np.fromiter(ids, np.min_scalar_type(tokenizer.vocab_size - 1), len(ids))


def _map(
    work: Work[Result], tokenizer: Tokenizer, pieces: Iterable[Piece], n_processes: int
) -> Generator[Result]:
    """Yield what `work` makes of each piece, in order."""
    from minigpt.fast.threads import available_cores, can_start_threads

    n_processes = n_processes or available_cores()
    pieces = iter(pieces)
    if n_processes > 1 and can_start_threads():  # which watch over the processes
        first = list(_up_to(MIN_CHARS_FOR_PROCESSES, pieces))
        more = next(pieces, None)
        pieces = iter(first) if more is None else itertools.chain(first, [more], pieces)
        if more is not None and (pool := _start_processes(tokenizer, n_processes)):
            yield from _map_on_processes(work, pieces, pool, n_processes)
            return
    for piece in pieces:
        yield work(tokenizer, piece)


def _up_to(size: int, pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Collect pieces until they have `size` characters."""
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
    """Start processes that have a tokenizer each; None where they cannot be, as in WebAssembly."""
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
            pool.submit(int)  # which starts a process; there may be no more of them
        started = True
    return pool if started else None


@contextmanager
def _ended(pool: ProcessPoolExecutor, unless: Callable[[], bool] = bool) -> Iterator[None]:
    """End the processes with the block, whatever happens, but not if `unless` then says so."""
    from concurrent.futures.process import BrokenProcessPool

    try:
        yield
    except BrokenProcessPool:
        raise RuntimeError(
            "a worker process ended before its work was done: was there too little memory? In a "
            "program of your own, is what it does under `if __name__ == '__main__':`?"
        ) from None
    finally:
        if not unless():
            pool.shutdown(cancel_futures=True)


@contextmanager
def _no_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C within the block, and in processes started there: it is ours to stop them."""
    if threading.current_thread() is not threading.main_thread():  # which alone may say so
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_tokenizer: Tokenizer  # that of a worker process


def _begin(tokenizer: Tokenizer) -> None:
    """Be a worker process."""
    global _tokenizer
    _tokenizer = tokenizer
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Windows does not hand that down
    with suppress(RuntimeError):  # no thread can be started: then it ends with its last piece
        threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End when the process that started this one has ended, even if it was killed."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(work: Work[Result], piece: Piece) -> Result:
    return work(_tokenizer, piece)
