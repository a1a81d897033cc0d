"""The pieces of text that ids stand for, as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigpt.tokenizers import Tokenizer


def vocabulary_of(tokenizer: Tokenizer | None, size: int) -> Sequence[str]:
    """Give the piece of each id from 0 to `size` − 1; "#7" for an id 7 that no token has."""
    return _Pieces(tokenizer, size)


class _Pieces(Sequence[str]):
    """Pieces that are looked up when asked for: of a large vocabulary most never are."""

    def __init__(self, tokenizer: Tokenizer | None, size: int) -> None:
        self.tokenizer, self.size = tokenizer, size
        self.n_known = 0 if tokenizer is None else tokenizer.vocab_size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.size))]
        if not 0 <= index < self.size:
            raise IndexError(f"ids go from 0 to {self.size - 1}, got {index}")
        if self.tokenizer is None or index >= self.n_known:
            return f"#{index}"
        from minigpt.showdown import pieces

        return pieces(self.tokenizer, [index])[0]

    def __len__(self) -> int:
        return self.size


def visible(piece: str) -> str:
    """Show a piece in one line: · for a space at its start or end, ⏎ for a line's end."""
    inner = piece.strip(" ")
    start = len(piece) - len(piece.lstrip(" ")) if inner else len(piece)
    end = len(piece) - start - len(inner)
    shown = "·" * start + inner + "·" * end
    return "".join(_PICTURES.get(c) or (c if c.isprintable() else "�") for c in shown)


_PICTURES = {"\n": "⏎", "\t": "⇥", "\r": "␍", " ": " "}
