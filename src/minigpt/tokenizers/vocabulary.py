"""What training a tokenizer yields."""

from dataclasses import dataclass, field
from typing import Literal

from minigpt.brief import brief

UNKNOWN = "<unk>"
END_OF_TEXT = "<|endoftext|>"

Kind = Literal["bpe", "word", "char"]


@dataclass(frozen=True)
class Vocabulary:
    """All that a trained tokenizer knows, and so all that a file must hold.

    Attributes
    ----------
    kind : {"bpe", "word", "char"}
        How text is cut into tokens.
    tokens : list of bytes
        What each id stands for, as UTF-8: token number `id` is ``tokens[id]``.
    special_tokens : dict of str to int
        The ids of tokens that ordinary text never produces, such as ``<|endoftext|>``.
    merges : list of (int, int)
        The pairs of ids that byte-pair encoding joins, first learned first; else empty.
    """

    kind: Kind
    tokens: list[bytes]
    special_tokens: dict[str, int]
    merges: list[tuple[int, int]] = field(default_factory=list)

    __repr__ = brief

    @property
    def holes(self) -> list[int]:
        """The ids below the largest one that no token has: they stand for no bytes."""
        return [i for i, token in enumerate(self.tokens) if not token]
