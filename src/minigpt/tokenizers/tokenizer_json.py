"""Read and write Hugging Face's ``tokenizer.json``.

The file describes how text is cut into words (``pre_tokenizer``), how words become tokens
(``model``), and how tokens become text again (``decoder``). What would give other ids or another
text than ours is refused when reading, by the name of its key.
"""

import json
import os
from pathlib import Path
from typing import Any

from minigpt.files import read_json, read_utf8, write_text
from minigpt.tokenizers.byte_level import BYTE_ORDER, spell, unspell
from minigpt.tokenizers.patterns import CHARACTER_PATTERN, WORD_PATTERN
from minigpt.tokenizers.vocabulary import END_OF_TEXT, UNKNOWN, Kind, Vocabulary

LONGEST = 2**26
"""Bytes of a file: that of GPT-2 has two million, and a million words have some thirty."""


def _isolate(pattern: str) -> dict[str, Any]:
    """Return the pre-tokenizer that makes a word of each match of `pattern`."""
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }


_BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}
_PRE_TOKENIZERS: dict[Kind, dict[str, Any]] = {
    "bpe": _BYTE_LEVEL,
    "word": _isolate(WORD_PATTERN),
    "char": _isolate(CHARACTER_PATTERN),
}
_MODELS = {"bpe": "BPE", "word": "WordLevel", "char": "WordLevel"}
_DECODERS = {"bpe": "ByteLevel", "word": "Fuse", "char": "Fuse"}


def write(path: str | os.PathLike[str], vocabulary: Vocabulary) -> None:
    """Write `vocabulary` to a ``.json`` file, or as ``tokenizer.json`` to a folder."""
    file = _file_of(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(_describe(vocabulary), ensure_ascii=False, indent=2) + "\n")


def read(path: str | os.PathLike[str]) -> Vocabulary:
    """Read the vocabulary in a ``.json`` file, or in the ``tokenizer.json`` of a folder.

    A folder may have GPT-2's older pair of files instead, ``vocab.json`` and ``merges.txt``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no ``tokenizer.json``, or asks for something that is not done here.
    """
    file = _file_of(path)
    older = file.with_name("vocab.json")
    try:
        if older.is_file() and not file.is_file():
            file = older
            data = _gpt2_files(older)
        else:
            data = read_json(file, LONGEST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"there is no tokenizer at {error.filename}") from None
    try:
        return _understand(data)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _gpt2_files(vocab: Path) -> dict[str, Any]:
    """Return the content of a tokenizer.json that says what vocab.json and merges.txt do."""
    ids = read_json(vocab, LONGEST)
    lines = read_utf8(vocab.with_name("merges.txt"), LONGEST).splitlines()
    if lines and lines[0].startswith("#version"):
        lines = lines[1:]
    special = [{"content": END_OF_TEXT, "id": ids[END_OF_TEXT]}] if END_OF_TEXT in ids else []
    return {
        "added_tokens": special,
        "pre_tokenizer": _BYTE_LEVEL,
        "decoder": _BYTE_LEVEL,
        "model": {"type": "BPE", "vocab": ids, "merges": [line for line in lines if line]},
    }


