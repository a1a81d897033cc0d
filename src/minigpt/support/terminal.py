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
"""Control characters except tab and new line, line and paragraph separators, changes of the writing
direction, and surrogates."""


def say(text: str) -> None:
    """Print a line on stderr."""
    print(visible(text), file=sys.stderr, flush=True)


def visible(text: str) -> str:
    r"""Return `text` with control characters made visible: as their pictures, \x9b or \u202e."""
    return _CONTROL.sub(_picture, text)


def _picture(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 32:
        return chr(0x2400 + code)
    return "␡" if code == 127 else f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def json_line(content: Any) -> str:
    """Return `content` as one line of JSON with control characters escaped."""
    line = json.dumps(content, ensure_ascii=False)
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n"


class SafeStream(TextIOBase):
    """A stream that makes control characters visible: see `visible`.

    A log that cannot be written is dropped: work must not stop because nobody can read its
    progress. A result that cannot be written is an error.

    Parameters
    ----------
    stream : the underlying stream; None if it is closed.
    is_log : whether the stream carries a log; otherwise it carries results.
    unfiltered : whether to write all characters as they are.
    """

    def __init__(self, stream: TextIO | None, is_log: bool, unfiltered: bool = False) -> None:
        self.stream, self.is_log, self.unfiltered = stream, is_log, unfiltered

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """See the underlying stream."""
        return getattr(self.stream, "encoding", None) or "utf-8"

    def isatty(self) -> bool:
        """See the underlying stream."""
        return self.stream is not None and not self.stream.closed and self.stream.isatty()

    def fileno(self) -> int:
        """See the underlying stream."""
        return super().fileno() if self.stream is None else self.stream.fileno()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Write `text`, with control characters made visible."""
        with self._errors():
            if self.stream is None or self.stream.closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self.stream.write(text if self.unfiltered else visible(text))
        return len(text)

    def flush(self) -> None:
        """Flush the underlying stream."""
        with self._errors():
            if self.stream is not None and not self.stream.closed:
                self.stream.flush()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # Buffered text would fail again when Python exits, and change the exit code.
            with suppress(AttributeError, OSError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)
            if not self.is_log:
                raise OSError(error.errno, error.strerror, "standard output") from None


@contextmanager
def safe_output() -> Iterator[None]:
    """Send all output in the block through a `SafeStream`."""
    for number in range(3):  # a closed one would be reused by the next opened file
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    out, log = SafeStream(sys.stdout, is_log=False), SafeStream(sys.stderr, is_log=True)
    with redirect_stdout(out), redirect_stderr(log):
        yield


def unfiltered(stream: TextIO) -> TextIO:
    """Return `stream` without the filter, for code that writes its own escape sequences."""
    if not isinstance(stream, SafeStream):
        return stream
    return SafeStream(stream.stream, stream.is_log, unfiltered=True)  # type: ignore[return-value]


def console(stderr: bool = False) -> Console:
    """Return a rich console that makes control characters visible but keeps its colours."""
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
    """Return a function that iterates over items and shows progress: a bar, or lines in a log."""
    from rich.progress import track

    from minigpt.support.processes import can_start_threads

    shown_on = console(stderr=True)

    def go_through(items: Iterable[Item]) -> Iterable[Item]:
        if shown_on.is_terminal and can_start_threads():  # the bar needs one
            return track(items, what, total, console=shown_on, transient=True)
        return log_progress(items, what, total)

    return go_through


class Clock:
    """A timer that limits how often a log gets a line."""

    SECONDS = 15.0

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Start the interval anew."""
        self.last = time.monotonic()

    def is_due(self) -> bool:
        """Return whether the interval has passed; if so, start it anew."""
        if due := time.monotonic() - self.last >= self.SECONDS:
            self.restart()
        return due


def log_progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yield the items; print at intervals on stderr how many are done."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    clock = Clock()
    for n, item in enumerate(items, 1):
        yield item
        if clock.is_due():
            say(f"{what}: {n:,}" + (f" of {total:,}" if total else " done"))


def error_message(error: Exception) -> str:
    """Return the message of an error; for an error of the system, the reason and the file."""
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    return str(error)
