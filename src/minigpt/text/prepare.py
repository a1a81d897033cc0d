"""From files of any size to a folder of tokens: `prepare`.

A folder of tokens has

    train.bin, val.bin    token ids without a header, little-endian uint16 or uint32, as in nanoGPT
    tokenizer.json        the tokenizer that made them
    dataset.json          how many there are, and the files that they come from

The text is read three times as a stream: to measure its length, to train the tokenizer on all of
it but the validation part, and to encode it. If this is interrupted, the next call continues where
it stopped: see `minigpt.text.prepare_state`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from minigpt.core.functional import Array
from minigpt.support.files import check_can_be_made
from minigpt.support.lock import FolderLock
from minigpt.support.untrusted_files import is_special_file
from minigpt.support.wording import counted
from minigpt.text.documents import FIELD, STDIN
from minigpt.text.encoding import count_words, encode_pieces
from minigpt.text.prepare_state import PrepareState, begin, dtype_of, finish, open_token_file
from minigpt.text.source_text import PARTS, SourcePiece, SourceText
from minigpt.text.sources import check_field, find_files
from minigpt.text.special_names import count_special, special_note
from minigpt.text.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer
from minigpt.text.tokenizers.making import fewer_tokens_note, find_tokenizer
from minigpt.text.tokenizers.stream import last_border
from minigpt.text.undecodable import naming_undecodable, without_undecodable

PIECES_PER_SAVE = 16


class Track(Protocol):
    """Passes items through and shows the progress, as `minigpt.support.terminal.progress` does."""

    def __call__(  # noqa: D102
        self, what: str, total: int | None = None
    ) -> Callable[[Iterable[Any]], Iterable[Any]]: ...


def _silent(what: str, total: int | None = None) -> Callable[[Iterable[Any]], Iterable[Any]]:
    return iter


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
    """Write a folder of tokens from files, or continue where an earlier call was stopped.

    Parameters
    ----------
    names : files, folders and patterns: see `minigpt.text.sources`.
    folder : where the tokens are written.
    tokenizer : "bpe", "char" or "word", to train a new one; or a tokenizer.json, or its folder.
    vocab_size : the size of a new tokenizer; see `Tokenizer.train`.
    val_fraction : the fraction of the text, at its end, that is for validation.
    text_field : the field or column that holds the text, in JSON and Parquet; "text" if None.
    n_processes : the number of processes that share the work; 0 for one per core.
    progress : shows how far each of the three readings is.
    say : called with each message about what is being done, one line at a time.
    skip_undecodable : whether to leave out files that are not UTF-8; otherwise they are an error.
    allow_special : whether a special token's name in the text, such as ``<|endoftext|>``, becomes
        that token; otherwise it is ordinary text.

    Returns
    -------
    The content of dataset.json.

    Raises
    ------
    FileExistsError
        If the folder has finished tokens, or unfinished ones of other files or options.
    BlockingIOError
        If another process is preparing tokens in this folder.
    ValueError, FileNotFoundError
        If a file cannot be read, there is no text, or the tokenizer is unknown.
    """
    if not 0 < val_fraction < 1:
        raise ValueError(f"val_fraction must be between 0 and 1, got {val_fraction}")
    found = find_tokenizer(tokenizer, vocab_size)
    reader = found if isinstance(found, Tokenizer) else found()
    if allow_special:
        _check_special_names(reader)
    files = _find_rereadable_files(names, text_field)
    if skip_undecodable:
        files = without_undecodable(files, say)
    text = SourceText(files, text_field)
    order = _order(text, str(tokenizer), vocab_size, val_fraction, allow_special)
    check_can_be_made(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FolderLock(folder, stays=False, doing="prepared"):
        state = begin(folder, order)
        if state.done:
            say(f"continuing in {folder}: {state.done} of {state.n_pieces} pieces are done")
        if not state.n_pieces:
            names_in_text = _measure(text, state, reader, progress)
            if state.n_characters < 2:
                raise ValueError(f"there is no text in {' '.join(map(str, names))}")
            state.save(folder)
            if note := special_note(names_in_text, reader, allow_special):
                say(note)
        say(f"text: {counted(len(files), 'file')}, {counted(state.n_characters, 'character')}")

        val_start = state.n_characters - max(1, round(state.n_characters * val_fraction))
        n_pieces = state.n_pieces + 1  # one piece is cut where validation begins
        if not (folder / "tokenizer.json").exists():
            if tokenizer in TOKENIZERS:
                pieces = progress("counting words", n_pieces)(text.pieces(val_start))
                train_texts = (texts for part, texts in pieces if part == "train")
                words = count_words(reader, train_texts, n_processes, allow_special=allow_special)
                reader.learn(words, vocab_size, progress("learning tokens"))
                del words
            reader.save(folder)
        trained = load_tokenizer(folder)
        if vocab_size is not None and trained.vocab_size < vocab_size and tokenizer in TOKENIZERS:
            say(fewer_tokens_note(trained, vocab_size))
        say(f"tokens: {trained}")
        pieces_left = islice(text.pieces(val_start), state.done, None)
        show = progress("encoding", n_pieces - state.done)
        _encode(state, folder, trained, pieces_left, n_processes, show)
        return finish(folder, state, trained)


def _check_special_names(tokenizer: Tokenizer) -> None:
    """Raise a ValueError if a cut between words could go through the name of a special token."""
    if spaced := [name for name in tokenizer.special_names if last_border(name)]:
        raise ValueError(
            f"the name of the special token {spaced[0]!r} has white space, where a text may "
            "be cut: prepare it without --allow-special"
        )


def _find_rereadable_files(names: Sequence[str | Path], text_field: str | None) -> list[Path]:
    """Return the files that `names` stand for; raise a ValueError if one can be read only once."""
    if "plays" in map(str, names) and not Path("plays").exists():
        raise ValueError("the plays are built in and need no preparing: train --data plays")
    files = find_files(names)
    for file in files:
        if file is STDIN or is_special_file(file):
            raise ValueError(
                f"{'standard input' if file is STDIN else file} can be read only once, but the "
                "text is read three times: save it as a file first"
            )
    check_field(files, text_field)
    return files


def _order(
    text: SourceText,
    tokenizer: str,
    vocab_size: int | None,
    val_fraction: float,
    allow_special: bool,
) -> dict[str, Any]:
    """Return all that the tokens depend on, so that another call can be compared with it."""
    from minigpt import __version__

    return {
        "sources": [
            {"path": str(f), "bytes": f.stat().st_size, "changed": f.stat().st_mtime_ns}
            for f in text.files
        ],
        "tokenizer": tokenizer,
        "vocab_size": vocab_size,
        "val_fraction": val_fraction,
        "field": text.field or FIELD,
        "allow_special": allow_special,
        "version": __version__,
    }


def _measure(
    text: SourceText, state: PrepareState, tokenizer: Tokenizer, progress: Track
) -> Counter[str]:
    """Read the text once to count its pieces and characters; return its names of special tokens."""
    names: Counter[str] = Counter()
    show = progress(f"reading {counted(len(text.files), 'file')}")
    with naming_undecodable(text.files):
        for _, texts in show(text.pieces()):
            state.n_pieces += 1
            state.n_characters += sum(map(len, texts))
            for each in texts:
                names += count_special(each, tokenizer)
    return names


def _encode(
    state: PrepareState,
    folder: Path,
    tokenizer: Tokenizer,
    pieces: Iterable[SourcePiece],
    n_processes: int,
    show: Callable[[Iterable[Array]], Iterable[Array]],
) -> None:
    """Append the tokens of `pieces` to the token files."""
    dtype = dtype_of(tokenizer.vocab_size)
    allow = state.order["allow_special"]
    in_progress: deque[SourcePiece] = deque()

    def texts() -> Iterator[list[str]]:
        for piece in pieces:
            in_progress.append(piece)
            yield piece.texts

    with ExitStack() as stack:
        files = {
            part: stack.enter_context(
                open_token_file(folder, part, state.tokens[part] * dtype.itemsize)
            )
            for part in PARTS
        }
        arrays = encode_pieces(tokenizer, texts(), n_processes, allow_special=allow)
        stack.enter_context(closing(arrays))
        for ids in show(arrays):
            part, done = in_progress.popleft()
            files[part].write(ids.astype(dtype).tobytes())
            if allow:
                done = [ordinary for each in done for ordinary in tokenizer.without_special(each)]
            state.add(part, len(ids), done, tokenizer)
            if state.done % PIECES_PER_SAVE == 0:
                state.save(folder, files.values())
        state.save(folder, files.values())
