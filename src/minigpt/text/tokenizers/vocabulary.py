"""What training a tokenizer yields."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from minigpt.support.brief import brief

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
    added_tokens : dict of str to int
        The ids of tokens that are found by name in any text, before it is cut into words.
    normalized : frozenset of str
        Special and added tokens that are looked for only in what the others have left.
    roles : dict of str to str
        What special tokens are for, where it is not as usual: "eos_token" → "</s>" and so on.
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
        """The ids below the largest one that no token has: they stand for no bytes."""
        return [i for i, token in enumerate(self.tokens) if not token]


def usual_roles(special_tokens: Iterable[str]) -> dict[str, str]:
    """Return what special tokens are for, where no file says it."""
    ends = dict.fromkeys(("bos_token", "eos_token", "pad_token"), END_OF_TEXT)
    roles = {"unk_token": UNKNOWN} | ends
    return {role: token for role, token in roles.items() if token in special_tokens}
