"""Bring a well-known text to this machine: once, checked, whole or not at all."""

import hashlib
import os
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from pathlib import Path
from socket import gaierror
from urllib import request
from urllib.error import HTTPError, URLError

from minigpt.core.checks import unknown
from minigpt.support.files import replacing
from minigpt.support.terminal import console
from minigpt.support.untrusted_files import open_to_read

TIMEOUT = 20.0  # seconds a server may be silent


@dataclass(frozen=True)
class KnownText:
    """A text on the network: what it is, where it is, and how to recognise it."""

    about: str
    url: str
    sha256: str
    size: int  # bytes


KNOWN_TEXTS = {
    "shakespeare": KnownText(
        about="the tiny Shakespeare text",
        url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        size=1_115_394,
    )
}


class FetchError(RuntimeError):
    """A text could not be fetched; the message says why, and what to do instead."""


def fetch(name: str = "shakespeare") -> Path:
    """Return the path of a known text, after downloading it if it is not on this machine yet.

    It comes over http or https, through the proxies the environment names, with a progress bar
    where stderr is a terminal. Two environment variables lead elsewhere:

    - `MINIGPT_CACHE`: the folder to keep texts in, instead of the user's cache folder.
    - `MINIGPT_MIRROR`: an address to get `<name>.txt` from, instead of the text's home: that of a
      cache folder served by `python -m http.server`, say. The checksum is the same.

    Parameters
    ----------
    name : a key of `KNOWN_TEXTS`.

    Returns
    -------
    path : the file, its SHA-256 verified.

    Raises
    ------
    ValueError
        If the name is unknown.
    FetchError
        If the text cannot be had or cannot be kept. No part of it is left behind.
    """
    if (found := cached(name)) is not None:
        return found
    text, path = KNOWN_TEXTS[name], _cache_path(name)
    mirror = os.environ.get("MINIGPT_MIRROR")
    url = f"{mirror.rstrip('/')}/{path.name}" if mirror else text.url
    instead = (
        "You can train on the built-in plays with --data plays, or on a text of your own with "
        f"--data FILE, or download {text.url} by hand and save it as {path}"
    )
    try:
        content = _download(url, text)
    except (OSError, HTTPException, ValueError) as error:
        problem = f"cannot fetch {text.about} from {url}: {_why(error)}"
        raise FetchError(f"{problem}. {instead}") from error
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        problem = f"cannot keep {text.about} in {path.parent}: {error.strerror or error}"
        other_folder = "Set MINIGPT_CACHE to a folder that has room and may be written to"
        raise FetchError(f"{problem}. {other_folder}. {instead}") from error
    return path


def cached(name: str = "shakespeare") -> Path | None:
    """Return the path of a known text if it is here, undamaged; never use the network."""
    if name not in KNOWN_TEXTS:
        raise ValueError(unknown("text", name, KNOWN_TEXTS))
    path = _cache_path(name)
    try:
        with open_to_read(path) as file:
            intact = hashlib.file_digest(file, "sha256").hexdigest() == KNOWN_TEXTS[name].sha256
    except (OSError, ValueError):
        return None
    return path if intact else None


def _cache_path(name: str) -> Path:
    from platformdirs import user_cache_path

    folder = os.environ.get("MINIGPT_CACHE") or user_cache_path("minigpt", appauthor=False)
    return Path(folder) / f"{name}.txt"


def _download(url: str, text: KnownText) -> bytes:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from minigpt.fast.threads import can_start_threads

    if not url.lower().startswith(("http://", "https://")):
        raise ValueError("the address must start with http:// or https://")
    shown_on = console(stderr=True)
    shown_on.quiet = not shown_on.file.isatty()
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    content = bytearray()
    with (
        Progress(*columns, console=shown_on, auto_refresh=can_start_threads()) as progress,
        _opener().open(url, timeout=TIMEOUT) as response,
    ):
        bar = progress.add_task(text.about, total=text.size)
        while len(content) <= text.size and (chunk := response.read(1 << 14)):
            content += chunk
            progress.update(bar, completed=len(content))
        announced = response.headers.get("Content-Length", str(text.size))
    if len(content) < text.size and str(len(content)) != announced:
        raise IncompleteRead(bytes(content))
    if (digest := hashlib.sha256(content).hexdigest()) != text.sha256:
        raise ValueError(f"what came has SHA-256 {digest}, not {text.sha256}, and was not kept")
    return bytes(content)


def _opener() -> request.OpenerDirector:
    # urllib's own opener also knows file, data and ftp, and lets a server redirect us to the last.
    opener = request.OpenerDirector()
    opener.add_handler(request.ProxyHandler())
    opener.add_handler(request.HTTPHandler())
    opener.add_handler(request.HTTPSHandler())
    opener.add_handler(request.HTTPRedirectHandler())
    opener.add_handler(request.HTTPErrorProcessor())
    opener.add_handler(request.HTTPDefaultErrorHandler())
    opener.add_handler(request.UnknownHandler())
    return opener


def _why(error: Exception) -> str:
    if isinstance(error, HTTPError):
        error.close()  # it holds the connection
        return f"the server answered {error.code} {error.reason}"
    match error.reason if isinstance(error, URLError) else error:
        case TimeoutError():
            return f"the server was silent for {TIMEOUT:g} seconds"
        case gaierror():
            return "no server of that name was found (is this machine online?)"
        case IncompleteRead() | ConnectionResetError() | ConnectionAbortedError():
            return "the connection broke off half-way, and nothing was kept"
        case reason:
            return getattr(reason, "strerror", None) or str(reason)
