"""From text to batches: load a text, encode it as token arrays, draw windows to train on."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.checks import check_has, check_numbers, check_sizes
from minigpt.core.checks_arrays import check_ids, check_tokens
from minigpt.core.functional import Array
from minigpt.support.brief import brief
from minigpt.support.displayed import as_html
from minigpt.support.wording import counted
from minigpt.text.special_names import count_special, special_note

if TYPE_CHECKING:
    from minigpt.text.tokenizers import Tokenizer

CHARS_PER_HASH_UPDATE = 2**20  # characters


def get_batch(
    data: Any,
    block_size: int,
    batch_size: int,
    rng: np.random.Generator | None = None,
    part: slice = slice(None),
) -> tuple[Array, Array]:
    """Draw `batch_size` windows that begin at random places in `data`.

    Parameters
    ----------
    data : integer (N,), token ids; more than `block_size` of them.
    block_size : length of a window in tokens (T).
    batch_size : number of windows (B).
    rng : random number generator; a new one if None.
    part : the windows of the batch to return; all by default. Processes that share a batch all
        draw the same windows, and each one returns only its part of them.

    Returns
    -------
    x : int64 (B, T), the windows.
    y : int64 (B, T), the same windows one token later: the tokens that the model should predict.
    """
    check_sizes(block_size=block_size, batch_size=batch_size)
    data = check_tokens(data)
    if len(data) <= block_size:
        raise ValueError(
            f"data has {counted(len(data), 'token')}, but a window of block_size = {block_size} "
            f"and the token after it need {block_size + 1}: use more text or a smaller block_size"
        )
    rng = np.random.default_rng() if rng is None else rng
    check_has("rng", rng, "integers", "a NumPy Generator")
    starts = rng.integers(0, len(data) - block_size, size=batch_size)[part]
    windows = data[starts[:, None] + np.arange(block_size + 1)].astype(np.int64)  # (B, T + 1)
    return windows[:, :-1], windows[:, 1:]


def token_array(ids: Sequence[int], vocab_size: int) -> Array:
    """Return token ids as an array (N,) of the smallest unsigned dtype that fits the vocabulary."""
    check_sizes(vocab_size=vocab_size)
    check_has("ids", ids, "__len__", "a list of token ids")
    array = check_ids(check_tokens(ids) if len(ids) else np.empty(0, int), vocab_size)
    return array.astype(np.min_scalar_type(vocab_size - 1))


def encode(
    text: str,
    tokenizer: Tokenizer,
    ends: Sequence[int] = (),
    *,
    allow_special: bool = False,
) -> Array:
    """Return the token ids of a text, unsigned integer (N,).

    The text is encoded piece by piece, so that only a few ids at a time are Python integers.

    Parameters
    ----------
    text : str
    tokenizer : a trained tokenizer.
    ends : places in `text`, in ascending order, where a document ends. The tokenizer's end of text
        is inserted there, if it has one.
    allow_special : whether a special token's name becomes that token: see `Tokenizer.encode`.
    """
    from minigpt.text.encoding import encode_pieces
    from minigpt.text.tokenizers.stream import last_border, pieces_of

    # A piece could end inside a name with white space. Then a document is encoded as one piece.
    has_spaced_names = allow_special and any(map(last_border, tokenizer.special_names))

    def pieces() -> Iterator[str | list[str]]:
        for start, end in pairwise((0, *ends, len(text))):
            if start > 0:
                yield ["", ""]  # a document ends between these two texts
            document = text[start:end]
            yield from [document] if has_spaced_names else pieces_of(document)

    arrays = encode_pieces(tokenizer, pieces(), allow_special=allow_special)
    return np.concatenate([token_array([], tokenizer.vocab_size), *arrays])


@dataclass(frozen=True)
class Corpus:
    """A text to learn from, and a text to be examined on.

    Attributes
    ----------
    name : a short name of the text.
    train, val : the training and the validation part.
    floor : the lowest possible loss on `val`, in bits per character; None if it is not known.
    ends : the places where one document ends and the next begins, counted in characters of
        ``train + val``.
    """

    name: str
    train: str
    val: str
    floor: float | None = None
    ends: tuple[int, ...] = ()

    __repr__ = brief
    _repr_html_ = as_html

    @property
    def train_ends(self) -> tuple[int, ...]:
        """The places in `train` where a document ends."""
        return tuple(end for end in self.ends if end <= len(self.train))

    @property
    def val_ends(self) -> tuple[int, ...]:
        """The places in `val` where a document ends."""
        return tuple(end - len(self.train) for end in self.ends if end > len(self.train))

    def checksum(self) -> str:
        """Return the SHA-256 of both parts and `ends`, each after a byte that UTF-8 never has."""
        found = hashlib.sha256()
        for text in (self.train, self.val):
            found.update(b"\xff")
            for start in range(0, len(text), CHARS_PER_HASH_UPDATE):
                found.update(text[start : start + CHARS_PER_HASH_UPDATE].encode("utf-8"))
        found.update(b"\xff" + repr(self.ends).encode())
        return found.hexdigest()

    def with_whole_names(self, tokenizer: Tokenizer) -> Corpus:
        """Return this corpus; a special token's name that the cut divides goes to `train` whole."""
        for name in tokenizer.special_names:
            for n in range(1, len(name)):
                if self.train.endswith(name[:n]) and self.val.startswith(name[n:]):
                    n_moved = len(name) - n
                    train, val = self.train + self.val[:n_moved], self.val[n_moved:]
                    return replace(self, train=train, val=val)
        return self


