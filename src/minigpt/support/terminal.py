"""Safe output to a terminal.

File names, texts and what a model writes may contain control characters, which a terminal would
obey. So everything that a command prints, be it by `print`, `warnings`, argparse, logging or rich,
goes through a `SafeStream`.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import TextIOBase
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.console import Console

Item = TypeVar("Item")

_CONTROL = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for the tab and the new line, separators of lines and paragraphs,
changes of the direction of writing, and halves of characters."""


def say(text: str) -> None:
    """Report progress on stderr."""
    print(visible(text), file=sys.stderr, flush=True)


def visible(text: str) -> str:
    r"""Show control characters, which a terminal obeys: by their pictures, or as \x9b or \u202e."""
    return _CONTROL.sub(_picture, text)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 32:
        return chr(0x2400 + code)
    return "␡" if code == 127 else f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def json_line(content: Any) -> str:
    """Write `content` as one line of JSON, control characters escaped: it means the same."""
    line = json.dumps(content, ensure_ascii=False)
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n"


class SafeStream(TextIOBase):
    """A stream that shows what would command a terminal: see `visible`.

    What cannot be written to a log is dropped: work must not end because nobody can read how it
    goes. What cannot be written of a result is an error.

    Parameters
    ----------
    stream : the stream behind it; None if it is closed.
    is_log : whether it tells how things go; if not, it has results.
    unfiltered : whether to hand on all characters as they are.
    """

    def __init__(self, stream: TextIO | None, is_log: bool, unfiltered: bool = False) -> None:
        self.stream, self.is_log, self.unfiltered = stream, is_log, unfiltered

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """As of the stream behind it."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """As of the stream behind it."""
        return self.stream is not None and not self.stream.closed and self.stream.isatty()

    def fileno(self) -> int:
        """As of the stream behind it."""
        return super().fileno() if self.stream is None else self.stream.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Write `text`, or what is shown of it."""
        with self._errors():
            if self.stream is None or self.stream.closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self.stream.write(text if self.unfiltered else visible(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream behind it."""
        with self._errors():
            if self.stream is not None and not self.stream.closed:
                self.stream.flush()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # What is left in buffers would fail again when Python ends, and change the exit code.
            with suppress(AttributeError, OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)
            if not self.is_log:
                raise OSError(error.errno, error.strerror, "standard output") from None


@contextmanager
def safe_output() -> Iterator[None]:
    """Send all that is printed within the block through a `SafeStream`."""
    for number in range(3):  # else the next file that is opened would be standard output
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    out, log = SafeStream(sys.stdout, is_log=False), SafeStream(sys.stderr, is_log=True)
    with redirect_stdout(out), redirect_stderr(log):
        yield


def unfiltered(stream: TextIO) -> TextIO:
    """Return `stream` without the showing: for those who write escape sequences of their own."""
    if not isinstance(stream, SafeStream):
        return stream
    return SafeStream(stream.stream, stream.is_log, unfiltered=True)  # type: ignore[return-value]


def console(stderr: bool = False) -> Console:
    """Return a console of rich whose texts are shown as by `visible`; its colours remain."""
    from rich.console import Console
    from rich.segment import Segment

    class VisibleConsole(Console):
        def _render_buffer(self, buffer: Iterable[Segment]) -> str:
            return super()._render_buffer(
                part if part.control else Segment(visible(part.text), part.style) for part in buffer
            )

        def on_broken_pipe(self) -> None:  # rich would end the program
            raise BrokenPipeError

    file = unfiltered(sys.stderr if stderr else sys.stdout)
    return VisibleConsole(file=file, highlight=False, markup=False, emoji=False)


def progress(what: str, total: int | None = None) -> Callable[[Iterable[Item]], Iterable[Item]]:
    """Return what goes through items and shows how far it is: a bar in a terminal, else lines."""
    from rich.progress import track

    from minigpt.fast.threads import can_start_threads

    shown_on = console(stderr=True)

    def go_through(items: Iterable[Item]) -> Iterable[Item]:
        if shown_on.is_terminal and can_start_threads():  # the bar has one
            return track(items, what, total, console=shown_on, transient=True)
        return log_progress(items, what, total)

    return go_through


class Clock:
    """Strikes now and then, for a log that nobody wants to be long."""

    SECONDS = 15.0

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Count from now on."""
        self.last = time.monotonic()

    def is_due(self) -> bool:
        """Whether the time has passed; if so, count from now on."""
        if due := time.monotonic() - self.last >= self.SECONDS:
            self.restart()
        return due


def log_progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Go through items; now and then, say in a line on stderr how many are done."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    clock = Clock()
    for n, item in enumerate(items, 1):
        yield item
        if clock.is_due():
            say(f"{what}: {n:,}" + (f" of {total:,}" if total else " done"))


def error_message(error: Exception) -> str:
    """Say what an error says, and of what the system reports, what happened where."""
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    return str(error)
