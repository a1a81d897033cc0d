"""Documents out of files: plain text, JSON and Parquet, read as a stream.

A text file is one document. A line of a .jsonl file, an object in a .json file and a row of a
.parquet file are one each. Text and JSON may be compressed (.gz). Each document is given as an
iterator of parts, since it may be larger than the memory.
"""

from __future__ import annotations

import glob
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from minigpt.core.checks import unknown
from minigpt.support.decoding import UndecodableError, decode, open_text
from minigpt.support.untrusted_files import check_not_placeholder, open_to_read
from minigpt.support.wording import counted

CHARACTERS_READ_AT_ONCE = 2**17  # characters

TEXT_SUFFIXES = (".txt", ".txt.gz")
LINES_SUFFIXES = (".jsonl", ".jsonl.gz")
JSON_SUFFIXES = (".json", ".json.gz")
SUFFIXES = (*TEXT_SUFFIXES, *LINES_SUFFIXES, ".parquet")
"""What is taken of a folder; a file that is named may have any other name too, and is text."""

BUILT_IN = ("plays", "shakespeare")
FIELD = "text"
"""The field or column that has the text, if no other is named."""
STDIN = Path("-")
"""Stands for standard input, where it is this object; a file may have the same name."""


def read_texts(
    names: Sequence[str],
    field: str | None = None,
    skip_undecodable: bool = False,
    say: Callable[[str], object] = warnings.warn,
) -> list[str]:
    """Read all documents that `names` stand for, but for empty ones; "-" is standard input.

    See `minigpt.text.data.load_corpus` for the parameters.
    """
    files = find_files(names)
    check_field(files, field)
    if skip_undecodable:
        files = without_undecodable(files, say)
    with naming_undecodable(files):
        texts = ["".join(parts) for file in files for parts in documents(file, field)]
    return [text for text in texts if text]


def find_files(names: Sequence[str | Path]) -> list[Path]:
    """Return the files that names of files and folders, and patterns such as "*.txt", stand for.

    They come in the order of the names; those of one folder or pattern in the order of theirs.
    What is hidden in a folder, by a name that begins with a dot, is left out. "-" is standard
    input. "shakespeare" is the text that `minigpt fetch` brings, unless there is such a file.

    Raises
    ------
    FileNotFoundError
        If a name stands for nothing.
    """
    return [file for name in map(str, names) for file in _files_of(name)]


def _files_of(name: str) -> list[Path]:
    path = Path(name)
    if name == "-":
        return [STDIN]
    if path.is_dir():
        ours = (file for file in path.rglob("*") if file.name.lower().endswith(SUFFIXES))
        found = [file for file in ours if not _is_hidden(file.relative_to(path))]
        missing = f"the folder {name} has no files ending in {', '.join(SUFFIXES)}"
    elif path.exists():
        return [path]
    elif name == "shakespeare":
        return [_shakespeare()]
    else:
        found = [Path(match) for match in glob.glob(name, recursive=True)]  # noqa: PTH207 - absolute too
        missing = f"there is no file {name!r}"
        if path.name == name and not path.suffix:
            missing += f"; {unknown('built-in text', name, BUILT_IN)}"
        if glob.has_magic(name):
            missing = f"there is no file of a name like {name!r}"
        elif name in BUILT_IN:
            missing = f"the built-in {name} cannot be one of several texts: name it alone"
    found = sorted(file for file in found if file.is_file())  # no pipe
    if not found:
        raise FileNotFoundError(missing)
    return found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _shakespeare() -> Path:
    from minigpt.text.corpus.fetch import cached

    if (found := cached("shakespeare")) is None:
        raise FileNotFoundError(
            "shakespeare is not on this machine yet: run `minigpt fetch shakespeare`"
        )
    return found


def name_of(source: str | Path) -> str:
    """Return a short name for what `source` stands for, to call a text or a run by."""
    path = Path(source)
    if glob.has_magic(str(source)) and not path.exists():
        plain = [part for part in path.parts if not glob.has_magic(part)]
        path = Path(*plain[-1:])
    name = path.with_suffix("").name if path.suffix.lower() == ".gz" else path.name
    return Path(name).stem.strip(".-") or "text"


def check_field(files: Sequence[Path], field: str | None) -> None:
    """Raise if a `field` is given, but none of the files has fields."""
    fielded = (*LINES_SUFFIXES, *JSON_SUFFIXES, ".parquet")
    if field is not None and not any(file.name.lower().endswith(fielded) for file in files):
        raise ValueError(
            f"{', '.join(map(str, files[:3]))} is read as plain text, which has no field {field!r} "
            "(fields are read of .jsonl, .json and .parquet): leave out --field"
        )


