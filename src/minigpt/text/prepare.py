"""From files of any size to token files: `prepare`.

A folder of tokens has

    train.bin, val.bin    bare token ids, little-endian, uint16 or uint32: nanoGPT's layout
    tokenizer.json        what made them
    dataset.json          how many there are, and from what

The text is read as a stream, three times: to learn how long it is, to train the tokenizer on all
but the validation part, and to encode it. While that goes on, `preparing.json` says how far it is
and the token files are called .part: what is written down as done is safely on the disk, and
preparing goes on after it when it is started again.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from minigpt.support.files import check_can_be_made, write_json
from minigpt.support.lock import FolderLock
from minigpt.support.untrusted_files import is_special_file, open_to_change, read_json
from minigpt.support.wording import counted
from minigpt.text.encoding import count_words, encode_pieces
from minigpt.text.prepared import LONGEST_DATASET_JSON
from minigpt.text.sources import (
    FIELD,
    STDIN,
    check_field,
    documents,
    find_files,
    naming_undecodable,
    without_undecodable,
)
from minigpt.text.special_names import count_names, note_of
from minigpt.text.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer
from minigpt.text.tokenizers.making import fewer_tokens, find_tokenizer, make_tokenizer
from minigpt.text.tokenizers.stream import PIECE, cut_between_words, last_border

PARTS = ("train", "val")
SAVE_EVERY = 16  # pieces, of half a megabyte each

Piece = tuple[str, list[str]]
"""Which part it belongs to, and its texts, between which documents end."""


class Track(Protocol):
    """Passes items on and shows how far it is, as `minigpt.support.terminal.progress`."""

    def __call__(  # noqa: D102
        self, what: str, total: int | None = None
    ) -> Callable[[Iterable[Any]], Iterable[Any]]: ...


def _silent(what: str, total: int | None = None) -> Callable[[Iterable[Any]], Iterable[Any]]:
    return iter


@dataclass
class Progress:
    """How far preparing is, as `preparing.json` has it.

    `order` is what was asked for, `n_characters` and `n_pieces` the length of the text, `done` the
    pieces that are encoded, `tokens` and `characters` what they gave for each part, and `val` what
    else measures the validation part: words, bytes, and what its unknown pieces cost to spell.
    """

    order: dict[str, Any]
    n_characters: int = 0
    n_pieces: int = 0
    done: int = 0
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    characters: dict[str, int] = field(default_factory=lambda: dict.fromkeys(PARTS, 0))
    val: dict[str, float] = field(default_factory=lambda: {"words": 0, "bytes": 0, "spelling": 0.0})


def prepare(
    names: Sequence[str | Path],
    folder: Path,
    tokenizer: str = "bpe",
    vocab_size: int | None = None,
    val_fraction: float = 0.1,
    text_field: str | None = None,
    n_processes: int = 0,
    progress: Track = _silent,
    say: Callable[[str], None] = lambda text: None,
    skip_undecodable: bool = False,
    allow_special: bool = False,
) -> dict[str, Any]:
    """Write a folder of tokens from files, or go on where an earlier call was stopped.

    Parameters
    ----------
    names : files, folders and patterns: see `minigpt.text.sources`.
    folder : where the tokens go.
    tokenizer : "bpe", "char" or "word", to be trained; or a tokenizer.json, or its folder.
    vocab_size : of a tokenizer to be trained; see `Tokenizer.train`.
    val_fraction : how much of the text, its end, is for validation.
    text_field : the field or column that has the text, in JSON and Parquet; "text" if None.
    n_processes : how many to share the work among; 0 for one a core.
    progress : shows how far each of the three readings is.
    say : is told what is being done, a line at a time.
    skip_undecodable : whether to leave out files that are not UTF-8; else they are an error.
    allow_special : whether names of special tokens in the text, such as ``<|endoftext|>``, give
        these tokens; else they are letters.

    Returns
    -------
    What dataset.json has.

    Raises
    ------
    FileExistsError
        If the folder has tokens already, or a half of what is not the same.
    BlockingIOError
        If another process is preparing tokens in this folder.
    ValueError, FileNotFoundError
        If a file cannot be read, there is no text, or the tokenizer is not known.
    """
    from minigpt import __version__

    if not 0 < val_fraction < 1:
        raise ValueError(f"val_fraction must be between 0 and 1, got {val_fraction}")
    given = find_tokenizer(tokenizer, vocab_size)
    reader = given if isinstance(given, Tokenizer) else given()
    if allow_special and (spaced := [name for name in reader.special_names if last_border(name)]):
        raise ValueError(
            f"the name of the special token {spaced[0]!r} has white space, where a text may "
            "be cut: prepare it without --allow-special"
        )
    files = _find_files(names, text_field)
    if skip_undecodable:
        files = without_undecodable(files, say)
    order = {
        "sources": [
            {"path": str(f), "bytes": f.stat().st_size, "changed": f.stat().st_mtime_ns}
            for f in files
        ],
        "tokenizer": str(tokenizer),
        "vocab_size": vocab_size,
        "val_fraction": val_fraction,
        "field": text_field or FIELD,
        "allow_special": allow_special,
        "version": __version__,
    }
    check_can_be_made(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FolderLock(folder, stays=False, doing="prepared"):
        state = _begin(folder, order)
        if state.done:
            say(f"going on in {folder}: {state.done} of {state.n_pieces} pieces are done")
        if not state.n_pieces:
            names_in_text: Counter[str] = Counter()
            with naming_undecodable(files):
                for _, texts in progress(f"reading {counted(len(files), 'file')}")(
                    _pieces(files, text_field, None)
                ):
                    state.n_pieces += 1
                    state.n_characters += sum(map(len, texts))
                    for text in texts:
                        names_in_text += count_names(text, reader)
            if state.n_characters < 2:
                raise ValueError(f"there is no text in {' '.join(map(str, names))}")
            write_json(folder / "preparing.json", vars(state))
            if note := note_of(names_in_text, reader, allow_special):
                say(note)
        say(f"text: {counted(len(files), 'file')}, {counted(state.n_characters, 'character')}")
        cut = state.n_characters - max(1, round(state.n_characters * val_fraction))
        n_pieces = state.n_pieces + 1  # as one is cut in two

        trained = folder / "tokenizer.json"
        if not trained.exists():
            if tokenizer in TOKENIZERS:
                pieces = progress("counting words", n_pieces)(_pieces(files, text_field, cut))
                texts_to_learn = (texts for part, texts in pieces if part == "train")
                learner = TOKENIZERS[tokenizer]()
                words = count_words(
                    learner, texts_to_learn, n_processes, allow_special=allow_special
                )
                learner.learn(words, vocab_size, progress("learning tokens")).save(folder)
                del words
            else:
                make_tokenizer(tokenizer, "").save(folder)
        found = load_tokenizer(folder)
        if vocab_size is not None and found.vocab_size < vocab_size and tokenizer in TOKENIZERS:
            say(fewer_tokens(found, vocab_size))
        say(f"tokens: {found}")
        _encode(state, folder, found, files, text_field, cut, n_processes, progress)
        return _finish(state, folder, found)


def _find_files(names: Sequence[str | Path], text_field: str | None) -> list[Path]:
    """Return the files that `names` stand for, as `find_files` does, but for what is read once."""
    if "plays" in map(str, names) and not Path("plays").exists():
        raise ValueError("the plays are built in, and need no preparing: train --data plays")
    files = find_files(names)
    for file in files:
        if file is STDIN or is_special_file(file):
            raise ValueError(
                f"{'standard input' if file is STDIN else file} can be read once only, but the "
                "text is read three times: save it as a file first"
            )
    check_field(files, text_field)
    return files


def _pieces(files: Sequence[Path], text_field: str | None, cut: int | None) -> Iterator[Piece]:
    """Read files in pieces of about `PIECE` characters; at the `cut`th one validation begins."""
    part, texts = "train", [""]
    size = position = 0
    for document in itertools.chain.from_iterable(documents(f, text_field) for f in files):
        is_empty = True
        for text in cut_between_words(document):
            is_empty = False
            if part == "train" and cut is not None and position + len(text) > cut:
                place = last_border(text[: cut - position + 1]) or cut - position
                texts[-1] += text[:place]
                yield part, texts
                part, texts, size = "val", [text[place:]], len(text) - place
            else:
                texts[-1] += text
                size += len(text)
            position += len(text)
            if size >= PIECE:
                yield part, texts
                texts, size = [""], 0
        if not is_empty:
            texts.append("")
    if texts != [""]:
        yield part, texts


def _begin(folder: Path, order: dict[str, Any]) -> Progress:
    """Return how far an earlier call for the same came."""
    path = folder / "preparing.json"
    if path.exists():
        try:
            state = Progress(**read_json(path, LONGEST_DATASET_JSON))
            _check_progress(state)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path} is damaged ({error}): delete {folder}, and begin") from None
        differing = [name for name in order if state.order.get(name) != order[name]]
        if not differing:
            return state
        if state.done:
            raise FileExistsError(
                f"{folder} holds a half of something else ({', '.join(differing)} differ): give "
                "the same command with the same files to go on, or another folder"
            )
        (folder / "tokenizer.json").unlink(missing_ok=True)  # nothing else is lost
        path.unlink()
    made = (*(f"{part}.bin" for part in PARTS), "tokenizer.json")
    taken = [name for name in made if (folder / name).exists()]
    if taken:
        raise FileExistsError(f"{folder} has {taken[0]} already: choose another folder")
    state = Progress(order)
    write_json(path, vars(state))
    return state


def _check_progress(state: Progress) -> None:
    """Raise ValueError unless what was read of preparing.json is how far preparing can be."""
    like = Progress({})
    for name, usual in vars(like).items():
        value = getattr(state, name)
        numbers = [value]
        if isinstance(usual, dict):
            if not isinstance(value, dict) or not usual.keys() <= value.keys():
                raise ValueError(f"{name} must be an object with {', '.join(usual)}")
            numbers = [value[key] for key in usual]
        kinds = (int, float) if name == "val" else (int,)
        if not all(type(number) in kinds and 0 <= number < 2**63 for number in numbers):
            raise ValueError(f"{name} must be numbers of 0 or more, got {value!r:.100}")


def _encode(
    state: Progress,
    folder: Path,
    tokenizer: Tokenizer,
    files: Sequence[Path],
    text_field: str | None,
    cut: int,
    n_processes: int,
    progress: Track,
) -> None:
    """Write the tokens of all pieces that are not done."""
    dtype = dtype_of(tokenizer.vocab_size)
    parts_in_flight: list[Piece] = []

    def texts() -> Iterator[list[str]]:
        for piece in itertools.islice(_pieces(files, text_field, cut), state.done, None):
            parts_in_flight.append(piece)
            yield piece[1]

    with ExitStack() as stack:
        outs = {part: stack.enter_context(_open_part(state, folder, part, dtype)) for part in PARTS}
        allow = state.order["allow_special"]
        arrays = encode_pieces(tokenizer, texts(), n_processes, allow_special=allow)
        stack.enter_context(closing(arrays))
        n_left = state.n_pieces + 1 - state.done
        for ids in progress("encoding", n_left)(arrays):
            part, done = parts_in_flight.pop(0)
            outs[part].write(ids.astype(dtype).tobytes())
            state.tokens[part] += len(ids)
            if allow:
                done = [ordinary for text in done for ordinary in tokenizer.without_special(text)]
            state.characters[part] += sum(map(len, done))
            if part == "val":
                for text in done:
                    state.val["words"] += len(text.split())
                    state.val["bytes"] += len(text.encode("utf-8"))
                    state.val["spelling"] += tokenizer.spelling_nats(text)
            state.done += 1
            if state.done % SAVE_EVERY == 0:
                _save(state, folder, outs)
        _save(state, folder, outs)


def _open_part(state: Progress, folder: Path, part: str, dtype: np.dtype[Any]) -> IO[bytes]:
    """Open a token file where it was left, without what was not written down as done."""
    final, path = folder / f"{part}.bin", folder / f"{part}.bin.part"
    if final.exists():  # the last call was stopped while it gave the files their names
        final.replace(path)
    file, size = open_to_change(path, make=True), state.tokens[part] * dtype.itemsize
    if file.seek(0, os.SEEK_END) < size:
        file.close()
        raise ValueError(f"{path} is shorter than it was: delete {folder}, and begin again")
    file.seek(size)
    file.truncate()
    return file


def _save(state: Progress, folder: Path, outs: dict[str, IO[bytes]]) -> None:
    for file in outs.values():
        file.flush()
        os.fsync(file.fileno())
    write_json(folder / "preparing.json", vars(state))


def _finish(state: Progress, folder: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """Move the files to their names, and say what they are."""
    for part in PARTS:
        (folder / f"{part}.bin.part").replace(folder / f"{part}.bin")
    found = {
        "version": state.order["version"],
        "dtype": dtype_of(tokenizer.vocab_size).name,
        "vocab_size": tokenizer.vocab_size,
        **{f"{part}_tokens": state.tokens[part] for part in PARTS},
        **{f"{part}_characters": state.characters[part] for part in PARTS},
        **{f"val_{name}": amount for name, amount in state.val.items()},
        "sources": [source["path"] for source in state.order["sources"]],
    }
    write_json(folder / "dataset.json", found)
    (folder / "preparing.json").unlink()
    return found


def dtype_of(vocab_size: int) -> np.dtype[Any]:
    """Return the type of ids in a token file: the smaller of nanoGPT's and ours that fits."""
    return np.dtype("<u2" if vocab_size <= 2**16 else "<u4")