def _file_of(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    is_file = path.is_file() or (path.suffix == ".json" and not path.is_dir())
    return path if is_file else path / "tokenizer.json"


def _describe(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the content of the file for `vocabulary`."""
    names = {token_id: name for name, token_id in vocabulary.special_tokens.items()}
    model: dict[str, Any]
    if vocabulary.kind == "bpe":
        spelled = [names.get(i) or spell(token) for i, token in enumerate(vocabulary.tokens)]
        model = {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: i for i, token in enumerate(spelled)},
            "merges": [[spelled[left], spelled[right]] for left, right in vocabulary.merges],
        }
    else:
        pieces = [token.decode("utf-8") for token in vocabulary.tokens]
        model = {
            "type": "WordLevel",
            "vocab": {token: i for i, token in enumerate(pieces)},
            "unk_token": UNKNOWN,
        }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": token_id,
                "content": name,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token_id, name in sorted(names.items())
        ],
        "normalizer": None,
        "pre_tokenizer": _PRE_TOKENIZERS[vocabulary.kind],
        "post_processor": None,
        "decoder": _BYTE_LEVEL if vocabulary.kind == "bpe" else {"type": "Fuse"},
        "model": model,
    }


def _understand(data: dict[str, Any]) -> Vocabulary:
    """Return the vocabulary in the content of a file."""
    if not isinstance(data.get("model"), dict):
        raise ValueError("this is not a tokenizer.json: it has no object called 'model'")
    model = data["model"]
    kind = _kind_of(data)
    _refuse_what_we_do_not_do(data, kind)
    ids = _vocab_of(model)
    special_ids = _special_ids_of(data)
    if kind != "bpe":
        if UNKNOWN not in ids:
            raise ValueError(f"model.vocab lacks the unknown token, {UNKNOWN}")
        special_ids = {UNKNOWN: ids[UNKNOWN]} | special_ids
    names = {token_id: name for name, token_id in (ids | special_ids).items()}
    if set(names) != set(range(len(ids | special_ids))):
        raise ValueError(
            f"the ids of the {len(ids | special_ids)} tokens in model.vocab and added_tokens are "
            "not 0, 1, 2 and so on, each once"
        )
    spelled = [names[token_id] for token_id in range(len(names))]
    if kind != "bpe":
        return Vocabulary(kind, [piece.encode("utf-8") for piece in spelled], special_ids)
    merges = _merges_of(model, {name: i for name, i in ids.items() if name not in special_ids})
    tokens = [name.encode("utf-8") if name in special_ids else unspell(name) for name in spelled]
    return Vocabulary(kind, tokens, special_ids, merges)


def _kind_of(data: dict[str, Any]) -> Kind:
    found = data.get("pre_tokenizer")
    for kind, ours in _PRE_TOKENIZERS.items():
        # What a file leaves out is as usual, and offsets, which it may trim or not, have no ids.
        offsets = {"trim_offsets": True}
        if isinstance(found, dict) and ours | found | offsets == ours | offsets:
            return kind
    raise ValueError(
        f"pre_tokenizer is {_show(found)}, but miniGPT knows only GPT-2's (ByteLevel, with "
        "add_prefix_space false) and those of its own word and character tokenizers"
    )


def _refuse_what_we_do_not_do(data: dict[str, Any], kind: Kind) -> None:
    """Raise an error for what would make other ids, or another text, of the same input."""
    model = data["model"]
    allowed: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("model.type", model.get("type", "BPE"), (_MODELS[kind],)),  # GPT-2's first files had none
        ("model.dropout", model.get("dropout"), (None, 0)),
        ("model.continuing_subword_prefix", model.get("continuing_subword_prefix"), (None, "")),
        ("model.end_of_word_suffix", model.get("end_of_word_suffix"), (None, "")),
        ("model.byte_fallback", model.get("byte_fallback"), (None, False)),
        ("model.ignore_merges", model.get("ignore_merges"), (None, False)),
        ("normalizer", data.get("normalizer"), (None,)),
        ("post_processor", _added_by(data.get("post_processor")), (None, "ByteLevel")),
        ("decoder", _type_of(data.get("decoder")), (_DECODERS[kind],)),
    ]
    if kind != "bpe":
        allowed.append(("model.unk_token", model.get("unk_token"), (UNKNOWN,)))
    for key, found, ours in allowed:
        if found not in ours:
            choice = " or ".join(map(_show, ours))
            raise ValueError(f"{key} is {_show(found)}, but miniGPT knows only {choice}")


def _vocab_of(model: dict[str, Any]) -> dict[str, int]:
    ids = model.get("vocab")
    if not isinstance(ids, dict) or not all(type(token_id) is int for token_id in ids.values()):
        raise ValueError("model.vocab must be an object that gives each token its id")
    return ids


def _special_ids_of(data: dict[str, Any]) -> dict[str, int]:
    special_ids = {}
    for token in _list_in(data, "added_tokens"):
        match token:
            case {"content": str(name), "id": token_id} if name and type(token_id) is int:
                special_ids[name] = token_id
            case _:
                raise ValueError(f"added_tokens has {_show(token)}, without content and id")
        for key in ("single_word", "lstrip", "rstrip"):
            if token.get(key):
                raise ValueError(
                    f"added_tokens has {name!r} with {key}, which miniGPT does not know"
                )
    return special_ids


def _merges_of(model: dict[str, Any], ids: dict[str, int]) -> list[tuple[int, int]]:
    """Return the merges as pairs of ids; a file has them as "a b" or as ["a", "b"]."""
    missing = [byte for byte in BYTE_ORDER if spell(bytes([byte])) not in ids]
    if missing:
        raise ValueError(f"model.vocab has no token for the byte {missing[0]}")
    merges = []
    for merge in _list_in(model, "merges"):
        match merge.split(" ") if isinstance(merge, str) else merge:
            case [str(left), str(right)] if {left, right, left + right} <= ids.keys():
                merges.append((ids[left], ids[right]))
            case _:
                raise ValueError(f"model.merges has {_show(merge)}, which joins no two tokens")
    return merges


def _list_in(part: dict[str, Any], key: str) -> list[Any]:
    value = part.get(key) or []
    if not isinstance(value, list):
        raise ValueError(f"{key} must be a list, not {_show(value)}")
    return value


def _added_by(post_processor: Any) -> Any:
    """Return the type of a post-processor, None for a template that adds no special tokens."""
    kind = _type_of(post_processor)
    adds_nothing = kind == "TemplateProcessing" and not post_processor.get("special_tokens")
    return None if adds_nothing else kind


def _type_of(part: Any) -> Any:
    return part.get("type") if isinstance(part, dict) else part


def _show(value: Any) -> str:
    """Return `value` as it stands in the file, cut if it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "..."