def split_text(text: str, val_fraction: float = 0.1) -> tuple[str, str]:
    """Return the training part of a text, and the validation part at its end."""
    if not isinstance(text, str):
        raise TypeError(f"text must be a str, got {text!r:.100}")
    check_numbers(val_fraction=val_fraction)
    if not 0 < val_fraction < 1:
        raise ValueError(f"val_fraction must be between 0 and 1, got {val_fraction}")
    cut = int(len(text) * (1 - val_fraction))
    return text[:cut], text[cut:]


def load_corpus(
    sources: Sequence[str | Path],
    field: str | None = None,
    skip_undecodable: bool = False,
    say: Callable[[str], object] = warnings.warn,
) -> Corpus:
    """Read the text that `sources` name; its last tenth is for validation.

    Parameters
    ----------
    sources : "plays" (built in), "shakespeare" (see `minigpt fetch`), "-" (standard input), or
        any number of files, folders and patterns: see `minigpt.text.sources`.
    field : the field of .jsonl and .json, or the column of .parquet, that holds the text; "text"
        if None.
    skip_undecodable : whether to leave out files that are not UTF-8; otherwise they are an error.
    say : called with a message about each file that is left out.

    Raises
    ------
    ValueError, FileNotFoundError
        If there is no such text, if it is empty, or if it cannot be decoded.
    """
    from minigpt.text.sources import check_field, name_of, read_texts

    if isinstance(sources, str | Path):
        raise TypeError(f"sources must be a list of names, not one: write [{str(sources)!r}]")
    check_has("sources", sources, "__iter__", "a list of names")
    names = [str(source) for source in sources]
    if names == ["plays"]:
        check_field([Path("plays")], field)
        from minigpt.text.corpus import plays

        built_in = plays()
        return Corpus("plays", built_in.train, built_in.val, built_in.floor)
    texts = read_texts(names, field, skip_undecodable, say)
    text = "".join(texts)
    if not text.strip():
        raise ValueError(f"there is no text in {' '.join(names)}: name a text to learn from")
    ends = tuple(accumulate(map(len, texts)))[:-1]
    return Corpus(name_of(names[0]), *split_text(text), ends=ends)


@dataclass(frozen=True)
class Dataset:
    """A corpus as token ids, with all that converts a loss per token to bits per character.

    Attributes
    ----------
    name : the name of the corpus.
    train, val : integer (N,), the token ids of both parts.
    val_characters : the length of the validation part in characters.
    floor : see `Corpus`.
    val_spelling : the cost in nats of spelling the unknown pieces of `val`: see
        `Tokenizer.spelling_nats`.
    tokenizer : the tokenizer that made the ids, if it is known.
    text_checksum : the checksum of the `Corpus`, if it is known.
    """

    name: str
    train: Array
    val: Array
    val_characters: int
    floor: float | None = None
    val_spelling: float = 0.0
    tokenizer: Tokenizer | None = None
    text_checksum: str | None = None

    __repr__ = brief
    _repr_html_ = as_html

    @classmethod
    def from_corpus(
        cls, corpus: Corpus, tokenizer: Tokenizer, allow_special: bool | None = None
    ) -> Dataset:
        """Return the dataset of a corpus whose two parts are encoded by `tokenizer`.

        Parameters
        ----------
        corpus : the text.
        tokenizer : a trained tokenizer.
        allow_special : whether a special token's name in the text, such as ``<|endoftext|>``,
            becomes that token; otherwise it is ordinary text. None means False, with a warning if
            the text has such names.
        """
        if allow_special is None:
            names = count_special(corpus.train, tokenizer) + count_special(corpus.val, tokenizer)
            if note := special_note(names, tokenizer, False, switch="allow_special=True"):
                warnings.warn(note, stacklevel=2)
        allow_special = bool(allow_special)
        if allow_special:
            corpus = corpus.with_whole_names(tokenizer)
        train = encode(corpus.train, tokenizer, corpus.train_ends, allow_special=allow_special)
        val = encode(corpus.val, tokenizer, corpus.val_ends, allow_special=allow_special)
        parts = tokenizer.without_special(corpus.val) if allow_special else [corpus.val]
        n_characters, spelling = sum(map(len, parts)), sum(map(tokenizer.spelling_nats, parts))
        if n_characters == 0:
            raise ValueError("the validation part of the text has only special tokens")
        about = corpus.floor, spelling, tokenizer, corpus.checksum()
        return cls(corpus.name, train, val, n_characters, *about)

    def bits_per_character(self, nats_per_token: float) -> float:
        """Return a loss on `val` in bits per character, which can be compared across tokenizers."""
        bits = nats_per_token * len(self.val) / self.val_characters / float(np.log(2))
        return bits + self.spelling_bits

    @property
    def spelling_bits(self) -> float:
        """The part of the bits per character that is the spelling of ``<unk>``."""
        return self.val_spelling / self.val_characters / float(np.log(2))
