"""Describe a vocabulary as the content of Hugging Face's ``tokenizer.json``.

The file says how text is cut into words (``pre_tokenizer``), how words become tokens (``model``),
and how tokens become text again (``decoder``).
"""

from typing import Any

from minigpt.text.tokenizers.byte_level import spell
from minigpt.text.tokenizers.patterns import CHARACTER_PATTERN, WORD_PATTERN
from minigpt.text.tokenizers.vocabulary import UNKNOWN, Kind, Vocabulary


def _one_word_per_match(pattern: str) -> dict[str, Any]:
    """Return the pre-tokenizer that makes each match of `pattern` a word."""
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": "Isolated",
        "invert": False,
    }


BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": True,
}
"""The pre-tokenizer and the decoder of GPT-2."""

PRE_TOKENIZERS: dict[Kind, dict[str, Any]] = {
    "bpe": BYTE_LEVEL,
    "word": _one_word_per_match(WORD_PATTERN),
    "char": _one_word_per_match(CHARACTER_PATTERN),
}


def to_json(vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the content of a ``tokenizer.json`` that describes `vocabulary`."""
    named = vocabulary.special_tokens | vocabulary.added_tokens
    names = {token_id: name for name, token_id in named.items()}
    is_bpe = vocabulary.kind == "bpe"
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
        "pre_tokenizer": PRE_TOKENIZERS[vocabulary.kind],
        "post_processor": None,
        "decoder": BYTE_LEVEL if is_bpe else {"type": "Fuse"},
        "model": _bpe_model(vocabulary, names) if is_bpe else _word_level_model(vocabulary),
    }


def _bpe_model(vocabulary: Vocabulary, names: dict[int, str]) -> dict[str, Any]:
    spelled = [names.get(i) or spell(token) for i, token in enumerate(vocabulary.tokens)]
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": "",
        "end_of_word_suffix": "",
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": {token: i for i, token in enumerate(spelled) if token},
        "merges": [[spelled[left], spelled[right]] for left, right in vocabulary.merges],
    }


def _word_level_model(vocabulary: Vocabulary) -> dict[str, Any]:
    pieces = [token.decode("utf-8") for token in vocabulary.tokens]
    return {
        "type": "WordLevel",
        "vocab": {token: i for i, token in enumerate(pieces) if token},
        "unk_token": UNKNOWN,
    }
