"""Long computations in other threads: a few at once, in turn, each with a time limit."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, TypeVar

import anyio
from anyio import to_thread
from starlette.requests import Request

from minigpt.web.memory import Memory
from minigpt.web.problems import AGAIN, Problem
from minigpt.web.turns import Turns

Result = TypeVar("Result")

AT_ONCE = 2
MAX_WAITING = 512
"""Requests at once; enough for a class of twenty, each with several requests under way."""
MAX_WAITING_PER_CLIENT = 128
MAX_WRITING = 8
"""Texts that models write at once."""
MAX_WRITING_PER_CLIENT = 4
MAX_SECONDS = 30
"""Time for one answer; a text may take twice as long."""


def client_of(request: Request) -> str:
    """Return the client of a request: its address, and the browser if it has sent a cookie."""
    client: str = request.scope["state"]["client"]
    return client


class Work:
    """Threads in which models compute.

    Parameters
    ----------
    hint : what to do about an answer that takes too long, for the error message.

    Attributes
    ----------
    n_waiting, n_writing : numbers of requests that wait for an answer, and of texts being written.
    stopping : returns whether the server is about to end.
    """

    def __init__(self, hint: str = "take a shorter text") -> None:
        self.hint = hint
        self.n_waiting = 0
        self.stopping: Callable[[], bool] = lambda: False
        self._turns = Turns(AT_ONCE)
        self._waiting: Counter[str] = Counter()
        self._writing: Counter[str] = Counter()

    @property
    def n_writing(self) -> int:
        """Number of texts that are being written."""
        return self._writing.total()

    async def run(self, function: Callable[[], Result], request: Request) -> Result:
        """Return the result of a function that runs in another thread.

        Parameters
        ----------
        function : the computation.
        request : its client waits for a turn, and may be gone by then.

        Raises
        ------
        Problem
            429 if too many requests wait already, 499 if the client is gone, 503 if the answer
            takes too long.
        """
        client = client_of(request)
        if self.n_waiting >= MAX_WAITING or self._waiting[client] >= MAX_WAITING_PER_CLIENT:
            raise Problem(429, "too many requests at once: try again in a second", AGAIN)
        self.n_waiting += 1
        self._waiting[client] += 1
        try:
            with anyio.fail_after(MAX_SECONDS):
                async with self._turns.of(client):
                    if await request.is_disconnected():
                        raise Problem(499, "the client has closed the connection")
                    return await to_thread.run_sync(function, abandon_on_cancel=True)
        except TimeoutError:
            message = f"no answer in {MAX_SECONDS} s: {self.hint}"
            raise Problem(503, message, AGAIN) from None
        finally:
            self.n_waiting -= 1
            count_down(self._waiting, client)

    def start_writing(self, request: Request, memory: Memory, size: int) -> Callable[[], None]:
        """Reserve a place for writing and `size` bytes; return a function that releases both.

        Raises
        ------
        Problem
            429 if too many texts are being written, 503 if the memory is full.
        """
        client = client_of(request)
        if self.n_writing >= MAX_WRITING or self._writing[client] >= MAX_WRITING_PER_CLIENT:
            raise Problem(429, "too many texts are being written: try again in a second", AGAIN)
        memory.hold(size)
        self._writing[client] += 1

        def release() -> None:
            memory.release(size)
            count_down(self._writing, client)

        return release

    async def items(
        self, iterator: Generator[Any, None, None], request: Request
    ) -> AsyncIterator[Any]:
        """Yield the items of an iterator, each computed in another thread.

        It also stops when the server ends, or at the time limit.
        """
        end = anyio.current_time() + 2 * MAX_SECONDS
        try:
            while not self.stopping() and anyio.current_time() < end:
                async with self._turns.of(client_of(request)):
                    item = await to_thread.run_sync(next, iterator, None)
                if item is None:
                    break
                yield item
        finally:
            iterator.close()


def count_down(counts: Counter[str], client: str) -> None:
    """Subtract one from the count of a client, and remove it at zero: clients may be many."""
    counts[client] -= 1
    if not counts[client]:
        del counts[client]
