"""What a run starts from: its folder, tokenizer, tokens and model, as its settings say."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from minigpt.core.model import miniGPT
from minigpt.folders.pretrained import load_model_and_tokenizer
from minigpt.folders.weights import read_like
from minigpt.support.files import check_can_be_made
from minigpt.support.wording import counted, for_shell
from minigpt.text.data import Corpus, Dataset, load_corpus
from minigpt.text.prepared import (
    check_reading_options,
    first_text_note,
    open_dataset,
    prepared_folder,
    tokenizer_of,
)
from minigpt.text.special_names import count_special, no_end_of_text_note, special_note
from minigpt.text.token_roles import prompt_ids
from minigpt.text.tokenizers import Tokenizer
from minigpt.text.tokenizers.making import check_vocab_size, find_tokenizer, make_tokenizer
from minigpt.training.fitting import MIN_TEXT_CHARACTERS, describe_fit, fit, fit_vocabulary
from minigpt.training.freezing import freeze
from minigpt.training.optimizers import Optimizer, optimizer_of
from minigpt.training.settings import MODEL_SETTINGS, Settings

STATE = "training_state.safetensors"


def check_place(folder: Path) -> None:
    """Raise unless a run folder can be created at this path."""
    if folder.exists() and (not folder.is_dir() or is_used(folder)):
        raise FileExistsError(
            f"{folder} already exists: choose another folder, or resume that run with "
            f"--resume {for_shell(folder)}"
        )
    check_can_be_made(folder)


def find_data(
    settings: Settings,
    tokenizer: Tokenizer | None = None,
    say: Callable[[str], None] = lambda text: None,
    free: Collection[str] = (),
) -> tuple[Tokenizer, Dataset]:
    """Open the folder of tokens that `settings` name, or read their text and encode it.

    Parameters
    ----------
    settings : `settings.data` is a folder of tokens, or sources for `load_corpus`.
    tokenizer : the tokenizer of the model that will be trained; if None, one is found or trained.
    say : is called with each line of the report.
    free : names of settings; if it contains vocab_size, that is fitted to the text.

    Raises
    ------
    ValueError
        If the text is too short to learn from.
    """
    folder = prepared_folder(settings.data)
    if folder is not None:
        return _open_tokens(folder, settings, tokenizer, say)
    corpus = load_corpus(settings.data, settings.field, settings.skip_undecodable, say)
    documents = f"{len(corpus.ends) + 1:,} documents, " if corpus.ends else ""
    say(f"text: {corpus.name}, {documents}{len(corpus.train):,} + {len(corpus.val):,} characters")
    if (n := len(corpus.train) + len(corpus.val)) < MIN_TEXT_CHARACTERS:
        raise ValueError(
            f"the text has {counted(n, 'character')}: to learn from it, and to evaluate on its "
            f"last tenth, at least {MIN_TEXT_CHARACTERS} are needed"
        )
    allow = settings.allow_special
    if tokenizer is None and "vocab_size" in free:
        tokenizer = fit_tokenizer(corpus, allow)
    elif tokenizer is None:
        tokenizer = make_tokenizer(
            settings.tokenizer, corpus.train, settings.vocab_size, say, allow_special=allow
        )
    report_special_names(corpus, tokenizer, allow, say)
    return tokenizer, Dataset.from_corpus(corpus, tokenizer, allow)


def _open_tokens(
    folder: Path, settings: Settings, tokenizer: Tokenizer | None, say: Callable[[str], None]
) -> tuple[Tokenizer, Dataset]:
    """Open a folder of tokens with its tokenizer; see `find_data`."""
    check_reading_options(folder, settings.field, settings.skip_undecodable)
    is_default = settings.tokenizer == Settings().tokenizer
    tokenizer = tokenizer_of(folder, None if is_default else settings.tokenizer, tokenizer)
    check_vocab_size(tokenizer, settings.vocab_size, folder)
    dataset = open_dataset(folder, tokenizer)
    if note := first_text_note(folder, dataset, tokenizer):
        say(note)
    return tokenizer, dataset


def report_special_names(
    corpus: Corpus, tokenizer: Tokenizer, allow_special: bool, say: Callable[[str], None]
) -> None:
    """Report names of special tokens in a text, and documents whose ends cannot be marked."""
    names = count_special(corpus.train, tokenizer) + count_special(corpus.val, tokenizer)
    if note := special_note(names, tokenizer, allow_special):
        say(note)
    if corpus.ends and tokenizer.end_of_text is None:
        say(no_end_of_text_note(tokenizer))


def begin(
    settings: Settings, say: Callable[[str], None], free: Collection[str] = ()
) -> tuple[Settings, Tokenizer, Dataset, miniGPT]:
    """Return the settings, tokenizer, tokens and untrained model of a new run.

    Parameters
    ----------
    settings : how to train.
    say : is called with each line of the report.
    free : names of settings, of `FITTED`, to fit to the text.

    Returns
    -------
    The settings, completed with what the tokenizer, the model and the text determine; the
    tokenizer, the tokens, and the model.
    """
    is_prepared = prepared_folder(settings.data) is not None
    if settings.tokenizer != "bpe" or is_prepared:
        free = [name for name in free if name != "vocab_size"]  # determined by other settings
    model, tokenizer = None, None
    if settings.init_from is not None:
        model, tokenizer = load_model_and_tokenizer(settings.init_from)
        settings = settings.replace(settings_of(model, tokenizer))
        free = [name for name in free if name not in MODEL_SETTINGS]
        if "block_size" in free:
            settings = settings.replace({"block_size": min(settings.block_size, model.max_len)})
        prepare(model, settings)
    elif not is_prepared:
        found = find_tokenizer(settings.tokenizer, settings.vocab_size)
        tokenizer = found if isinstance(found, Tokenizer) else None
    tokenizer, dataset = find_data(settings, tokenizer, say, free)
    check_length("validation", len(dataset.val), 1)
    if free:
        settings = fit(settings, free, len(dataset.train))
    check_length("training", len(dataset.train), settings.block_size)
    if model is not None:
        settings = settings.replace({"block_size": min(settings.block_size, model.max_len)})
        prepare(model, settings)
    else:
        if is_prepared:
            settings = settings.replace({"tokenizer": tokenizer.kind})
        settings = settings.replace({"vocab_size": tokenizer.vocab_size})
        model = make_model(settings, tokenizer.vocab_size)
    _report(settings, tokenizer, dataset, model, say, free)
    return settings, tokenizer, dataset, model


def _report(
    settings: Settings,
    tokenizer: Tokenizer,
    dataset: Dataset,
    model: miniGPT,
    say: Callable[[str], None],
    free: Collection[str],
) -> None:
    """Report what a new run starts from; raise if its prompt does not suit the model."""
    if settings.sample_every:
        prompt, allow = settings.prompt, settings.allow_special
        prompt_ids(model, tokenizer, prompt, allow)
        if note := special_note(count_special(prompt, tokenizer), tokenizer, allow, "the prompt"):
            say(note)
    say(f"tokens: {tokenizer}, {len(dataset.train):,} + {len(dataset.val):,}")
    if free:
        say(describe_fit(settings, free, len(dataset.train)))
    n_params = sum(param.size for param in model.params().values())
    learning = f", {model.flat.params.size:,} of them learn" if settings.freeze else ""
    say(f"model: {n_params:,} parameters{learning}")


def fit_tokenizer(corpus: Corpus, allow_special: bool = False) -> Tokenizer:
    """Train byte-pair encoding with a vocabulary that suits the size of a text.

    A text that repeats itself may leave only a few long tokens for validation. Then each byte is
    a token.
    """
    size = fit_vocabulary(corpus.train)
    tokenizer = make_tokenizer("bpe", corpus.train, size, allow_special=allow_special)
    if len(tokenizer.encode(corpus.val)) < 16:
        size = fit_vocabulary("")
        return make_tokenizer("bpe", corpus.train, size, allow_special=allow_special)
    return tokenizer


def check_length(part: str, n_tokens: int, block_size: int) -> None:
    """Raise unless a part of the text is longer than a window of `block_size` tokens."""
    if n_tokens < 2:
        raise ValueError(
            f"the {part} part of the text has {counted(n_tokens, 'token')}, but at least 2 are "
            "needed: give more text"
        )
    if n_tokens <= block_size:
        raise ValueError(
            f"the {part} part of the text has {counted(n_tokens, 'token')}, too few for a window "
            f"of block_size={block_size} and the next token: choose block_size={n_tokens - 1} or "
            "less, or give more text"
        )


def make_model(settings: Settings, vocab_size: int) -> miniGPT:
    """Return an untrained model, as described by `settings`."""
    s = settings
    return miniGPT(
        vocab_size,
        max_len=s.block_size,
        d_model=s.d_model,
        n_heads=s.n_heads,
        n_layers=s.n_layers,
        d_ff=s.d_ff,
        activation=s.activation,
        bias=s.bias,
        tie_weights=s.tie_weights,
        dropout=s.dropout,
        seed=s.seed,
    )


def settings_of(model: miniGPT, tokenizer: Tokenizer) -> dict[str, Any]:
    """Return the settings that a model and its tokenizer determine."""
    return {
        "tokenizer": tokenizer.kind,
        "vocab_size": tokenizer.vocab_size,
        "n_layers": model.n_layers,
        "n_heads": model.n_heads,
        "d_model": model.d_model,
        "d_ff": model.d_ff,
        "activation": model.activation,
        "bias": model.bias,
        "tie_weights": model.tie_weights,
    }


def prepare(model: miniGPT, settings: Settings) -> None:
    """Prepare a loaded model for training: set its dropout, and freeze blocks."""
    if settings.block_size > model.max_len:
        raise ValueError(
            f"block_size {settings.block_size} is more than the context of the model, "
            f"{model.max_len} tokens: give --block-size {model.max_len} or less"
        )
    model.dropout.p = settings.dropout
    for block in model.blocks:
        attention = block.attention
        for dropout in (
            attention.attention_dropout,
            attention.residual_dropout,
            block.feed_forward.dropout,
        ):
            dropout.p = settings.dropout
    if settings.freeze:
        freeze(model, settings.freeze)


def open_checkpoint(folder: Path, settings: Settings) -> tuple[miniGPT, Tokenizer, Optimizer]:
    """Open the model, tokenizer and optimizer of a checkpoint, ready to train with `settings`."""
    model, tokenizer = load_model_and_tokenizer(folder)
    prepare(model, settings)
    optimizer = optimizer_of(settings, model)
    if optimizer.state:
        optimizer.state.update(read_like(folder / STATE, optimizer.state))
    return model, tokenizer, optimizer


def is_used(folder: Path) -> bool:
    """Return whether a folder holds more than a run leaves if it is killed while it starts."""
    left = {*folder.glob(".*.tmp"), folder / ".lock"}
    return any(path not in left for path in folder.iterdir())


def free_folder(name: str, parent: Path = Path("runs")) -> Path:
    """Return parent/name, or parent/name-2, -3, … if it exists already."""
    folder, number = parent / name, 2
    while folder.exists():
        folder, number = parent / f"{name}-{number}", number + 1
    return folder