def without_undecodable(files: Sequence[Path], say: Callable[[str], object]) -> list[Path]:
    """Return those files that are text in a known encoding; say which others there are.

    Raises
    ------
    ValueError
        If no file is left.
    """
    bad = undecodable(files)
    for error in bad.values():
        say(f"left out: {error.problem}")
    if len(bad) == len(files):
        raise ValueError(f"no file is left: {counted(len(bad), 'file')} cannot be decoded")
    return [file for file in files if file not in bad]


def undecodable(files: Sequence[Path]) -> dict[Path, UndecodableError]:
    """Read files to their ends, and return what is wrong with those that cannot be decoded."""
    found = {}
    for file in files:
        try:
            if file is not STDIN and not file.name.lower().endswith(".parquet"):
                with open_text(file) as text:
                    while text.read(CHARACTERS_READ_AT_ONCE):
                        pass
        except UndecodableError as error:
            found[file] = error
        except ValueError:  # it is damaged in another way, of which reading it will tell
            pass
    return found


@contextmanager
def naming_undecodable(files: Sequence[Path]) -> Iterator[None]:
    """If something within the block cannot be decoded, name all files of which this is true."""
    try:
        yield
    except UndecodableError:
        bad = undecodable(files) if len(files) > 1 else {}
        if not bad:
            raise
        shown = "; ".join(each.problem for each in list(bad.values())[:10])
        more = f"; and {len(bad) - 10} more" if len(bad) > 10 else ""
        raise UndecodableError(
            f"{counted(len(bad), 'file')} of {len(files):,} cannot be decoded: {shown}{more}",
            "save them as UTF-8 first, or leave them out by skip_undecodable",
        ) from None


def read_stdin() -> str:
    r"""Read all of standard input, decoded as a file is; line ends become "\n"."""
    if sys.stdin is None:
        raise ValueError("standard input is closed: there is no text to read from it")
    text = decode(sys.stdin.buffer.read(), "standard input")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def documents(file: Path, field: str | None = None) -> Iterator[Iterator[str]]:
    """Read the documents in a file, each as parts of its text; read one before asking for another.

    Parameters
    ----------
    file : how it is read depends on how its name ends.
    field : which field of a JSON object, or column of a Parquet file, has the text; "text" if None.

    Raises
    ------
    ValueError
        If the file is damaged, cannot be decoded, or lacks the field.
    """
    name, field = file.name.lower(), field or FIELD
    if file is not STDIN and file.is_file():
        with open_to_read(file) as raw:
            is_text = not name.endswith((*LINES_SUFFIXES, *JSON_SUFFIXES, ".gz", ".parquet"))
            check_not_placeholder(file, raw.read(64), may_be_page=is_text)
    if file is STDIN:
        yield iter([read_stdin()])
    elif name.endswith(".parquet"):
        yield from _rows(file, field)
    elif name.endswith(LINES_SUFFIXES):
        yield from _lines(file, field)
    elif name.endswith(JSON_SUFFIXES):
        yield from _objects(file, field)
    else:
        yield _whole(file)


def _whole(file: Path) -> Iterator[str]:
    with open_text(file) as text:
        while part := text.read(CHARACTERS_READ_AT_ONCE):
            yield part


def _lines(file: Path, field: str) -> Iterator[Iterator[str]]:
    with open_text(file) as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"{file}, line {number}, is not JSON: {error}") from None
            yield _parts(_text_of(record, field, f"{file}, line {number},"))


def _objects(file: Path, field: str) -> Iterator[Iterator[str]]:
    """Read a list of objects, or a single one; a .json with an object a line is JSON lines.

    The file is read whole: a large one is better written as .jsonl.
    """
    with open_text(file) as text:
        content = text.read()
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        if getattr(error, "msg", "") == "Extra data":  # after the first of several lines
            del content
            yield from _lines(file, field)
            return
        raise ValueError(f"{file} is not JSON: {error}") from None
    for number, record in enumerate(found if isinstance(found, list) else [found], 1):
        yield _parts(_text_of(record, field, f"{file}, object {number},"))


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


def _text_of(record: object, field: str, where: str) -> str:
    """Return the text in a field of a JSON object."""
    text = record.get(field) if isinstance(record, dict) else None
    if not isinstance(text, str):
        raise ValueError(
            f"{where} has no text in the field {field!r}: say with --field which one has it"
            f"{_choice(record)}"
        )
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where} has a lone surrogate, U+{ord(text[error.start]):04X}, in the field "
            f"{field!r} at position {error.start}: that is half of a character in UTF-16, and no "
            "character by itself. Remove it there, or write the file again from whole characters"
        ) from None
    return text


def _choice(record: object) -> str:
    return f", of {', '.join(map(repr, record))}" if isinstance(record, dict) and record else ""


def _parts(text: str) -> Iterator[str]:
    return (
        text[start : start + CHARACTERS_READ_AT_ONCE]
        for start in range(0, len(text), CHARACTERS_READ_AT_ONCE)
    )
