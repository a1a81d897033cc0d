"""Find the files that a name stands for: a file, a folder, a pattern, or a built-in text."""

from __future__ import annotations

import glob
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from minigpt.core.checks import unknown
from minigpt.text.documents import FIELD_SUFFIXES, LINES_SUFFIXES, STDIN, TEXT_SUFFIXES, documents
from minigpt.text.undecodable import naming_undecodable, without_undecodable

FOLDER_SUFFIXES = (*TEXT_SUFFIXES, *LINES_SUFFIXES, ".parquet")
"""Files that are read from a folder. A file that is named itself may have any other suffix."""

BUILT_IN = ("plays", "shakespeare")


def read_texts(
    names: Sequence[str],
    field: str | None = None,
    skip_undecodable: bool = False,
    say: Callable[[str], object] = warnings.warn,
) -> list[str]:
    """Return all documents in the files that `names` stand for, without the empty ones.

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
    """Return the files that `names` stand for, in this order.

    A name may be a file; a folder or a pattern such as "*.txt", whose files are sorted by name;
    "-", which is standard input; or "shakespeare", which is the text that `minigpt fetch`
    downloads, unless a file has this name. In a folder, files and folders whose names begin with a
    dot are left out.

    Raises
    ------
    FileNotFoundError
        If a name stands for no file.
    """
    return [file for name in map(str, names) for file in _files_of(name)]


def _files_of(name: str) -> list[Path]:
    path = Path(name)
    if name == "-":
        return [STDIN]
    if path.is_dir():
        ours = (file for file in path.rglob("*") if file.name.lower().endswith(FOLDER_SUFFIXES))
        found = [file for file in ours if not _is_hidden(file.relative_to(path))]
        missing = f"the folder {name} has no files ending in {', '.join(FOLDER_SUFFIXES)}"
    elif path.exists():
        return [path]
    elif name == "shakespeare":
        return [_shakespeare()]
    else:
        found = [Path(match) for match in glob.glob(name, recursive=True)]  # noqa: PTH207 - may be absolute
        missing = _no_such_file(name)
    found = sorted(file for file in found if file.is_file())  # not a pipe
    if not found:
        raise FileNotFoundError(missing)
    return found


def _no_such_file(name: str) -> str:
    """Return what to say if no file has the name or pattern `name`."""
    if glob.has_magic(name):
        return f"there is no file with a name like {name!r}"
    if name in BUILT_IN:
        return f"the built-in {name} cannot be combined with other texts: name it alone"
    message = f"there is no file {name!r}"
    if Path(name).name == name and not Path(name).suffix:
        message += f"; {unknown('built-in text', name, BUILT_IN)}"
    return message


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
    """Return a short name for a text, or for a run that trains on it."""
    path = Path(source)
    if glob.has_magic(str(source)) and not path.exists():
        plain = [part for part in path.parts if not glob.has_magic(part)]
        path = Path(*plain[-1:])
    name = path.with_suffix("").name if path.suffix.lower() == ".gz" else path.name
    return Path(name).stem.strip(".-") or "text"


def check_field(files: Sequence[Path], field: str | None) -> None:
    """Raise a ValueError if a `field` is given, but none of the files has fields."""
    has_fields = any(file.name.lower().endswith(FIELD_SUFFIXES) for file in files)
    if field is not None and not has_fields:
        raise ValueError(
            f"{', '.join(map(str, files[:3]))} is read as plain text, which has no field {field!r} "
            "(only .jsonl, .json and .parquet files have fields): leave out --field"
        )
