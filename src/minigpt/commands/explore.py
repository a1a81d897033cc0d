"""`minigpt explore`."""

from __future__ import annotations

import argparse
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from minigpt.commands.parsing import (
    MODEL,
    add_checkpoint,
    add_with,
    command,
    use_learner,
    whole_number,
)
from minigpt.support.terminal import say

if TYPE_CHECKING:
    from uvicorn import Server

FIRST_PORT = 8100
PORTS_TO_TRY = 50
"""Number of ports to try, one after another."""


def add_explore(subparsers: Any) -> None:
    """Add the command and its flags."""
    parser = command(
        subparsers,
        "explore",
        explore,
        "runs/demo\nruns/demo gpt2 --port 9000 --no-browser",
    )
    parser.add_argument(
        "models",
        nargs="+",
        metavar="MODEL",
        help=f"{MODEL}; for a run, the page also shows its checkpoints, and follows its training",
    )
    add_checkpoint(parser)
    add_with(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (127.0.0.1)"
    )
    parser.add_argument(
        "--port",
        type=whole_number,
        metavar="N",
        help="port to listen on; if it is in use, the next free one (8100)",
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="only print the address; open no browser"
    )


def explore(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    use_learner(args)
    try:
        import uvicorn  # noqa: F401  the next imports need it

        from minigpt.web.connections import server_of
        from minigpt.web.server import make_app
    except ImportError:
        raise ImportError("the live page needs: pip install 'minigpt-numpy[explore]'") from None
    from threadpoolctl import threadpool_limits

    from minigpt.fast.replicas import WIDE_D_MODEL
    from minigpt.support.processes import can_start_threads
    from minigpt.web.browser import open_browser
    from minigpt.web.learn.lessons import Lessons
    from minigpt.web.look.models import Models
    from minigpt.web.safety import LOOPBACK
    from minigpt.web.work import Work

    if not can_start_threads():
        raise RuntimeError(
            "the live page needs threads, but none can be started here. `minigpt explain` writes a "
            "page that needs none"
        )
    models = Models(args.models, args.checkpoint, say)
    work, token = Work(), secrets.token_urlsafe(24)
    listener = _listen(args.host, args.port)
    port = listener.getsockname()[1]
    name = _for_others(args.host)
    address = f"http://{f'[{name}]' if ':' in name else name}:{port}/"
    if args.host not in LOOPBACK:
        say(
            f"minigpt: warning: everyone who can reach {args.host} and knows the token can use "
            "this server, and the connection is not encrypted"
        )
    print(f"{address}?token={token}", flush=True)
    say("  open this address, which contains the access token; Ctrl-C stops the server")
    app = make_app(models, token, args.host, port, work, Lessons(args.models))
    server = server_of(app)
    work.stopping = lambda: server.should_exit
    narrow = all(models[i].model.d_model < WIDE_D_MODEL for i in range(min(1, len(models))))
    opening = threading.Thread(target=open_browser, args=(address, token, app.opened), daemon=True)
    with (
        listener,
        threadpool_limits(1 if narrow else None),
        suppress(KeyboardInterrupt),
        _ending_by_signals(server),
    ):
        if not args.no_browser:
            opening.start()
        threading.Thread(target=models.warm_up, daemon=True).start()
        try:
            server.run(sockets=[listener])
        finally:
            app.opened.set()  # the temporary file that opens the browser is deleted, read or not
            if opening.ident is not None:
                opening.join(5)
    return 0


@contextmanager
def _ending_by_signals(server: Server) -> Iterator[None]:
    """Stop the server on SIGTERM and SIGHUP too, in a way that leaves `finally` blocks properly.

    SIGHUP often comes twice, from the system and from the shell. Under nohup it stays ignored.
    """
    codes = []

    def end(number: int, frame: FrameType | None) -> None:
        codes.append(128 + number)
        server.should_exit = True

    numbers = [signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if codes:
        raise SystemExit(codes[0])


def _listen(host: str, port: int | None) -> socket.socket:
    """Return a socket bound to `port`, or to the next port that is free."""
    first = FIRST_PORT if port is None else port
    for number in range(first, min(first + PORTS_TO_TRY, 65536)):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
        except (OSError, UnicodeError):
            raise ValueError(f"--host {host} is not an address of this machine") from None
        # asyncio turns off Nagle's algorithm only if `proto` says TCP; without it, parts of an
        # answer wait 40 ms.
        listener = socket.socket(family, kind, protocol)
        try:
            listener.bind(address)
            listener.listen()
        except OSError as error:
            listener.close()
            if number == min(first + PORTS_TO_TRY, 65536) - 1:
                raise ValueError(
                    f"ports {first} to {number} on {host} are all in use ({error.strerror}): "
                    "choose another with --port"
                ) from None
            continue
        if number != first:
            say(f"port {first} is in use: using {number}")
        return listener
    raise ValueError(f"--port must be less than 65536, got {port}")


def _for_others(host: str) -> str:
    """Return the name that reaches a server on `host`, also if `host` means all addresses."""
    if host not in ("0.0.0.0", "::"):
        return host
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("192.0.2.1", 9))  # sends nothing: it only selects the outgoing address
        return str(asking.getsockname()[0])
    return socket.gethostname()
