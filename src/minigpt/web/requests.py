"""Requests whose body may not arrive, and answers whose reader may leave."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from minigpt.web.problems import Problem
from minigpt.web.request_fields import MAX_REQUEST_BYTES

SECONDS_TO_SEND = 30.0
"""Time for the body of a request to arrive."""


async def body_of(request: Request, max_bytes: int = MAX_REQUEST_BYTES) -> bytes:
    """Return the body of a request, which must be JSON and not too long.

    Raises
    ------
    Problem
        408 if it arrives too slowly, 413 if it is too long, 415 if its content-type is not JSON,
        499 if the client leaves before its end.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Problem(415, "send JSON, with the content-type application/json")
    body = bytearray()
    try:
        with anyio.fail_after(SECONDS_TO_SEND):
            async for part in request.stream():
                body += part
                if len(body) > max_bytes:
                    raise Problem(
                        413, f"the request is too long: at most {max_bytes:,} bytes are read"
                    )
    except TimeoutError:
        raise Problem(408, f"the request did not arrive in {SECONDS_TO_SEND:g} s") from None
    except ClientDisconnect:
        raise Problem(499, "the connection was closed before the end of the request") from None
    return bytes(body)


class Events(StreamingResponse):
    """Server-sent events.

    Parameters
    ----------
    events : the events, as text.
    over : called at the end, also if the client left before the first event.
    """

    def __init__(self, events: AsyncIterator[str], over: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self.over = over

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the events; for the method HEAD, send the headers only."""
        try:
            if scope["method"] == "HEAD":
                await Response(media_type="text/event-stream")(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        finally:
            self.over()
