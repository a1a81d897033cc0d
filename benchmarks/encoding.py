"""How a user of miniGPT encodes much text: on all cores, and from file to file in little memory.

Both cut the text where no token can cross: before white space that follows something else. The
tokens are those of the whole text at once.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from minigpt import BPETokenizer, token_array
from minigpt.functional import Array
from minigpt.tokenizers.vocabulary import Vocabulary

PIECE = 500_000  # characters

_tokenizer: BPETokenizer  # that of a worker process


def read(path: Path) -> Iterator[str]:
    """Read a file piece by piece."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from cut_between_words(iter(lambda: file.read(PIECE), ""))


def pieces_of(text: str, size: int = PIECE) -> list[str]:
    """Cut a text into pieces of about `size` characters."""
    parts = (text[start : start + size] for start in range(0, len(text), size))
    return list(cut_between_words(parts))


def cut_between_words(parts: Iterable[str]) -> Iterator[str]:
    """Move what is after the last border of words in a part to the next part."""
    rest = ""
    for part in parts:
        text = rest + part
        cut = len(text) - 1
        while cut > 0 and not (text[cut].isspace() and not text[cut - 1].isspace()):
            cut -= 1
        if cut > 0:
            yield text[:cut]
        rest = text[max(cut, 0) :]
    if rest:
        yield rest


def encode_file(tokenizer: BPETokenizer, path: Path, out: Path) -> int:
    """Encode a file to a file of ids; give the number of ids."""
    n_ids = 0
    with out.open("wb") as file:
        for piece in read(path):
            ids = token_array(tokenizer.encode(piece), tokenizer.vocab_size)
            file.write(ids.tobytes())
            n_ids += len(ids)
    return n_ids


def workers(vocabulary: Vocabulary, n: int) -> ProcessPoolExecutor:
    """Start processes that have a tokenizer each."""
    context = multiprocessing.get_context("spawn")  # as a fork copies locks that threads hold
    pool = ProcessPoolExecutor(n, context, initializer=_learn, initargs=(vocabulary,))
    list(pool.map(len, [""] * n))
    return pool


def encode_all(pool: ProcessPoolExecutor, pieces: list[str]) -> list[Array]:
    """Encode pieces of text on all cores."""
    return list(pool.map(_encode, pieces))


def _learn(vocabulary: Vocabulary) -> None:
    global _tokenizer
    _tokenizer = BPETokenizer.from_vocabulary(vocabulary)


def _encode(piece: str) -> Array:
    return token_array(_tokenizer.encode(piece), _tokenizer.vocab_size)
