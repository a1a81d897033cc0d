"""Read a vocabulary from the content of a ``tokenizer.json`` and of the files beside it.

If a setting would lead to other ids or another text than miniGPT computes, the file is refused with
an error that names its key.
"""

from pathlib import Path
from typing import Any

from minigpt.text.tokenizers.added_tokens import WHY_REFUSED, assign_ids, read_added_tokens, show
from minigpt.text.tokenizers.byte_level import BYTE_ORDER, spell, unspell
from minigpt.text.tokenizers.vocabulary import UNKNOWN, Kind, Vocabulary, usual_roles
from minigpt.text.tokenizers.vocabulary_to_json import PRE_TOKENIZERS

MAX_IDS = 2**22
"""A bound on the ids: some may be unused, but each takes memory."""

_KEYS = (
    *("version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer"),
    *("post_processor", "decoder", "model"),
)
_MODELS = {"bpe": "BPE", "word": "WordLevel", "char": "WordLevel"}
_DECODERS = {"bpe": "ByteLevel", "word": "Fuse", "char": "Fuse"}


def from_json(data: dict[str, Any], folder: Path | None, n_rows: int | None) -> Vocabulary:
    """Return the vocabulary that a ``tokenizer.json`` describes.

    Parameters
    ----------
    data : the content of the file.
    folder : the folder of the tokenizer, whose other files count too; None to ignore them.
    n_rows : see `minigpt.text.tokenizers.load_tokenizer`.
    """
    if not isinstance(data.get("model"), dict):
        raise ValueError("this is not a tokenizer.json: it has no object called 'model'")
    model = data["model"]
    kind = _kind_of(data)
    _check_supported(data, kind)
    ids = _vocab_of(model)
    if kind != "bpe" and UNKNOWN not in ids:
        raise ValueError(f"model.vocab lacks the unknown token, {UNKNOWN}")
    merges = _merges_of(model, ids) if kind == "bpe" else []
    added, roles = read_added_tokens(_list_in(data, "added_tokens"), kind, folder)
    added_ids = assign_ids(added.values(), ids)
    if n_rows is not None:
        added_ids = {
            name: i
            for name, i in added_ids.items()
            if i < n_rows or added[name].token_id is not None
        }
    special = {name: i for name, i in added_ids.items() if added[name].special}
    if kind != "bpe":
        special = {UNKNOWN: ids[UNKNOWN]} | special
    normalized = frozenset(name for name, token in added.items() if token.normalized)
    return Vocabulary(
        kind,
        _token_bytes(kind, ids | added_ids, merges, added_ids),
        special,
        merges,
        {name: i for name, i in added_ids.items() if name not in special},
        normalized if len(normalized) < len(added) else frozenset(),
        {} if roles == usual_roles(special) else roles,
    )


def _token_bytes(
    kind: Kind, ids: dict[str, int], merges: list[tuple[int, int]], added_ids: dict[str, int]
) -> list[bytes]:
    """Return the bytes of each token; b"" for an id that no token has.

    Byte-pair encoding spells bytes as visible characters. Added tokens are written plainly, unless
    text also becomes them: then they are spelled.
    """
    names = _names_by_id(ids)
    in_order = [names.get(i, "") for i in range(max(names) + 1)]
    if kind != "bpe":
        return [name.encode() for name in in_order]
    from_text = {spell(bytes([byte])) for byte in BYTE_ORDER}
    from_text |= {in_order[left] + in_order[right] for left, right in merges}
    plain = added_ids.keys() - from_text
    return [name.encode() if name in plain else unspell(name) for name in in_order]


def _names_by_id(ids: dict[str, int]) -> dict[int, str]:
    """Return id → token; raise a ValueError unless all ids are different and in range."""
    names = {token_id: name for name, token_id in ids.items()}
    if not names or len(names) < len(ids) or min(names) < 0 or max(names) >= MAX_IDS:
        raise ValueError(
            f"the {len(ids)} tokens in model.vocab and added_tokens must have different ids from "
            f"0 to {MAX_IDS - 1}"
        )
    return names


