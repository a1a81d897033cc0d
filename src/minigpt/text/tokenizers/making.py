"""A tokenizer by its name: a kind that is trained on a text, or a file that has one."""

from collections.abc import Callable
from pathlib import Path

from minigpt.core.checks import unknown
from minigpt.support.hub import find_tokenizer_of
from minigpt.support.untrusted_files import read_json
from minigpt.text.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer


def find_tokenizer(name: str, vocab_size: int | None = None) -> Tokenizer | type[Tokenizer]:
    """Return the class of tokenizers called `name`, to be trained, or the tokenizer of that name.

    The latter is a tokenizer.json, a folder with one, or a model that `minigpt.support.hub` knows.

    Raises
    ------
    FileNotFoundError
        If it cannot be downloaded.
    ValueError
        If there is neither, or it cannot have `vocab_size` tokens: a class no so few, and a
        tokenizer that is there only those that it has.
    """
    if name in TOKENIZERS:
        if vocab_size is not None:
            TOKENIZERS[name]().check_vocab_size(vocab_size)
        return TOKENIZERS[name]
    found = Path(name) if Path(name).exists() else find_tokenizer_of(name)
    if found is None:
        raise ValueError(
            f"{unknown('tokenizer', name, TOKENIZERS)}; or give a tokenizer.json, the folder of "
            "one, or a published model: gpt2"
        )
    config = found / "config.json"  # of its model, whose rows are the ids there can be
    n_rows = read_json(config).get("vocab_size") if config.is_file() else None
    tokenizer = load_tokenizer(found, n_rows if isinstance(n_rows, int) else None)
    check_vocab_size(tokenizer, vocab_size, name)
    return tokenizer


def check_vocab_size(tokenizer: Tokenizer, vocab_size: int | None, where: str | Path) -> None:
    """Raise if another `vocab_size` is asked for than the tokenizer `where` has."""
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
    """Train a tokenizer, "bpe", "char" or "word", on `text`.

    Any other name is that of a tokenizer taken as it is: see `find_tokenizer`.
    """
    found = find_tokenizer(name, vocab_size)
    if isinstance(found, Tokenizer):
        return found
    tokenizer = found().train(text, vocab_size, allow_special=allow_special)
    if vocab_size is not None and tokenizer.vocab_size < vocab_size:
        say(fewer_tokens_note(tokenizer, vocab_size))
    return tokenizer


def fewer_tokens_note(tokenizer: Tokenizer, vocab_size: int) -> str:
    """Say that a text gave fewer tokens than were asked for."""
    return (
        f"the text gives {tokenizer.vocab_size:,} tokens, fewer than the {vocab_size:,} asked for: "
        "the vocabulary has so many"
    )
