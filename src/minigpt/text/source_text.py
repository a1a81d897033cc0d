"""The text of many files as a stream of pieces, first for training, then for validation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from minigpt.support.brief import brief
from minigpt.text.documents import documents
from minigpt.text.tokenizers.stream import PIECE_CHARS, cut_between_words, last_border

PARTS = ("train", "val")


class SourcePiece(NamedTuple):
    """A piece of text: the part that it belongs to, and its texts, between which documents end."""

    part: str
    texts: list[str]

    def __repr__(self) -> str:
        return brief(self)


@dataclass(frozen=True)
class SourceText:
    """All documents in `files`; `field` holds the text in JSON and Parquet."""

    files: Sequence[Path]
    field: str | None = None

    __repr__ = brief

    def pieces(self, val_start: int | None = None) -> Iterator[SourcePiece]:
        """Yield pieces of about `PIECE_CHARS` characters.

        Parameters
        ----------
        val_start : the number of characters before the validation part, which begins at the last
            border between words up to there. None if all of the text is for training.
        """
        part, texts = "train", [""]
        size = position = 0
        for document in itertools.chain.from_iterable(documents(f, self.field) for f in self.files):
            is_empty = True
            for text in cut_between_words(document):
                is_empty = False
                if part == "train" and val_start is not None and position + len(text) > val_start:
                    n_left = val_start - position
                    cut = last_border(text[: n_left + 1]) or n_left
                    texts[-1] += text[:cut]
                    yield SourcePiece(part, texts)
                    part, texts, size = "val", [text[cut:]], len(text) - cut
                else:
                    texts[-1] += text
                    size += len(text)
                position += len(text)
                if size >= PIECE_CHARS:
                    yield SourcePiece(part, texts)
                    texts, size = [""], 0
            if not is_empty:
                texts.append("")
        if texts != [""]:
            yield SourcePiece(part, texts)
