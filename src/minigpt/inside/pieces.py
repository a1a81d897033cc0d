"""The pieces of text behind ids, as they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from minigpt.text.token_roles import check_tokenizer

if TYPE_CHECKING:
    from minigpt.text.tokenizers import Tokenizer


def text_of(tokenizer: Tokenizer, ids: Iterable[int]) -> str:
    """Return the text of `ids`; an id without a token is written as [id 300]."""
    return b"".join(_content(tokenizer, i) for i in ids).decode("utf-8", "replace")


def pieces(tokenizer: Tokenizer, ids: Iterable[int]) -> list[str]:
    """Return the piece of text of each id; an incomplete character is written as its bytes."""
    shown = []
    for content in (_content(tokenizer, i) for i in ids):
        try:
            shown.append(content.decode("utf-8"))
        except UnicodeDecodeError:
            shown.append("".join(f"<{byte:02x}>" for byte in content))
    return shown


def _content(tokenizer: Tokenizer, i: int) -> bytes:
    known = 0 <= i < tokenizer.vocab_size
    return (tokenizer.token_bytes(i) if known else b"") or f"[id {i}]".encode()


def vocabulary_of(tokenizer: Tokenizer | None, size: int) -> Sequence[str]:
    """Return the piece of each id from 0 to `size` − 1; without a tokenizer, "#7" for the id 7."""
    if tokenizer is not None:
        check_tokenizer(tokenizer, size)
    return _Pieces(tokenizer, size)


def ids_without_text(vocabulary: Sequence[str]) -> list[int]:
    """Return the ids of `vocabulary` without a token: a model may have more rows than tokens."""
    if isinstance(vocabulary, _Pieces):
        known = vocabulary.tokenizer
        if known is None:
            return []
        return [*known.vocabulary.holes, *range(known.vocab_size, vocabulary.size)]
    return [i for i, piece in enumerate(vocabulary) if piece == f"[id {i}]"]


class _Pieces(Sequence[str]):
    """Pieces that are looked up on demand: most of a large vocabulary is never shown."""

    def __init__(self, tokenizer: Tokenizer | None, size: int) -> None:
        self.tokenizer, self.size = tokenizer, size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.size))]
        if not 0 <= index < self.size:
            raise IndexError(f"ids go from 0 to {self.size - 1}, got {index}")
        return f"#{index}" if self.tokenizer is None else pieces(self.tokenizer, [index])[0]

    def __len__(self) -> int:
        return self.size


def visible(piece: str) -> str:
    """Return a piece in one line: · for a space at its start or end, ⏎ for the end of a line."""
    inner = piece.strip(" ")
    start = len(piece) - len(piece.lstrip(" ")) if inner else len(piece)
    end = len(piece) - start - len(inner)
    shown = "·" * start + inner + "·" * end
    return "".join(_PICTURES.get(c) or (c if c.isprintable() else "�") for c in shown)


_PICTURES = {"\n": "⏎", "\t": "⇥", "\r": "␍", " ": " "}
