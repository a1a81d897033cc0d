"""Read the documents in a file: plain text, JSON or Parquet, as a stream.

A text file is one document. Each line of a .jsonl file, each object in a .json file and each row
of a .parquet file is a document, too. Text and JSON may be compressed (.gz). A document may be
larger than the memory, so each one is returned as an iterator over parts of its text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from minigpt.support.decoding import decode, open_text
from minigpt.support.untrusted_files import check_not_placeholder, open_to_read

CHARS_PER_READ = 2**17

TEXT_SUFFIXES = (".txt", ".txt.gz")
LINES_SUFFIXES = (".jsonl", ".jsonl.gz")
JSON_SUFFIXES = (".json", ".json.gz")
FIELD_SUFFIXES = (*LINES_SUFFIXES, *JSON_SUFFIXES, ".parquet")
"""Files in which a document is one of several fields."""

FIELD = "text"
"""The field or column that holds the text, unless another is named."""
STDIN = Path("-")
"""Stands for standard input. Compare by identity: a file may also be called "-"."""


def read_stdin() -> str:
    r"""Return all of standard input, decoded in the same way as a file; line ends become "\n"."""
    if sys.stdin is None:
        raise ValueError("standard input is closed: there is no text to read from it")
    text = decode(sys.stdin.buffer.read(), "standard input")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def documents(file: Path, field: str | None = None) -> Iterator[Iterator[str]]:
    """Yield each document in `file` as an iterator over parts of its text.

    Read each document to its end before asking for the next one.

    Parameters
    ----------
    file : the end of its name says how it is read.
    field : the field of a JSON object, or column of a Parquet file, that holds the text; "text" if
        None.

    Raises
    ------
    ValueError
        If the file is damaged, cannot be decoded, or lacks the field.
    """
    name, field = file.name.lower(), field or FIELD
    if file is not STDIN and file.is_file():
        with open_to_read(file) as raw:
            is_text = not name.endswith((*FIELD_SUFFIXES, ".gz"))
            check_not_placeholder(file, raw.read(64), may_be_page=is_text)
    if file is STDIN:
        yield iter([read_stdin()])
    elif name.endswith(".parquet"):
        yield from _parquet_rows(file, field)
    elif name.endswith(LINES_SUFFIXES):
        yield from _json_lines(file, field)
    elif name.endswith(JSON_SUFFIXES):
        yield from _json_objects(file, field)
    else:
        yield _plain_text(file)


def _plain_text(file: Path) -> Iterator[str]:
    with open_text(file) as text:
        while part := text.read(CHARS_PER_READ):
            yield part


def _json_lines(file: Path, field: str) -> Iterator[Iterator[str]]:
    with open_text(file) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{file}, line {number}, is not JSON: {error}") from None
            yield _parts(_text_of(record, field, f"{file}, line {number},"))


def _json_objects(file: Path, field: str) -> Iterator[Iterator[str]]:
    """Read a list of objects or a single object; or JSON lines, if there is one object per line.

    The whole file is read into memory, so a large one should be written as .jsonl.
    """
    with open_text(file) as text:
        content = text.read()
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        if getattr(error, "msg", "") == "Extra data":  # after the first of several lines
            del content
            yield from _json_lines(file, field)
            return
        raise ValueError(f"{file} is not JSON: {error}") from None
    for number, record in enumerate(found if isinstance(found, list) else [found], 1):
        yield _parts(_text_of(record, field, f"{file}, object {number},"))


def _parquet_rows(file: Path, field: str) -> Iterator[Iterator[str]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise RuntimeError(
            f"{file}: reading Parquet needs pyarrow: pip install 'minigpt-numpy[parquet]'"
        ) from None
    try:
        with ParquetFile(file) as rows:
            if field not in rows.schema_arrow.names:
                columns = dict.fromkeys(rows.schema_arrow.names)
                raise ValueError(f"{file} has no column {field!r}{_choice(columns)}")
            for batch in rows.iter_batches(batch_size=256, columns=[field]):
                for text in batch.column(0).to_pylist():
                    if text is not None and not isinstance(text, str):
                        raise ValueError(
                            f"{file}: column {field!r} has {text!r}, which is not text"
                        )
                    yield _parts(text or "")
    except ArrowException as error:
        raise ValueError(f"{file} is damaged or not a Parquet file: {error}") from None


def _text_of(record: object, field: str, where: str) -> str:
    """Return the text in a field of a JSON object."""
    text = record.get(field) if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise ValueError(
            f"{where} has no text in the field {field!r}: name the field that has it with --field"
            f"{_choice(record)}"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where} has a lone surrogate, U+{ord(text[error.start]):04X}, in the field "
            f"{field!r} at position {error.start}: this is half of a UTF-16 character, and not a "
            "character itself. Remove it, or write the file again from whole characters"
        ) from None
    return text


def _choice(record: object) -> str:
    """Return the names of the fields that there are, as the end of a message."""
    return f", of {', '.join(map(repr, record))}" if isinstance(record, dict) and record else ""


def _parts(text: str) -> Iterator[str]:
    return (text[start : start + CHARS_PER_READ] for start in range(0, len(text), CHARS_PER_READ))
