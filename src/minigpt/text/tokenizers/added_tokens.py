"""Read added tokens, and the files that name them, in the same way as Hugging Face does.

Added tokens are found by name, before a text is cut into words. A tokenizer.json lists them. In a
folder, three more files may name some, mostly special ones: tokenizer_config.json,
special_tokens_map.json and added_tokens.json. If a setting would lead to other ids than miniGPT
computes, the file is refused with an error that names its key.
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
"""GPT-2's tokenizer.json has 2 million bytes; one with a million words has about 30 million."""

ROLES = tuple(f"{role}_token" for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
"""Keys that name special tokens, in the order in which transformers adds these."""

WHY_REFUSED = "the ids would differ from those that the model was trained on"

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
"""Keys of tokenizer_config.json that change ids or text, with the values that are supported."""


@dataclass(frozen=True)
class AddedToken:
    """A token that is searched for in a text before the text is cut into words.

    Attributes
    ----------
    name : the text that it stands for.
    token_id : its id; None for the next free one.
    special : whether it is searched for only where special tokens are allowed.
    normalized : whether it is searched for only after the tokens that are not normalized, in the
        text between them.
    """

    name: str
    token_id: int | None
    special: bool
    normalized: bool

    __repr__ = brief

    @classmethod
    def read(cls, token: Any, key: str, token_id: Any = None, special: bool = True) -> Self:
        """Read a token from the value of `key`: its name, or an object that describes it."""
        about = token if isinstance(token, dict) else {"content": token}
        token_id, name = about.get("id", token_id), about.get("content")
        if not isinstance(name, str) or not name or type(token_id) not in (int, type(None)):
            raise ValueError(f"{key} has {show(token)}, without content and id")
        special = about.get("special", special)
        normalized = about.get("normalized", not special)
        for flag in ("single_word", "lstrip", "rstrip"):
            if about.get(flag):
                raise ValueError(f"{key} has {name!r} with {flag}, which miniGPT does not support")
        if not isinstance(special, bool) or not isinstance(normalized, bool):
            raise ValueError(
                f"{key} has {show(token)}: special and normalized must be true or false"
            )
        if not special and last_border(name) is not None:
            raise ValueError(
                f"{key} has {name!r}, which is not special and has white space after other "
                "characters, where miniGPT may cut a long text"
            )
        return cls(name, token_id, special, normalized)


def assign_ids(tokens: Iterable[AddedToken], vocab: dict[str, int]) -> dict[str, int]:
    """Return name → id of added tokens: the id in `vocab` if there is one, or the next free id.

    The library `tokenizers` assigns these ids, too, even if a file states others.

    Raises
    ------
    ValueError
        If a file states another id.
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
    """Read the added tokens of a tokenizer.json, and those of the other files in its folder.

    Parameters
    ----------
    listed : the list of added tokens in the tokenizer.json.
    kind : the kind of tokenizer that it describes.
    folder : the folder with the other files; None to read none.

    Returns
    -------
    tokens : name → added token, in the order in which transformers adds them.
    roles : role → name, such as "eos_token" → "</s>".
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
    folder: Path, kind: Kind, listed: dict[str, AddedToken]
) -> tuple[dict[str, AddedToken], dict[str, str]]:
    """Return the tokens of the other files in addition to those `listed`, and role → name."""
    config = _read_if_there(folder / "tokenizer_config.json")
    special_map, added_ids = dict[str, Any](), dict[str, Any]()
    if config.get("added_tokens_decoder") is None:  # an older folder, in which two more files count
        special_map = _read_if_there(folder / "special_tokens_map.json")
        added_ids = _read_if_there(folder / "added_tokens.json")
    _check_special_map(special_map)
    is_gpt2 = _check_class(config, kind, folder)
    roles = _roles(config, special_map, is_gpt2)
    special = [*roles.values(), *_extra(config, special_map)]
    special_names = {token.name for token in special}
    more = _of_decoder(config.get("added_tokens_decoder") or {})
    lost = listed.keys() - special_names - {token.name for token in more}
    if lost and more and is_gpt2:
        raise ValueError(f"added_tokens_decoder lacks {min(lost)!r}, which tokenizer.json adds")
    # transformers treats a token of added_tokens.json as special if tokenizer_config.json has its
    # name, but not if it has an object with this name.
    in_objects = {
        token.name
        for key, token in roles.items()
        if isinstance(config.get(key), dict) and key not in special_map
    }
    with_ids = [
        AddedToken.read(
            name, "added_tokens.json", token_id, special=name in special_names - in_objects
        )
        for name, token_id in added_ids.items()
        if name not in listed
    ]
    more += sorted(with_ids, key=lambda token: token.token_id or 0)
    found = listed | {token.name: token for token in more}
    found |= {token.name: token for token in special if token.name not in found}
    found = {
        name: replace(token, special=token.special or name in special_names)
        for name, token in found.items()
    }
    return found, {key: token.name for key, token in roles.items()}


