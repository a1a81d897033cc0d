"""Checks of what a tokenizer is given: texts, and counted words to learn from."""

import operator
from collections.abc import Mapping
from typing import SupportsIndex


def check_str(text: object, name: str = "text") -> None:
    """Raise an error about `name` unless `text` is a str that can be written as UTF-8."""
    if not isinstance(text, str):
        raise TypeError(f"{name} must be a str, not {type(text).__name__}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} holds a lone surrogate, U+{ord(text[error.start]):04X}, at position "
            f"{error.start}: this is half of a UTF-16 character, and not a character itself. "
            "Remove it, or read the text again with the right encoding"
        ) from None


def check_word_counts(word_counts: Mapping[str, int], vocab_size: SupportsIndex | None) -> None:
    """Raise an error unless there are words, and `vocab_size` is None or an integer."""
    try:
        operator.index(0 if vocab_size is None else vocab_size)
    except TypeError:
        raise TypeError(f"vocab_size must be an integer, not {vocab_size!r}") from None
    if not word_counts:
        raise ValueError("there is nothing to train on: the text is empty")
