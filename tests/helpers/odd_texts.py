"""Texts that no one writes, and what every tokenizer must make of them."""

import random

import numpy as np
import pytest

from minigpt import BPETokenizer, CharTokenizer, Tokenizer, WordTokenizer
from minigpt.text.tokenizers.piece_tokenizer import PieceTokenizer

LEARNED = "My dear goose, my dear fox! Don’t wait: 12 Glocken, медведь 熊熊 \n\n\t \u0301e\u0301 🐻"

ODD = [
    *("<|endoftext|>", "<unk>", "<|endoftext|", "unk>", "", "\0", "\r\n", "\r", "\u2028", "\x85"),
    *("\ufeff", "\ufffd", "\ufffe", "\uffff", "\u200d", "\u202e", "\U0010ffff", "\u3000", "\xa0"),
    *("e\u0301", "\u0301" * 40, "👩‍👩‍👧", "🇩🇪", "ﷺ", "ß", "İ", "ǅ", "½", "Ⅷ", "١٢", "नमस्ते", "각"),
    *("'s", "'ll", "’ve", "'" * 30, " " * 50, "\n" * 50, "a" * 3000, "a b" * 200, " '", "_'_"),
    *("Ġ", "Ċ", "ġ", "\x1b[2J", "\x7f", "my", " dear", "goose", "9" * 400),
]

RANGES = [(0, 0x7F), (0x80, 0x7FF), (0x800, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)]
SURROGATES = (0xD800, 0xDFFF)


def odd_text(rng: random.Random) -> str:
    """Put together a text of any characters; about every tenth holds half a one."""
    parts = []
    for _ in range(rng.choice([0, 1, 1, 2, 3, 8])):
        if rng.random() < 0.5:
            parts.append(rng.choice(ODD))
        else:
            low, high = rng.choice(RANGES)
            parts += [chr(rng.randint(low, high)) for _ in range(rng.choice([1, 1, 5, 20]))]
    if rng.random() < 0.1:
        parts.insert(rng.randrange(len(parts) + 1), chr(rng.randint(*SURROGATES)))
    return "".join(parts)


def learned() -> list[Tokenizer]:
    """Return a tokenizer of each kind, one of them with more special tokens."""
    special = ("<|endoftext|>", "<|end", "e\u0301", " ")
    return [
        BPETokenizer().train(LEARNED, vocab_size=280),
        BPETokenizer(special).train("my dear", vocab_size=262),
        WordTokenizer().train(LEARNED),
        CharTokenizer().train(LEARNED),
    ]


def try_text(tokenizer: Tokenizer, text: str, rng: random.Random) -> bool:
    """Take `text` there and back; give whether it is one, that is, without half characters."""
    special = rng.random() < 0.5
    if any(SURROGATES[0] <= ord(character) <= SURROGATES[1] for character in text):
        with pytest.raises(ValueError, match="lone surrogate"):
            tokenizer.encode(text, allow_special=special)
        return False
    ids = tokenizer.encode(text, allow_special=special)
    assert all(0 <= i < tokenizer.vocab_size for i in ids)
    back = text
    if isinstance(tokenizer, PieceTokenizer) and not special:
        known = {tokenizer.token_bytes(i).decode() for i in range(1, tokenizer.vocab_size)}
        back = "".join(x if x in known else "<unk>" for x in tokenizer._split(text))
    if isinstance(tokenizer, BPETokenizer) or not special:
        assert tokenizer.decode(ids) == back
    return True


def try_ids(tokenizer: Tokenizer, rng: random.Random) -> None:
    """Decode ids that no text has, and ids that there are not."""
    size = tokenizer.vocab_size
    ids = [rng.randrange(size) for _ in range(rng.randrange(9))]
    assert tokenizer.decode(ids) == tokenizer.decode(np.array(ids, np.int64))
    wrong = rng.choice([-1, size, -size, 2**63, -(2**70), size + rng.randrange(99)])
    with pytest.raises(ValueError, match="is not in the vocabulary"):
        tokenizer.decode([*ids, wrong])


def try_texts(n: int, first: int = 0) -> int:
    """Try `n` odd texts in all; give how many of them had half characters."""
    tokenizers, refused = learned(), 0
    for seed in range(first, first + n):
        rng = random.Random(seed)
        tokenizer, text = tokenizers[seed % len(tokenizers)], odd_text(rng)
        try:
            refused += not try_text(tokenizer, text, rng)
            try_ids(tokenizer, rng)
        except BaseException as error:
            error.add_note(f"text {seed}: {text!r} with {tokenizer}")
            raise
    return refused
