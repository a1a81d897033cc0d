"""Who may use the server: checks of the token, the Host and the Origin, and safe headers.

Any web page can make a browser send requests to 127.0.0.1. Three checks keep such pages out. They
do not know the token. The browser sends their own address as Origin. And if they make a name of
their own point to 127.0.0.1 ("DNS rebinding"), the browser sends this name as Host.
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
MAX_FORM_BYTES = 1000
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
<meta http-equiv="refresh" content="0; url=/"><a href="/">Open the page</a></html>"""
"""A browser sends a strict cookie only if our own page leads to the next, not a local file."""

REFUSED = """<!doctype html><html lang="en"><meta charset="utf-8"><title>miniGPT</title>
<h1>This page needs its token</h1>
<p>Open the address that <code>minigpt explore</code> printed in the terminal: it ends in
<code>?token=…</code>. If you have already done this in this browser, reload the page.</p></html>"""


class Guard:
    """An ASGI application that passes only requests from the page itself on to `app`.

    Parameters
    ----------
    app : the application behind the guard.
    token : the secret. The address must contain it once; then a cookie has it.
    host, port : where the server listens.
    """

    def __init__(self, app: Any, token: str, host: str, port: int) -> None:
        self.app, self.token, self.host, self.port = app, token, host, port
        self.cookie = f"minigpt-{port}"  # browsers share cookies between ports
        self.opened = threading.Event()
        """Set when a browser has sent the form of `open_browser`."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or pass it on."""
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
        """Return the refusal of a request, or the answer to its token; None to pass it on."""
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
        """Return whether a Host header is an address of this server that nobody can rebind."""
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
        """Answer the form of `open_browser`, whose origin is a file."""
        body = b""
        with anyio.move_on_after(SECONDS_FOR_A_FORM):
            while len(body) <= MAX_FORM_BYTES:
                message = await receive()
                body += message.get("body", b"")
                if not message.get("more_body"):
                    break
        if any(map(self._is_token, parse_qs(body.decode("latin-1")).get("token", []))):
            self.opened.set()
            return self._with_cookie(HTMLResponse(COOKIE_SET))
        return HTMLResponse(REFUSED, 403)

    def _with_cookie(self, answer: Response) -> Response:
        value = f"{self.token}.{secrets.token_hex(4)}"  # the client, for its turns
        answer.set_cookie(self.cookie, value, httponly=True, samesite="strict", path="/")
        return answer

    def _client_of(self, headers: dict[str, str]) -> str | None:
        """Return what distinguishes browsers at the same address; None without the token."""
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
    """Return whether a host is an IP address. Nobody can rebind a number."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _own_name() -> str:
    return socket.gethostname().lower()
