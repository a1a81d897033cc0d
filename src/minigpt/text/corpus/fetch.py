"""Download a well-known text: only once, only if its checksum is right, and never a part of it."""

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

TIMEOUT = 20.0  # seconds without an answer from the server


@dataclass(frozen=True)
class KnownText:
    """A text on the network: its description, its address, and how to recognise it."""

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
    """A text could not be downloaded; the message says why, and what to do instead."""


def fetch(name: str = "shakespeare") -> Path:
    """Return the path of a known text; download it if it is not on this machine yet.

    The download uses http or https, and the proxies that the environment names. It shows a progress
    bar if stderr is a terminal. Two environment variables change the places:

    - `MINIGPT_CACHE`: the folder to keep texts in, instead of the user's cache folder.
    - `MINIGPT_MIRROR`: an address to download `<name>.txt` from, instead of its usual address; for
      example, the address of a cache folder that `python -m http.server` serves. The checksum must
      be the same.

    Parameters
    ----------
    name : a key of `KNOWN_TEXTS`.

    Returns
    -------
    path : the file, whose SHA-256 has been verified.

    Raises
    ------
    ValueError
        If the name is unknown.
    FetchError
        If the text cannot be downloaded or saved. No part of it is left behind.
    """
    if (found := cached(name)) is not None:
        return found
    text, path = KNOWN_TEXTS[name], _cache_path(name)
    mirror = os.environ.get("MINIGPT_MIRROR")
    url = f"{mirror.rstrip('/')}/{path.name}" if mirror else text.url
    instead = (
        "You can train on the built-in plays with --data plays, or on your own text with "
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
        problem = f"cannot save {text.about} in {path.parent}: {error.strerror or error}"
        other_folder = "Set MINIGPT_CACHE to a writable folder with enough space"
        raise FetchError(f"{problem}. {other_folder}. {instead}") from error
    return path


def cached(name: str = "shakespeare") -> Path | None:
    """Return the path of a known text if it is on this machine and undamaged, or None."""
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

    from minigpt.support.processes import can_start_threads

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
        raise ValueError(f"the download has SHA-256 {digest}, not {text.sha256}, and was not kept")
    return bytes(content)


def _opener() -> request.OpenerDirector:
    # urllib's default opener also supports file, data and ftp, and follows a redirection to ftp.
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
        error.close()  # which closes the connection
        return f"the server answered {error.code} {error.reason}"
    match error.reason if isinstance(error, URLError) else error:
        case TimeoutError():
            return f"the server did not answer for {TIMEOUT:g} seconds"
        case gaierror():
            return "no server with this name was found (is this machine online?)"
        case IncompleteRead() | ConnectionResetError() | ConnectionAbortedError():
            return "the connection broke off before the end, and nothing was kept"
        case reason:
            return getattr(reason, "strerror", None) or str(reason)
