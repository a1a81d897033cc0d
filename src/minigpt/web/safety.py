"""Who may ask: the token, the Host, the Origin, and what a browser may do with the answers.

A page from anywhere can make a browser send requests to 127.0.0.1. Three things keep such pages
out: they do not know the token; their Origin is theirs; and where a name of theirs is made to
mean 127.0.0.1 ("DNS rebinding"), the Host is that name.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

SECONDS_FOR_A_FORM = 5.0
LONGEST_FORM = 1000
LOOPBACK = ("127.0.0.1", "localhost", "::1")

HEADERS = {
    # Plotly writes styles into the page, and draws heat maps as data: images.
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

COOKIE_SET = """<!doctype html><html lang="en"><meta charset="utf-8"><title>miniGPT</title>
<meta http-equiv="refresh" content="0; url=/"><a href="/">Go on to the page</a></html>"""
"""A strict cookie is sent only where our own page leads on, and not the page of `opening`."""

REFUSED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>miniGPT</title>
<h1>This page needs its token</h1>
<p>Open the address that <code>minigpt explore</code> printed in the terminal: it ends in
<code>?token=…</code>. If you have done so in this browser already, reload.</p></html>"""


class Guard:
    """Passes on to `app` (ASGI) only what comes from the page itself.

    Parameters
    ----------
    app : the application behind.
    token : what the address has to show once; a cookie has it from then on.
    host, port : where the server listens.
    """

    def __init__(self, app: Any, token: str, host: str, port: int) -> None:
        self.app, self.token, self.host, self.port = app, token, host, port
        self.cookie = f"minigpt-{port}"  # browsers do not keep the cookies of ports apart
        self.opened = threading.Event()
        """Set when a browser has come by `opening.open_browser`."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or hand it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_safely(message: Any) -> None:
            if message["type"] == "http.response.start":
                safe = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *safe]}
            await send(message)

        answer = await self._answer(scope, receive) or self.app
        await answer(scope, receive, send_safely)

    async def _answer(self, scope: Any, receive: Any) -> Response | None:
        """Return what a request gets without reaching the application; None if it may pass."""
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        host = headers.get("host", "")
        if not self.is_ours(host):
            return _refuse(403, f"this server is not at {host[:100]!r}")
        if (scope["method"], scope["path"]) == ("POST", "/"):
            return await self._open(receive)
        if headers.get("origin", f"http://{host}") != f"http://{host}":
            return _refuse(403, "this request comes from another page")
        shown = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if scope["path"] == "/" and any(map(self._is_token, shown)):
            return self._with_cookie(RedirectResponse("/", 303))
        client = self._client_of(headers)
        if client is not None:
            address = scope["client"][0] if scope.get("client") else ""
            scope.setdefault("state", {})["client"] = f"{address} {client}"
            return None
        if scope["path"] == "/":
            return HTMLResponse(REFUSED, 403)
        return _refuse(401, "the token is missing or wrong", {"www-authenticate": "Bearer"})

    def is_ours(self, host: str) -> bool:
        """Return whether a Host header names this server, and no name made to mean it."""
        try:
            address = urlsplit(f"//{host}")
            name, port = address.hostname or "", address.port
        except ValueError:
            return False
        if (80 if port is None else port) != self.port:
            return False
        if name in LOOPBACK or name == self.host.lower():
            return True
        return self.host not in LOOPBACK and (_is_number(name) or name == _own_name())

    async def _open(self, receive: Any) -> Response:
        """Answer the form of `opening.open_browser`, whose origin is a file."""
        body = b""
        with anyio.move_on_after(SECONDS_FOR_A_FORM):
            while len(body) <= LONGEST_FORM:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
        if any(map(self._is_token, parse_qs(body.decode("latin-1")).get("token", []))):
            self.opened.set()
            return self._with_cookie(HTMLResponse(COOKIE_SET))
        return HTMLResponse(REFUSED, 403)

    def _with_cookie(self, answer: Response) -> Response:
        value = f"{self.token}.{secrets.token_hex(4)}"  # who asks, so that each has their turn
        answer.set_cookie(self.cookie, value, httponly=True, samesite="strict", path="/")
        return answer

    def _client_of(self, headers: dict[str, str]) -> str | None:
        """Return what tells a client from others at the same address; None without the token."""
        cookies = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        for given in (value for name, _, value in cookies if name == self.cookie):
            token, _, client = given.partition(".")
            if self._is_token(token):
                return client
        scheme, _, value = headers.get("authorization", "").partition(" ")
        return "" if scheme.lower() == "bearer" and self._is_token(value.strip()) else None

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())


def _refuse(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": message}, status, headers)


def _is_number(name: str) -> bool:
    """Return whether a host is given by its address: nobody can rebind a number."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _own_name() -> str:
    return socket.gethostname().lower()
