"""Documents out of files: plain text, JSON lines and Parquet, read as a stream.

A text file is one document. A line of a .jsonl file, or a row of a .parquet file, is one each. Text
and JSON may be compressed (.gz). Each document is given as an iterator of parts, since it may be
larger than the memory.
"""

from __future__ import annotations

import glob
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PART = 2**17  # characters

TEXT_SUFFIXES = (".txt", ".txt.gz")
LINES_SUFFIXES = (".jsonl", ".jsonl.gz")
SUFFIXES = (*TEXT_SUFFIXES, *LINES_SUFFIXES, ".parquet")
"""What is taken of a folder; a file that is named may have any other name too, and is text."""


def find_files(names: Sequence[str | Path]) -> list[Path]:
    """Give the files that names of files and folders, and patterns such as "*.txt", stand for.

    They come in the order of the names; those of one folder or pattern in the order of theirs.

    Raises
    ------
    FileNotFoundError
        If a name stands for nothing.
    """
    files: list[Path] = []
    for name in map(str, names):
        path = Path(name)
        if path.is_dir():
            found = [file for file in path.rglob("*") if file.name.lower().endswith(SUFFIXES)]
            missing = f"the folder {name} has no files ending in {', '.join(SUFFIXES)}"
        elif path.exists():
            found = [path]
        else:
            found = [Path(match) for match in glob.glob(name, recursive=True)]  # noqa: PTH207 - absolute too
            missing = f"there is no file {name!r}"
        found = sorted(file for file in found if file.is_file())
        if not found:
            raise FileNotFoundError(missing)
        files += found
    return files


def documents(file: Path, field: str = "text") -> Iterator[Iterator[str]]:
    """Read the documents in a file, each as parts of its text; read one before asking for another.

    Parameters
    ----------
    file : how it is read depends on how its name ends.
    field : which field of a JSON object, or column of a Parquet file, has the text.

    Raises
    ------
    ValueError
        If the file is damaged, not UTF-8, or lacks the field.
    """
    name = file.name.lower()
    if name.endswith(".parquet"):
        yield from _rows(file, field)
    elif name.endswith(LINES_SUFFIXES):
        yield from _lines(file, field)
    else:
        yield _whole(file)


@contextmanager
def _open(file: Path) -> Iterator[IO[str]]:
    """Open a text, compressed or not; if it is no text, say so when it is read."""
    opener = gzip.open if file.name.lower().endswith(".gz") else open
    try:
        # utf-8-sig drops the mark some editors put first; line ends become "\n".
        with opener(file, "rt", encoding="utf-8-sig") as text:
            yield text
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file} is not UTF-8 text (a byte is 0x{error.object[error.start]:02x}): save it as "
            "UTF-8 first"
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{file} is damaged, or not compressed by gzip: {error}") from None


def _whole(file: Path) -> Iterator[str]:
    with _open(file) as text:
        while part := text.read(PART):
            yield part


def _lines(file: Path, field: str) -> Iterator[Iterator[str]]:
    with _open(file) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{file}, line {number}, is not JSON: {error}") from None
            text = record.get(field) if isinstance(record, dict) else None
            if not isinstance(text, str):
                raise ValueError(
                    f"{file}, line {number}, has no text in the field {field!r}: say with --field "
                    f"which one has it{_choice(record)}"
                )
            yield _parts(text)


def _rows(file: Path, field: str) -> Iterator[Iterator[str]]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise RuntimeError(
            f"{file}: to read Parquet, install what does it: pip install 'minigpt-numpy[parquet]'"
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
                            f"{file}: column {field!r} holds {text!r}, which is no text"
                        )
                    yield _parts(text or "")
    except ArrowException as error:
        raise ValueError(f"{file} is damaged, or no Parquet file: {error}") from None


def _choice(record: object) -> str:
    return f", of {', '.join(map(repr, record))}" if isinstance(record, dict) and record else ""


def _parts(text: str) -> Iterator[str]:
    return (text[start : start + PART] for start in range(0, len(text), PART))
