"""Opening the browser without showing the token to other users of the machine.

Everyone on a machine can read the command lines of all processes. So the browser gets the name of
a file that only its owner can read, and the form in this file sends the token to the server. This
also keeps the token out of the browser's history.
"""

from __future__ import annotations

import html
import os
import tempfile
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path

SECONDS_TO_SIGN_IN = 60.0

OPENING_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>miniGPT</title>
<form method="post" action="{address}"><input type="hidden" name="token" value="{token}">
<button>Open miniGPT</button></form><script>document.forms[0].submit()</script></html>
"""


def open_browser(address: str, token: str, opened: threading.Event) -> None:
    """Open the page at `address`, and remove the file when `opened` is set, or after a minute."""
    with suppress(webbrowser.Error), tempfile.TemporaryDirectory(prefix="minigpt-") as folder:
        file = Path(folder) / "open.html"
        page = OPENING_PAGE.format(address=html.escape(address), token=html.escape(token))
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(page)
        if webbrowser.open(file.as_uri()):
            opened.wait(SECONDS_TO_SIGN_IN)
