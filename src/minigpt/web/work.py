"""Work that takes long is done beside the server, little at once, in turn, and not for ever."""

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
REQUESTS_WAITING = 512
"""Requests at once; a class of twenty, each with some requests under way, fits."""
MOST_WAITING_EACH = 128
"""Requests at once of one client."""
MOST_WRITING = 8
"""Texts that are being written at once."""
MOST_WRITING_EACH = 4
LONGEST_SECONDS = 30


def client_of(request: Request) -> str:
    """Return who asks: an address, and a browser where it has a cookie."""
    client: str = request.scope["state"]["client"]
    return client


class Work:
    """Threads for the models' work.

    Parameters
    ----------
    hint : what is said of an answer that takes too long.

    Attributes
    ----------
    n_waiting, n_writing : how many requests wait for an answer, how many texts are being written.
    stopping : tells whether the server is about to end.
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
        """How many texts are being written."""
        return self._writing.total()

    async def run(self, function: Callable[[], Result], request: Request) -> Result:
        """Return the result of a function, from another thread.

        Parameters
        ----------
        function : the work.
        request : whose client must wait for its turn, and may be gone when it comes.

        Raises
        ------
        Problem
            429 if too many wait already, 499 if nobody waits any more, 503 if it takes too long.
        """
        client = client_of(request)
        if self.n_waiting >= REQUESTS_WAITING or self._waiting[client] >= MOST_WAITING_EACH:
            raise Problem(429, "too many requests at once: try again in a second", AGAIN)
        self.n_waiting += 1
        self._waiting[client] += 1
        try:
            with anyio.fail_after(LONGEST_SECONDS):
                async with self._turns.of(client):
                    if await request.is_disconnected():
                        raise Problem(499, "nobody waits for the answer any more")
                    return await to_thread.run_sync(function, abandon_on_cancel=True)
        except TimeoutError:
            message = f"no answer in {LONGEST_SECONDS} s: {self.hint}"
            raise Problem(503, message, AGAIN) from None
        finally:
            self.n_waiting -= 1
            count_down(self._waiting, client)

    def start_writing(self, request: Request, memory: Memory, size: int) -> Callable[[], None]:
        """Reserve one of the places for writing, and `size` bytes; return what releases them.

        Raises
        ------
        Problem
            429 if too many texts are being written, 503 if the memory is full.
        """
        client = client_of(request)
        if self.n_writing >= MOST_WRITING or self._writing[client] >= MOST_WRITING_EACH:
            raise Problem(429, "too many texts are being written: try again in a second", AGAIN)
        memory.hold(size)
        self._writing[client] += 1

        def give_back() -> None:
            memory.release(size)
            count_down(self._writing, client)

        return give_back

    async def items(
        self, iterator: Generator[Any, None, None], request: Request
    ) -> AsyncIterator[Any]:
        """Yield the items of an iterator, each from another thread, until nobody listens."""
        end = anyio.current_time() + 2 * LONGEST_SECONDS
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
    """Count one less for a client, and forget one that has none: there may be any number."""
    counts[client] -= 1
    if not counts[client]:
        del counts[client]