def _kind_of(data: dict[str, Any]) -> Kind:
    found = data.get("pre_tokenizer")
    for kind, ours in PRE_TOKENIZERS.items():
        # A key that the file leaves out has its default. Trimming offsets does not change ids.
        offsets = {"trim_offsets": True}
        if isinstance(found, dict) and ours | found | offsets == ours | offsets:
            return kind
    raise ValueError(
        f"pre_tokenizer is {show(found)}, but miniGPT supports only GPT-2's (ByteLevel, with "
        "add_prefix_space false) and those of its own word and character tokenizers"
    )


def _check_supported(data: dict[str, Any], kind: Kind) -> None:
    """Raise a ValueError if a setting would lead to other ids or another text than ours."""
    model = data["model"]
    if unknown := data.keys() - _KEYS:
        raise ValueError(f"it has the key {min(unknown)!r:.100}, which miniGPT does not support")
    allowed: list[tuple[str, Any, tuple[Any, ...]]] = [
        ("version", data.get("version", "1.0"), ("1.0",)),
        ("truncation", data.get("truncation"), (None,)),
        ("padding", data.get("padding"), (None,)),
        ("model.type", model.get("type", "BPE"), (_MODELS[kind],)),  # GPT-2's first files lack it
        ("model.dropout", model.get("dropout"), (None, 0)),
        ("model.continuing_subword_prefix", model.get("continuing_subword_prefix"), (None, "")),
        ("model.end_of_word_suffix", model.get("end_of_word_suffix"), (None, "")),
        ("model.byte_fallback", model.get("byte_fallback"), (None, False)),
        ("model.ignore_merges", model.get("ignore_merges"), (None, False)),
        ("normalizer", data.get("normalizer"), (None,)),
        ("post_processor", _post_processor_type(data.get("post_processor")), (None, "ByteLevel")),
        ("decoder", _type_of(data.get("decoder")), (_DECODERS[kind],)),
    ]
    if kind != "bpe":
        allowed.append(("model.unk_token", model.get("unk_token"), (UNKNOWN,)))
    for key, found, ours in allowed:
        if found not in ours:
            choice = " or ".join(map(show, ours))
            raise ValueError(
                f"{key} is {show(found)}, but miniGPT supports only {choice}: {WHY_REFUSED}"
            )


def _vocab_of(model: dict[str, Any]) -> dict[str, int]:
    ids = model.get("vocab")
    if not isinstance(ids, dict) or not all(type(token_id) is int for token_id in ids.values()):
        raise ValueError("model.vocab must be an object that maps each token to its id")
    return ids


def _merges_of(model: dict[str, Any], ids: dict[str, int]) -> list[tuple[int, int]]:
    """Return the merges as pairs of ids; in the file each is "a b" or ["a", "b"]."""
    missing = [byte for byte in BYTE_ORDER if spell(bytes([byte])) not in ids]
    if missing:
        raise ValueError(f"model.vocab has no token for the byte {missing[0]}")
    merges = []
    for merge in _list_in(model, "merges"):
        match merge.split(" ") if isinstance(merge, str) else merge:
            case [str(left), str(right)] if {left, right, left + right} <= ids.keys():
                merges.append((ids[left], ids[right]))
            case _:
                raise ValueError(
                    f"model.merges has {show(merge)}, which does not join two tokens into another"
                )
    return merges


def _list_in(part: dict[str, Any], key: str) -> list[Any]:
    value = part.get(key) or []
    if not isinstance(value, list):
        raise ValueError(f"{key} must be a list, not {show(value)}")
    return value


def _post_processor_type(post_processor: Any) -> Any:
    """Return the type of a post-processor; None for a template that adds nothing to the text."""
    match post_processor:
        case {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}]}:
            return None
    return _type_of(post_processor)


def _type_of(part: Any) -> Any:
    return part.get("type") if isinstance(part, dict) else part
