"""Tokens beside the vocabulary, and the files that name them, as Hugging Face reads them.

A tokenizer.json lists added tokens. In a folder three more files may name some, special ones
mostly: tokenizer_config.json, special_tokens_map.json and added_tokens.json. What would give other
ids than ours is refused, by the name of its key.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from minigpt.support.brief import brief
from minigpt.support.untrusted_files import read_json
from minigpt.text.tokenizers.stream import last_border
from minigpt.text.tokenizers.vocabulary import END_OF_TEXT, Kind

MAX_TOKENIZER_FILE_BYTES = 2**26
"""Bytes of a file: that of GPT-2 has two million, and a million words have some thirty."""

ROLES = tuple(f"{role}_token" for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
"""Keys that name special tokens, in the order in which transformers adds these."""

WHY_REFUSED = "it would make other ids than those a model was trained on"

_SEVERAL = ("extra_special_tokens", "additional_special_tokens")
_ANY_KIND = ("PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend")
_GPT2 = ("GPT2Tokenizer", "GPT2TokenizerFast")
_OFF = (None, False)
_TOKENIZER_MUST_BE: dict[str, tuple[Any, ...]] = {
    "tokenizer_class": (None, *_ANY_KIND, *_GPT2),
    "auto_map": (None,),
    "add_prefix_space": _OFF,
    "add_bos_token": _OFF,
    "add_eos_token": _OFF,
    "split_special_tokens": _OFF,
    "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output": _OFF,
    "vocab": (None,),
    "merges": (None,),
    "init_inputs": (None, []),
}
"""Keys of tokenizer_config.json that change ids or text, with the values that are done here."""


@dataclass(frozen=True)
class AddedToken:
    """A token that is looked for in a text before the text is cut into words.

    Attributes
    ----------
    name : the text that it stands for.
    token_id : its id; None for the next free one.
    special : whether it is looked for only where special tokens are allowed.
    normalized : whether it is looked for only in what the tokens that are not have left.
    """

    name: str
    token_id: int | None
    special: bool
    normalized: bool

    __repr__ = brief

    @classmethod
    def read(cls, token: Any, key: str, token_id: Any = None, special: bool = True) -> Self:
        """Read a token as files have it under `key`: its name, or an object with all about it."""
        about = token if isinstance(token, dict) else {"content": token}
        token_id, name = about.get("id", token_id), about.get("content")
        if not isinstance(name, str) or not name or type(token_id) not in (int, type(None)):
            raise ValueError(f"{key} has {show(token)}, without content and id")
        special = about.get("special", special)
        normalized = about.get("normalized", not special)
        for flag in ("single_word", "lstrip", "rstrip"):
            if about.get(flag):
                raise ValueError(f"{key} has {name!r} with {flag}, which miniGPT does not know")
        if not isinstance(special, bool) or not isinstance(normalized, bool):
            raise ValueError(f"{key} has {show(token)}: special and normalized are true or false")
        if not special and last_border(name) is not None:
            raise ValueError(
                f"{key} has {name!r}, which is not special and has white space after other "
                "characters: miniGPT may cut a long text there"
            )
        return cls(name, token_id, special, normalized)


def assign_ids(tokens: Iterable[AddedToken], vocab: dict[str, int]) -> dict[str, int]:
    """Return the id of each added token: its own if it is in `vocab`, else the next free one.

    The library tokenizers gives these ids even if a file says something else.

    Raises
    ------
    ValueError
        If a file says something else.
    """
    ids: dict[str, int] = {}
    largest = -1
    for token in tokens:
        found = vocab.get(token.name)
        if found is None:
            found = max(largest + 1, len(vocab))
        if token.token_id not in (None, found):
            raise ValueError(
                f"added_tokens has {token.name!r:.100} with the id {token.token_id}, but Hugging "
                f"Face's tokenizers would give it {found}"
            )
        ids[token.name] = found
        largest = max(largest, found)
    return ids


def read_added_tokens(
    listed: list[Any], kind: Kind, folder: Path | None
) -> tuple[dict[str, AddedToken], dict[str, str]]:
    """Read the added tokens that a tokenizer.json has `listed`, and what other files add to them.

    Parameters
    ----------
    listed : the list in the tokenizer.json of a tokenizer of this `kind`.
    folder : where the other files are; None for none.

    Returns
    -------
    All added tokens, by name, in the order in which transformers adds them; and role → token, such
    as "eos_token" → "</s>".
    """
    tokens: dict[str, AddedToken] = {}
    for each in listed:
        token = AddedToken.read(each, "added_tokens")
        if token.token_id is None:
            raise ValueError(f"added_tokens has {show(each)}, without content and id")
        tokens[token.name] = token
    if folder is None:
        return tokens, {}
    try:
        return _read_beside(folder, kind, tokens)
    except ValueError as error:
        raise ValueError(f"in the files beside it, {error}") from None


def _read_beside(
    folder: Path, kind: Kind, tokens: dict[str, AddedToken]
) -> tuple[dict[str, AddedToken], dict[str, str]]:
    config = _read_if_there(folder / "tokenizer_config.json")
    map_, ids = dict[str, Any](), dict[str, Any]()
    if config.get("added_tokens_decoder") is None:  # then two files count that older folders have
        map_ = _read_if_there(folder / "special_tokens_map.json")
        ids = _read_if_there(folder / "added_tokens.json")
    for key in map_.keys() - {*ROLES, *_SEVERAL}:  # transformers takes it as one of its config
        if map_[key] is not None:
            raise ValueError(
                f"special_tokens_map.json has the key {key!r:.100}, which miniGPT does not know "
                f"there: {WHY_REFUSED}"
            )
    is_gpt2 = _check_class(config, kind, folder)
    given = config | {key: value for key, value in map_.items() if key not in _SEVERAL}
    if is_gpt2:  # what that class has unless told otherwise
        given = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT) | given
    roles = {key: AddedToken.read(given[key], key) for key in ROLES if given.get(key) is not None}
    special = [*roles.values(), *_extra(config, map_)]
    names = {token.name for token in special}
    more = _of_decoder(config.get("added_tokens_decoder") or {})
    if (lost := tokens.keys() - names - {token.name for token in more}) and more and is_gpt2:
        raise ValueError(f"added_tokens_decoder lacks {min(lost)!r}, which tokenizer.json adds")
    # transformers knows no special token among these by an object in tokenizer_config.json.
    objects = {roles[k].name for k in roles if isinstance(config.get(k), dict) and k not in map_}
    of_ids = [
        AddedToken.read(name, "added_tokens.json", token_id, special=name in names - objects)
        for name, token_id in ids.items()
        if name not in tokens
    ]
    more += sorted(of_ids, key=lambda token: token.token_id or 0)
    found = tokens | {token.name: token for token in more}
    found |= {token.name: token for token in special if token.name not in found}
    found = {n: replace(token, special=token.special or n in names) for n, token in found.items()}
    return found, {key: token.name for key, token in roles.items()}


def _of_decoder(decoder: Any) -> list[AddedToken]:
    if not isinstance(decoder, dict) or not all(str(key).isdecimal() for key in decoder):
        raise ValueError(f"added_tokens_decoder must give each id its token, got {show(decoder)}")
    return [
        AddedToken.read(token, "added_tokens_decoder", int(key), special=False)
        for key, token in sorted(decoder.items(), key=lambda item: int(item[0]))
    ]


def _read_if_there(path: Path) -> dict[str, Any]:
    return read_json(path, MAX_TOKENIZER_FILE_BYTES) if path.is_file() else {}


def _check_class(config: dict[str, Any], kind: Kind, folder: Path) -> bool:
    """Return whether the class that transformers takes is GPT-2's, and not one of any kind.

    Raises
    ------
    ValueError
        If it would give other ids or another text, because of the class or something in `config`.
    """
    model = _read_if_there(folder / "config.json")
    config = {"tokenizer_class": model.get("tokenizer_class")} | config
    must_be = dict(_TOKENIZER_MUST_BE)
    if kind != "bpe":  # what GPT2Tokenizer would take for byte-pair encoding
        must_be |= {"tokenizer_class": (None, *_ANY_KIND), "clean_up_tokenization_spaces": _OFF}
    for key, allowed in must_be.items():
        if (given := config.get(key)) not in allowed:
            ours = " or ".join(map(show, allowed[1:])) or "null"
            raise ValueError(
                f"{key} is {show(given)}, but miniGPT supports only {ours}: {WHY_REFUSED}"
            )
    if (name := config["tokenizer_class"]) is None:
        is_pair = not (folder / "tokenizer.json").is_file()
        return kind == "bpe" and (is_pair or model.get("model_type") == "gpt2")
    return name in _GPT2


def _extra(config: dict[str, Any], map_: dict[str, Any]) -> list[AddedToken]:
    """Return the special tokens that have a role of another name, or none.

    `config` is tokenizer_config.json, `map_` the older special_tokens_map.json.
    """
    found = [
        AddedToken.read(value, key)
        for key, value in config.items()
        if key.endswith("_token") and key not in ROLES and isinstance(value, str)
    ]
    newer, older = _SEVERAL
    for content in (config, map_):
        if isinstance(by_role := content.get(newer), dict):
            found += [AddedToken.read(token, newer) for token in by_role.values()]
    # A list under the newer key hides the older one, and config what map_ has under that.
    several = _several(config, newer) or _several(config, older)
    several += _several(map_, newer)
    return found + (several or _several(map_, older))


def _several(content: dict[str, Any], key: str) -> list[AddedToken]:
    value = content.get(key) or []
    if not isinstance(value, list | dict):
        raise ValueError(f"{key} must be a list of tokens, not {show(value)}")
    return [AddedToken.read(token, key) for token in value] if isinstance(value, list) else []


def show(value: Any) -> str:
    """Return `value` as it stands in the file, cut if it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "..."
