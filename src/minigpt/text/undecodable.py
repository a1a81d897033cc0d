"""Find files that are not text in a known encoding: skip them, or name them all in one error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from minigpt.support.decoding import UndecodableError, open_text
from minigpt.support.wording import counted
from minigpt.text.documents import CHARS_PER_READ, STDIN


def without_undecodable(files: Sequence[Path], say: Callable[[str], object]) -> list[Path]:
    """Return the files that are text in a known encoding; report each of the others with `say`.

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
    """Read all files to their ends; return the error of each one that cannot be decoded."""
    found = {}
    for file in files:
        try:
            if file is not STDIN and not file.name.lower().endswith(".parquet"):
                with open_text(file) as text:
                    while text.read(CHARS_PER_READ):
                        pass
        except UndecodableError as error:
            found[file] = error
        except ValueError:  # damaged in another way, which is reported when the file is read
            pass
    return found


@contextmanager
def naming_undecodable(files: Sequence[Path]) -> Iterator[None]:
    """If one file cannot be decoded within the block, raise an error that names all such files."""
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
            "save them as UTF-8 first, or leave them out with skip_undecodable",
        ) from None
