"""Decoding text: UTF-8, or the encoding that a byte order mark names; otherwise a clear error.

Editors on Windows write byte order marks. Without a mark, only UTF-8 is read: any other encoding
would be a guess.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

if TYPE_CHECKING:
    from io import BufferedReader

# UTF-32 comes first: its little-endian mark begins with the mark of UTF-16.
_MARKS = {
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_NOT_TEXT = {
    b"\x1f\x8b": "compressed by gzip, though its name does not end in .gz",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"PK\x03\x04": "a ZIP archive, as .docx and .epub are",
    b"%PDF": "a PDF",
}
"""First bytes of files that users often mistake for text."""


class UndecodableError(ValueError):
    """A file is not text, or has an unknown encoding; `problem` is the message without advice."""

    def __init__(self, problem: str, advice: str = "save it as UTF-8 first") -> None:
        super().__init__(f"{problem}: {advice}")
        self.problem = problem


def encoding_of(start: bytes) -> str:
    """Return the encoding of a text that begins with the bytes `start`."""
    # utf-8-sig is UTF-8 with or without a mark; the mark is removed.
    return next((name for mark, name in _MARKS.items() if start.startswith(mark)), "utf-8-sig")


def decode(content: bytes, where: str) -> str:
    """Return the decoded text; line ends stay as they are.

    Raises
    ------
    UndecodableError
        If it is neither UTF-8 nor in the encoding of its mark; the message names `where`.
    """
    encoding = encoding_of(content)
    _check_zeros(content[:4096], encoding, where)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecodable(where, content, error, error.start) from None


@contextmanager
def open_text(file: Path) -> Iterator[IO[str]]:
    r"""Open a text file, compressed if its name ends with .gz; line ends become "\n".

    Raises
    ------
    UndecodableError
        In the block, if the content is not text: see `decode`.
    ValueError
        In the block, if a compressed file is damaged.
    """
    opener = gzip.open if file.name.lower().endswith(".gz") else open
    try:
        with opener(file, "rb") as opened:
            content = cast("BufferedReader", opened)
            start = content.peek(4096)[:4096]
            encoding = encoding_of(start)
            _check_zeros(start, encoding, str(file))
            with TextIOWrapper(content, encoding) as text:
                try:
                    yield text
                except UnicodeDecodeError as error:
                    place = content.tell() - len(error.object) + error.start
                    raise _undecodable(str(file), start, error, place) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{file} is damaged, or not compressed by gzip: {error}") from None


def _check_zeros(start: bytes, encoding: str, where: str) -> None:
    """Raise if a text without a mark looks like UTF-16: it might decode as UTF-8 with zeros."""
    zeros = max(start[::2].count(0), start[1::2].count(0))
    if encoding == "utf-8-sig" and zeros > len(start) // 4:
        raise UndecodableError(
            f"{where} is not UTF-8 text (every second byte is 0, as in UTF-16, but the mark of "
            "UTF-16 is missing)"
        )


def _undecodable(
    where: str, start: bytes, error: UnicodeDecodeError, place: int
) -> UndecodableError:
    for beginning, what in _NOT_TEXT.items():
        if start.startswith(beginning):
            return UndecodableError(f"{where} is not text, but {what}", "convert it to text first")
    marked = encoding_of(start)
    name = "UTF-8 text" if marked == "utf-8-sig" else f"the {marked.upper()} text its mark says"
    byte = f"byte {place} is 0x{error.object[error.start]:02x}"
    return UndecodableError(f"{where} is not {name} ({byte})")
