"""Limits for connections: how many at once, and how long one may be idle.

A connection costs a file descriptor, and a process has few. uvicorn waits for ever for a request
that does not arrive, and for a client that does not read. Here both have a time limit, and when
there are too many connections, the least important one is closed.
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
"""Time for all headers of a request to arrive, since the connection or the last answer."""
SECONDS_TO_READ = 30.0
"""Time for a client to read the data that waits for it."""
BACKLOG = 32
"""Connections that the system queues, and that asyncio accepts in one go."""


class Connection(H11Protocol):
    """A connection with time limits."""

    _asking: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None
    since = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_known(self) -> bool:
        """Whether its latest request had the token: see `Guard`."""
        return self.scope is not None and "client" in self.scope["state"]

    @property
    def is_at_work(self) -> bool:
        """Whether it is busy for a client with the token."""
        return self.is_busy and self.is_known

    @property
    def address(self) -> str:
        """The address of the client."""
        return self.client[0] if self.client else ""

    def connection_made(self, transport: Any) -> None:
        """Start the time limit for a request."""
        super().connection_made(transport)
        self._expect_request()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all timers."""
        for timer in (self._asking, self._reading):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Start the time limit for the next request."""
        super().on_response_complete()
        self._expect_request()

    def pause_writing(self) -> None:
        """Start the time limit for a client that does not read."""
        super().pause_writing()
        self._reading = self.loop.call_later(SECONDS_TO_READ, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the time limit: the client reads again."""
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()

    def send_400_response(self, msg: str) -> None:
        """Refuse data that is not HTTP. It may arrive after an answer has begun."""
        if self.is_busy:
            self.cycle.disconnected = True  # nobody can receive the rest of the answer
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

        Connections without the token are closed first, then those that wait for a request. Among
        equals, it is the one whose address has most connections, and then the oldest. If all are
        at work, an address cannot take the place of another address that has fewer.
        """
        connected: list[Connection] = [c for c in self.connections if not c.transport.is_closing()]  # type: ignore[misc]
        if len(connected) <= max_connections():
            return
        addresses = [connection.address for connection in connected]
        last = min(
            (connection for connection in connected if connection is not self),
            key=lambda c: (c.is_at_work, c.is_known, -addresses.count(c.address), c.since),
        )
        if last.is_at_work and addresses.count(last.address) <= addresses.count(self.address):
            last = self
        last.transport.abort()


def max_connections() -> int:
    """Return the limit of connections; half of the file descriptors stay free for the rest."""
    try:
        import resource
    except ImportError:  # Windows
        return 512
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 512 if soft < 0 else max(16, min(512, (soft - 64) // 2))


class _Log(logging.Handler):
    """Prints the reports of uvicorn and asyncio safely: a client may have chosen the words."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"minigpt: {self.format(record)}")


def server_of(app: Any) -> Server:
    """Return a server for the application. It reports all errors on stderr."""
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
