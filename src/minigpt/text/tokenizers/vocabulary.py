"""The result of training a tokenizer."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from minigpt.support.brief import brief

UNKNOWN = "<unk>"
END_OF_TEXT = "<|endoftext|>"

Kind = Literal["bpe", "word", "char"]


@dataclass(frozen=True)
class Vocabulary:
    """All that a trained tokenizer knows, and therefore all that its file must contain.

    Attributes
    ----------
    kind : {"bpe", "word", "char"}
        How text is cut into tokens.
    tokens : list of bytes
        The UTF-8 bytes of each token: id `i` stands for ``tokens[i]``.
    special_tokens : dict of str to int
        Name → id of tokens that ordinary text never becomes, such as ``<|endoftext|>``.
    merges : list of (int, int)
        The pairs of ids that byte-pair encoding joins, in the order in which they were learned.
        Empty for the other kinds.
    added_tokens : dict of str to int
        Name → id of tokens whose names are found in any text, before it is cut into words.
    normalized : frozenset of str
        Names of special and added tokens that are searched for only after the others, in the text
        between them.
    roles : dict of str to str
        Role → name of special tokens, such as "eos_token" → "</s>". Empty if the roles are the
        usual ones: see `usual_roles`.
    """

    kind: Kind
    tokens: list[bytes]
    special_tokens: dict[str, int]
    merges: list[tuple[int, int]] = field(default_factory=list)
    added_tokens: dict[str, int] = field(default_factory=dict)
    normalized: frozenset[str] = frozenset()
    roles: dict[str, str] = field(default_factory=dict, compare=False)

    __repr__ = brief

    @property
    def holes(self) -> list[int]:
        """The unused ids below the largest id; they stand for no bytes."""
        return [i for i, token in enumerate(self.tokens) if not token]


def usual_roles(special_tokens: Iterable[str]) -> dict[str, str]:
    """Return role → name of the special tokens that there are, if no file states their roles."""
    ends = dict.fromkeys(("bos_token", "eos_token", "pad_token"), END_OF_TEXT)
    roles = {"unk_token": UNKNOWN} | ends
    return {role: token for role, token in roles.items() if token in special_tokens}
