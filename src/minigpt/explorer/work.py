"""Work that takes long is done beside the server, little at once, and not for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any, TypeVar

import anyio
from anyio import to_thread

from minigpt.explorer.problems import Problem

Result = TypeVar("Result")

AT_ONCE = 2
MOST_WAITING = 96
"""Requests at once; a class of twenty, each with some requests under way, fits."""
MOST_WRITING = 8
"""Texts that are being written at once."""
LONGEST_SECONDS = 30
AGAIN = {"Retry-After": "1"}


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
        self.n_waiting = self.n_writing = 0
        self.stopping: Callable[[], bool] = lambda: False
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(
        self, function: Callable[[], Result], gone: Callable[[], Awaitable[bool]]
    ) -> Result:
        """Give the result of a function, from another thread.

        Parameters
        ----------
        function : the work.
        gone : tells, when its turn has come, whether the one who asked has gone away.

        Raises
        ------
        Problem
            429 if too many wait already, 499 if nobody waits any more, 503 if it takes too long.
        """
        if self.n_waiting >= MOST_WAITING:
            raise Problem(429, "too many requests at once: try again in a second", AGAIN)
        self.n_waiting += 1
        try:
            with anyio.fail_after(LONGEST_SECONDS):
                async with self._places():
                    if await gone():
                        raise Problem(499, "nobody waits for the answer any more")
                    return await to_thread.run_sync(function, abandon_on_cancel=True)
        except TimeoutError:
            message = f"no answer in {LONGEST_SECONDS} s: {self.hint}"
            raise Problem(503, message, AGAIN) from None
        finally:
            self.n_waiting -= 1

    def start_writing(self) -> None:
        """Take one of the places for writing, or raise a `Problem`; `items` gives it back."""
        if self.n_writing >= MOST_WRITING:
            raise Problem(429, "too many texts are being written: try again in a second", AGAIN)
        self.n_writing += 1

    async def items(self, iterator: Generator[Any, None, None]) -> AsyncIterator[Any]:
        """Yield the items of an iterator, each from another thread, until nobody listens."""
        end = anyio.current_time() + 2 * LONGEST_SECONDS
        try:
            while not self.stopping() and anyio.current_time() < end:
                async with self._places():
                    item = await to_thread.run_sync(next, iterator, None)
                if item is None:
                    break
                yield item
        finally:
            iterator.close()
            self.n_writing -= 1

    def _places(self) -> anyio.CapacityLimiter:
        if self._limiter is None:  # needs a running event loop
            self._limiter = anyio.CapacityLimiter(AT_ONCE)
        return self._limiter
