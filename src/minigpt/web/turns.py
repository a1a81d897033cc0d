"""Clients take turns, however many requests each of them has under way."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class Turns:
    """A few places, which clients get in turn.

    One client with a hundred requests may be two people at one address. So its oldest and its
    newest request are served alternately: no request waits for ever, and the newest one, which
    somebody has just typed, does not wait for all the others.

    Parameters
    ----------
    n_places : number of requests that are served at once.
    """

    def __init__(self, n_places: int) -> None:
        self._n_free = n_places
        self._waiting: OrderedDict[str, deque[anyio.Event]] = OrderedDict()
        self._takes_newest = False

    @asynccontextmanager
    async def of(self, client: str) -> AsyncIterator[None]:
        """Wait for this client's turn, and hold a place inside the `with` block."""
        if self._n_free:
            self._n_free -= 1
        else:
            await self._wait(client)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, client: str) -> None:
        turn = anyio.Event()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            await turn.wait()
        except BaseException:  # cancelled: if a place came at this moment, the next request gets it
            if turn.is_set():
                self._pass_on()
            else:
                self._waiting[client].remove(turn)
                self._forget_if_done(client)
            raise

    def _pass_on(self) -> None:
        if not self._waiting:
            self._n_free += 1
            return
        client, turns = next(iter(self._waiting.items()))
        self._waiting.move_to_end(client)
        turn = turns.pop() if self._takes_newest else turns.popleft()
        self._takes_newest = not self._takes_newest
        self._forget_if_done(client)
        turn.set()

    def _forget_if_done(self, client: str) -> None:
        if not self._waiting[client]:
            del self._waiting[client]