def _check_special_map(special_map: dict[str, Any]) -> None:
    """Raise a ValueError if special_tokens_map.json has a key that is not about special tokens."""
    for key in special_map.keys() - {*ROLES, *_SEVERAL}:  # transformers would use it as a setting
        if special_map[key] is not None:
            raise ValueError(
                f"special_tokens_map.json has the key {key!r:.100}, which miniGPT does not support "
                f"there: {WHY_REFUSED}"
            )


def _roles(
    config: dict[str, Any], special_map: dict[str, Any], is_gpt2: bool
) -> dict[str, AddedToken]:
    """Return role → token, in the order of `ROLES`."""
    given = config | {key: value for key, value in special_map.items() if key not in _SEVERAL}
    if is_gpt2:  # the defaults of that class
        given = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT) | given
    return {key: AddedToken.read(given[key], key) for key in ROLES if given.get(key) is not None}


def _of_decoder(decoder: Any) -> list[AddedToken]:
    if not isinstance(decoder, dict) or not all(str(key).isdecimal() for key in decoder):
        raise ValueError(f"added_tokens_decoder must map each id to a token, got {show(decoder)}")
    return [
        AddedToken.read(token, "added_tokens_decoder", int(key), special=False)
        for key, token in sorted(decoder.items(), key=lambda item: int(item[0]))
    ]


def _read_if_there(path: Path) -> dict[str, Any]:
    return read_json(path, MAX_TOKENIZER_FILE_BYTES) if path.is_file() else {}


def _check_class(config: dict[str, Any], kind: Kind, folder: Path) -> bool:
    """Return whether transformers would use GPT-2's tokenizer class, rather than a general one.

    Raises
    ------
    ValueError
        If the class, or a setting in `config`, would lead to other ids or another text.
    """
    model = _read_if_there(folder / "config.json")
    config = {"tokenizer_class": model.get("tokenizer_class")} | config
    must_be = dict(_TOKENIZER_MUST_BE)
    if kind != "bpe":  # GPT2Tokenizer would treat every kind as byte-pair encoding
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


def _extra(config: dict[str, Any], special_map: dict[str, Any]) -> list[AddedToken]:
    """Return the special tokens without one of the usual `ROLES`.

    Parameters
    ----------
    config : the content of tokenizer_config.json.
    special_map : the content of the older special_tokens_map.json.
    """
    found = [
        AddedToken.read(value, key)
        for key, value in config.items()
        if key.endswith("_token") and key not in ROLES and isinstance(value, str)
    ]
    newer, older = _SEVERAL
    for content in (config, special_map):
        if isinstance(by_role := content.get(newer), dict):
            found += [AddedToken.read(token, newer) for token in by_role.values()]
    # In config, the newer key hides the older one; in special_map, any list so far hides it.
    several = _several(config, newer) or _several(config, older)
    several += _several(special_map, newer)
    return found + (several or _several(special_map, older))


def _several(content: dict[str, Any], key: str) -> list[AddedToken]:
    value = content.get(key) or []
    if not isinstance(value, list | dict):
        raise ValueError(f"{key} must be a list of tokens, not {show(value)}")
    return [AddedToken.read(token, key) for token in value] if isinstance(value, list) else []


def show(value: Any) -> str:
    """Return `value` as JSON, cut off if it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "..."
