"""Read and write Hugging Face's ``tokenizer.json``.

The file describes how text is cut into words (``pre_tokenizer``), how words become tokens
(``model``), and how tokens become text again (``decoder``). What would give other ids or another
text than ours is refused when reading, by the name of its key.
"""

import json
import os
from pathlib import Path
from typing import Any

from minigpt.support.files import write_text
from minigpt.support.untrusted_files import read_json, read_utf8
from minigpt.text.tokenizers.added_tokens import (
    LONGEST_TOKENIZER_FILE,
    TRAINED,
    assign_ids,
    read_added_tokens,
    show,
)
from minigpt.text.tokenizers.byte_level import BYTE_ORDER, spell, unspell
from minigpt.text.tokenizers.patterns import CHARACTER_PATTERN, WORD_PATTERN
from minigpt.text.tokenizers.vocabulary import UNKNOWN, Kind, Vocabulary, usual_roles

MOST_IDS = 2**22
"""Ids may have holes, but they take memory."""

_KEYS = (
    *("version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer"),
    *("post_processor", "decoder", "model"),
)


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
    if file.name == "tokenizer.json":  # what these said of the tokenizer before, it says now
        for older in ("added_tokens.json", "special_tokens_map.json"):
            file.with_name(older).unlink(missing_ok=True)


def read(path: str | os.PathLike[str], n_rows: int | None = None) -> Vocabulary:
    """Read the vocabulary in a ``.json`` file, or in the ``tokenizer.json`` of a folder.

    A folder may have GPT-2's older pair of files instead, ``vocab.json`` and ``merges.txt``. The
    other files in it about the tokenizer count too: see `minigpt.text.tokenizers.added_tokens`.

    With `n_rows`, the vocab_size of the model in the folder, tokens are left out that are only
    named there, without an id, and that the model has no row for.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no ``tokenizer.json``, or asks for something that is not done here.
    """
    file = _file_of(path)
    folder = None if file == Path(path) else file.parent
    older = file.with_name("vocab.json")
    try:
        if older.is_file() and not file.is_file():
            file = older
            data = _gpt2_files(older)
        else:
            data = read_json(file, LONGEST_TOKENIZER_FILE)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(f"there is no tokenizer at {error.filename}") from None
    try:
        return _understand(data, folder, n_rows)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None


def _gpt2_files(vocab: Path) -> dict[str, Any]:
    """Return the content of a tokenizer.json that says what vocab.json and merges.txt do."""
    ids = read_json(vocab, LONGEST_TOKENIZER_FILE)
    text = read_utf8(vocab.with_name("merges.txt"), LONGEST_TOKENIZER_FILE)
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if lines and lines[0].startswith("#version"):
        lines = lines[1:]
    return {
        "added_tokens": [],
        "pre_tokenizer": _BYTE_LEVEL,
        "decoder": _BYTE_LEVEL,
        "model": {"type": "BPE", "vocab": ids, "merges": [line for line in lines if line]},
    }


def _file_of(path: str | os.PathLike[str]) -> Path:
    path = Path(path)
    if path.name in ("vocab.json", "merges.txt") and path.is_file():
        path = path.parent
    is_file = path.is_file() or (path.suffix == ".json" and not path.is_dir())
    return path if is_file else path / "tokenizer.json"


