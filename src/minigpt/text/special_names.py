"""Count names of special tokens in a text, and describe how they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from minigpt.support.wording import counted
from minigpt.text.tokenizers.vocabulary import END_OF_TEXT

if TYPE_CHECKING:
    from minigpt.text.tokenizers import Tokenizer


def count_special(text: str, tokenizer: Tokenizer) -> Counter[str]:
    """Return how often the name of each special token occurs in `text`.

    ``<|endoftext|>`` is counted even if the tokenizer has no such token: it is meant as one.
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
    """Return a sentence about the names that are read as ordinary text; None if there are none.

    Parameters
    ----------
    counts : name → number of times: see `count_special`.
    tokenizer : the tokenizer that encodes the text.
    allow_special : whether names that the tokenizer knows become these tokens.
    where : what to call the text.
    switch : the option that turns `allow_special` on.
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
    """Return a sentence for a text of several documents without end-of-text tokens between them."""
    return (
        f"the {tokenizer.kind} tokenizer has no end-of-text token: documents follow one another "
        "without a border"
    )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name!r:.100} {counted(n, 'time')}" for name, n in counts.items())
