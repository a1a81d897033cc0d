"""Find or train a tokenizer by its name: a kind to be trained on a text, or a saved tokenizer."""

from collections.abc import Callable
from pathlib import Path

from minigpt.core.checks import unknown
from minigpt.support.hub import find_tokenizer_of
from minigpt.support.untrusted_files import read_json
from minigpt.text.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer


def find_tokenizer(name: str, vocab_size: int | None = None) -> Tokenizer | type[Tokenizer]:
    """Return the tokenizer called `name`, or the class to be trained if `name` is a kind.

    A kind is "bpe", "char" or "word". A saved tokenizer is a tokenizer.json, a folder that has this
    file, or a published model that `minigpt.support.hub` can download.

    Raises
    ------
    FileNotFoundError
        If the tokenizer cannot be downloaded.
    ValueError
        If nothing has this name, if `vocab_size` is too small for this kind, or if it is not the
        size of the saved tokenizer.
    """
    if name in TOKENIZERS:
        if vocab_size is not None:
            TOKENIZERS[name]().check_vocab_size(vocab_size)
        return TOKENIZERS[name]
    found = Path(name) if Path(name).exists() else find_tokenizer_of(name)
    if found is None:
        raise ValueError(
            f"{unknown('tokenizer', name, TOKENIZERS)}; or name a tokenizer.json, its folder, or "
            "a published model: gpt2"
        )
    config = found / "config.json"  # of a model, which limits the ids that are possible
    n_rows = read_json(config).get("vocab_size") if config.is_file() else None
    tokenizer = load_tokenizer(found, n_rows if isinstance(n_rows, int) else None)
    check_vocab_size(tokenizer, vocab_size, name)
    return tokenizer


def check_vocab_size(tokenizer: Tokenizer, vocab_size: int | None, where: str | Path) -> None:
    """Raise a ValueError if `vocab_size` is given, but is not the size of the tokenizer."""
    if vocab_size not in (None, tokenizer.vocab_size):
        raise ValueError(
            f"vocab_size is {vocab_size}, but the tokenizer of {where} has "
            f"{tokenizer.vocab_size:,} tokens: leave out vocab_size"
        )


def make_tokenizer(
    name: str,
    text: str,
    vocab_size: int | None = None,
    say: Callable[[str], None] = lambda text: None,
    *,
    allow_special: bool = False,
) -> Tokenizer:
    """Train a tokenizer, "bpe", "char" or "word", on `text`; or return the saved one of this name.

    For saved tokenizers, see `find_tokenizer`.
    """
    found = find_tokenizer(name, vocab_size)
    if isinstance(found, Tokenizer):
        return found
    tokenizer = found().train(text, vocab_size, allow_special=allow_special)
    if vocab_size is not None and tokenizer.vocab_size < vocab_size:
        say(fewer_tokens_note(tokenizer, vocab_size))
    return tokenizer


def fewer_tokens_note(tokenizer: Tokenizer, vocab_size: int) -> str:
    """Return the message that a text yields fewer tokens than `vocab_size`."""
    return (
        f"the text yields only {tokenizer.vocab_size:,} tokens, fewer than the {vocab_size:,} "
        "asked for"
    )