def _describe(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the content of the file for `vocabulary`."""
    named = vocabulary.special_tokens | vocabulary.added_tokens
    names = {token_id: name for name, token_id in named.items()}
    model: dict[str, Any]
    if vocabulary.kind == "bpe":
        spelled = [names.get(i) or spell(token) for i, token in enumerate(vocabulary.tokens)]
        ids = {token: i for i, token in enumerate(spelled) if token}
        model = {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": ids,
            "merges": [[spelled[left], spelled[right]] for left, right in vocabulary.merges],
        }
    else:
        pieces = [token.decode("utf-8") for token in vocabulary.tokens]
        model = {
            "type": "WordLevel",
            "vocab": {token: i for i, token in enumerate(pieces) if token},
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
                "normalized": name in vocabulary.normalized,
                "special": name in vocabulary.special_tokens,
            }
            for token_id, name in sorted(names.items())
        ],
        "normalizer": None,
        "pre_tokenizer": _PRE_TOKENIZERS[vocabulary.kind],
        "post_processor": None,
        "decoder": _BYTE_LEVEL if vocabulary.kind == "bpe" else {"type": "Fuse"},
        "model": model,
    }


def _understand(data: dict[str, Any], folder: Path | None, n_rows: int | None) -> Vocabulary:
    """Return the vocabulary in the content of a file, and in the files beside it in `folder`."""
    if not isinstance(data.get("model"), dict):
        raise ValueError("this is not a tokenizer.json: it has no object called 'model'")
    model = data["model"]
    kind = _kind_of(data)
    _refuse_what_we_do_not_do(data, kind)
    ids = _vocab_of(model)
    if kind != "bpe" and UNKNOWN not in ids:
        raise ValueError(f"model.vocab lacks the unknown token, {UNKNOWN}")
    merges = _merges_of(model, ids) if kind == "bpe" else []
    found, roles = read_added_tokens(_list_in(data, "added_tokens"), kind, folder)
    named = assign_ids(found.values(), ids)
    if n_rows is not None:
        named = {n: i for n, i in named.items() if i < n_rows or found[n].token_id is not None}
    special = {name: i for name, i in named.items() if found[name].special}
    if kind != "bpe":
        special = {UNKNOWN: ids[UNKNOWN]} | special
    names = _by_id(ids | named)
    spelled = [names.get(i, "") for i in range(max(names) + 1)]
    made = {spell(bytes([byte])) for byte in BYTE_ORDER}  # by text, even if it is special too
    made |= {spelled[left] + spelled[right] for left, right in merges}
    by_name = named.keys() - made if kind == "bpe" else {*spelled}
    late = frozenset(name for name, token in found.items() if token.normalized)
    return Vocabulary(
        kind,
        [name.encode() if name in by_name else unspell(name) for name in spelled],
        special,
        merges,
        {name: i for name, i in named.items() if name not in special},
        late if len(late) < len(found) else frozenset(),
        {} if roles == usual_roles(special) else roles,
    )


def _by_id(ids: dict[str, int]) -> dict[int, str]:
    """Return id → token, if each id is there once, and none is too large."""
    names = {token_id: name for name, token_id in ids.items()}
    if not names or len(names) < len(ids) or min(names) < 0 or max(names) >= MOST_IDS:
        raise ValueError(
            f"the {len(ids)} tokens in model.vocab and added_tokens must have different ids from "
            f"0 to {MOST_IDS - 1}"
        )
    return names


def _kind_of(data: dict[str, Any]) -> Kind:
    found = data.get("pre_tokenizer")
    for kind, ours in _PRE_TOKENIZERS.items():
        # What a file leaves out is as usual, and offsets, which it may trim or not, have no ids.
        offsets = {"trim_offsets": True}
        if isinstance(found, dict) and ours | found | offsets == ours | offsets:
            return kind
    raise ValueError(
        f"pre_tokenizer is {show(found)}, but miniGPT knows only GPT-2's (ByteLevel, with "
        "add_prefix_space false) and those of its own word and character tokenizers"
    )


def _refuse_what_we_do_not_do(data: dict[str, Any], kind: Kind) -> None:
    """Raise an error for what would make other ids, or another text, of the same input."""
    model = data["model"]
    if unknown := data.keys() - _KEYS:
        raise ValueError(f"it has the key {min(unknown)!r:.100}, which miniGPT does not know")
    allowed: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("version", data.get("version", "1.0"), ("1.0",)),
        ("truncation", data.get("truncation"), (None,)),
        ("padding", data.get("padding"), (None,)),
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
            choice = " or ".join(map(show, ours))
            raise ValueError(f"{key} is {show(found)}, but miniGPT knows only {choice}: {TRAINED}")


def _vocab_of(model: dict[str, Any]) -> dict[str, int]:
    ids = model.get("vocab")
    if not isinstance(ids, dict) or not all(type(token_id) is int for token_id in ids.values()):
        raise ValueError("model.vocab must be an object that gives each token its id")
    return ids


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
                raise ValueError(f"model.merges has {show(merge)}, which joins no two tokens")
    return merges


def _list_in(part: dict[str, Any], key: str) -> list[Any]:
    value = part.get(key) or []
    if not isinstance(value, list):
        raise ValueError(f"{key} must be a list, not {show(value)}")
    return value


def _added_by(post_processor: Any) -> Any:
    """Return the type of a post-processor; None for a template that is the text and no more."""
    kind = _type_of(post_processor)
    match post_processor:
        case {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}]}:
            return None
    return kind


def _type_of(part: Any) -> Any:
    return part.get("type") if isinstance(part, dict) else part
