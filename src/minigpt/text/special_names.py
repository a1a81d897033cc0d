"""Names of special tokens in a text: how often they are there, and how to say what that means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from minigpt.support.wording import counted
from minigpt.text.tokenizers.vocabulary import END_OF_TEXT

if TYPE_CHECKING:
    from minigpt.text.tokenizers import Tokenizer


def count_special(text: str, tokenizer: Tokenizer) -> Counter[str]:
    """Return how often `text` has the name of each special token.

    ``<|endoftext|>`` is looked for even if the tokenizer has no such token: it is meant as one.
    """
    names = dict.fromkeys([*tokenizer.special_names, END_OF_TEXT])
    return Counter({name: n for name in names if (n := text.count(name))})


def special_note(
    counts: Mapping[str, int],
    tokenizer: Tokenizer,
    allow_special: bool,
    where: str = "the text",
    switch: str = "--allow-special",
) -> str | None:
    """Return a sentence about names that are read as letters; None if there are none.

    Parameters
    ----------
    counts : see `count_special`.
    tokenizer : what reads the text.
    allow_special : whether it reads the names that it knows as tokens.
    where : what has them.
    switch : how `allow_special` is switched on.
    """
    known = {name: n for name, n in counts.items() if name in tokenizer.special_names}
    unknown = {name: n for name, n in counts.items() if name not in known}
    notes = []
    if known and not allow_special:
        notes.append(
            f"{where} has {_listed(known)}: read as letters, not as a special token. If it is "
            f"meant as the token, add {switch}"
        )
    if unknown:
        notes.append(
            f"{where} has {_listed(unknown)}: read as letters, as the {tokenizer.kind} tokenizer "
            "has no such token"
        )
    return "; ".join(notes) or None


def no_end_of_text_note(tokenizer: Tokenizer) -> str:
    """Return a sentence about documents that follow one another without a border."""
    return (
        f"the {tokenizer.kind} tokenizer has no end-of-text token: documents follow one another "
        "without a border"
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name!r:.100} {counted(n, 'time')}" for name, n in counts.items())
