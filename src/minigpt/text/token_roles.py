"""The roles of token ids: which ones begin, end or pad a text, and which ones no token has.

A model has a row for each id from 0 to its vocab_size − 1. Many models have more rows than their
tokenizer has tokens, since matrices of some sizes multiply faster. The extra ids are never drawn.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.checks import check_has
from minigpt.core.functional import Array
from minigpt.support.untrusted_files import read_json

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.text.tokenizers import Tokenizer

TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")

_NOT_KEPT = ("transformers_version", "_from_model_config")
"""Keys of generation_config.json about how transformers wrote it."""


def read_generation_config(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Return the content of generation_config.json, completed from `config`.

    The ids in generation_config.json take precedence over those in config.json. As in transformers,
    a generation_config.json without an end of text hides the one in config.json.

    Parameters
    ----------
    folder : the folder of a model.
    config : the content of config.json.

    Raises
    ------
    ValueError
        If bos_token_id or pad_token_id is not an integer, or if eos_token_id is not an integer or a
        list of integers. Integers that are not the id of a token are accepted; they end nothing.
    """
    path = folder / "generation_config.json"
    given = read_json(path) if path.is_file() else {"eos_token_id": config.get("eos_token_id")}
    for key in ("bos_token_id", "pad_token_id"):
        if given.get(key) is None:
            given[key] = config.get(key)
    for content, file in ((given, path), (config, folder / "config.json")):
        _check_ids(content, file)
    return {key: value for key, value in given.items() if key not in _NOT_KEPT}


def _check_ids(content: dict[str, Any], file: Path) -> None:
    for key in TOKEN_IDS:
        value = content.get(key)
        many = value if key == "eos_token_id" and isinstance(value, list) and value else [value]
        if value is not None and not all(type(each) is int for each in many):
            expected = "a token id, a list of them or null" if key[0] == "e" else "an id or null"
            raise ValueError(f"{file}: {key} must be {expected}, got {value!r:.100}")


def generation_config_of(model: miniGPT, tokenizer: Tokenizer | None) -> dict[str, Any]:
    """Return the content of generation_config.json for `model`.

    It is the content that the model's folder had when the model was loaded. If it names no token of
    the model that begins or ends a text, the tokenizer's end of text does so.
    """
    own = None if tokenizer is None else tokenizer.end_of_text
    found = {"bos_token_id": None, "eos_token_id": None} | vars(model).get("generation_config", {})
    found = {k: v for k, v in found.items() if k != "pad_token_id" or v is not None}
    for key in ("bos_token_id", "eos_token_id"):
        if own is not None and not _rows(found[key], model):
            found[key] = own
    return found


def end_ids(model: miniGPT, tokenizer: Tokenizer | None) -> list[int]:
    """Return the ids that end a text of `model`; there may be none."""
    return _rows(generation_config_of(model, tokenizer)["eos_token_id"], model)


def prompt_ids(
    model: miniGPT, tokenizer: Tokenizer, text: str, allow_special: bool = False
) -> list[int]:
    """Return the ids of a prompt; for an empty one, the id that begins a new document.

    Parameters
    ----------
    model, tokenizer : the model that continues the text, and its tokenizer.
    text : the prompt.
    allow_special : whether a special token's name becomes that token: see `Tokenizer.encode`.

    Raises
    ------
    ValueError
        If the text is empty and no token of the model begins or ends a document.
    """
    ids = tokenizer.encode(text, allow_special=allow_special)
    if ids:
        return ids
    if (begin := begin_id(model, tokenizer)) is None:
        raise ValueError(
            "an empty prompt has nothing to continue: this model has no end-of-text token, after "
            "which a new document begins. Use a prompt of at least one character"
        )
    return [begin]


def begin_id(model: miniGPT, tokenizer: Tokenizer | None) -> int | None:
    """Return the id that begins a text of `model`; None if there is none."""
    config = generation_config_of(model, tokenizer)
    found = _rows(config["bos_token_id"], model) or _rows(config["eos_token_id"], model)
    return found[0] if found else None


def _rows(ids: Any, model: miniGPT) -> list[int]:
    """Return the ids that the model has a row for; `ids` is one id, a list of ids, or None."""
    many = ids if isinstance(ids, list) else [ids]
    return [each for each in many if each is not None and 0 <= each < model.vocab_size]


def check_tokenizer(tokenizer: Tokenizer, n_rows: int) -> None:
    """Raise a ValueError unless a model with `n_rows` rows has one for every token."""
    check_has("tokenizer", tokenizer, "token_bytes", "a Tokenizer")
    if tokenizer.vocab_size > n_rows:
        last = tokenizer.vocab_size - 1
        name = tokenizer.token_bytes(last).decode("utf-8", "replace")
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} tokens, but the model knows only "
            f"{n_rows}: it has no row for {name!r:.100}, id {last}. They do not belong "
            "together"
        )


def drawable(model: miniGPT, tokenizer: Tokenizer) -> Array | None:
    """Return which ids may be drawn, because a token has them: bool (V,), or None for all ids.

    Raises
    ------
    ValueError
        If the tokenizer has more tokens than the model has rows.
    """
    check_tokenizer(tokenizer, model.vocab_size)
    n_tokens, holes = tokenizer.vocab_size, tokenizer.vocabulary.holes
    if n_tokens == model.vocab_size and not holes:
        return None
    is_token = np.arange(model.vocab_size) < n_tokens
    is_token[list(holes)] = False
    return is_token
