"""Connections: how many there may be at once, and how long one may hold its place for nothing.

A connection costs a file descriptor, and a process has few. uvicorn waits for ever for a request
that does not come, and for a reader that does not read; here both have a time limit, and where
there are too many connections, the one that is needed least is closed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import h11
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from minigpt.support.terminal import say

SECONDS_TO_ASK = 10.0
"""Time for all headers of a request to arrive, from the connection or the last answer on."""
SECONDS_TO_READ = 30.0
"""Time for a client to take what waits for it."""
BACKLOG = 32
"""Connections that the system accepts ahead, and asyncio at once."""


class Connection(H11Protocol):
    """One connection of a client, with time limits."""

    _asking: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    since = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_known(self) -> bool:
        """Whether its latest request had the token: see `safety.Guard`."""
        return self.scope is not None and "client" in self.scope["state"]

    @property
    def is_at_work(self) -> bool:
        """Whether it is busy for a client that is known."""
        return self.is_busy and self.is_known

    @property
    def address(self) -> str:
        """Where the client is."""
        return self.client[0] if self.client else ""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._expect_request()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        for timer in (self._asking, self._reading):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._expect_request()

    def pause_writing(self) -> None:
        """Begin to wait for a client that does not read."""
        super().pause_writing()
        self._reading = self.loop.call_later(SECONDS_TO_READ, self.transport.abort)

    def resume_writing(self) -> None:
        """See that it does."""
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP; it may come after an answer has begun."""
        if self.is_busy:
            self.cycle.disconnected = True  # what the application still answers has nobody to go to
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _expect_request(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
        self.since = self.loop.time()
        self._asking = self.loop.call_later(SECONDS_TO_ASK, self._stop_waiting)

    def _stop_waiting(self) -> None:
        if not self.is_busy:
            self.transport.abort()  # `close` would wait for a client that does not read

    def _make_room(self) -> None:
        """Close one connection if there are too many.

        Connections without the token go first, then those that wait for a request; among equals
        that of the address with most connections, and the oldest. Where all are at work, an
        address cannot take the place of another that has fewer.
        """
        there: list[Connection] = [c for c in self.connections if not c.transport.is_closing()]  # type: ignore[misc]
        if len(there) <= most_connections():
            return
        addresses = [connection.address for connection in there]
        last = min(
            (connection for connection in there if connection is not self),
            key=lambda c: (c.is_at_work, c.is_known, -addresses.count(c.address), c.since),
        )
        if last.is_at_work and addresses.count(last.address) <= addresses.count(self.address):
            last = self
        last.transport.abort()


def most_connections() -> int:
    """Return how many connections fit, half of the file descriptors that are left to the rest."""
    try:
        import resource
    except ImportError:  # Windows
        return 512
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 512 if soft < 0 else max(16, min(512, (soft - 64) // 2))


class _Log(logging.Handler):
    """Prints what uvicorn and asyncio report; a client may have chosen the words."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"minigpt: {self.format(record)}")


def server_of(app: Any) -> Server:
    """Return a server for the application; it reports errors on stderr, one way for all."""
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [_Log(logging.ERROR)], False
    config = Config(
        app,
        http=Connection,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=3,
    )
    return Server(config)
