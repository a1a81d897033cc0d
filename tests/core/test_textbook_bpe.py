"""The textbook's byte-pair encoding computes the merges and ids of `BPETokenizer`."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from minigpt import BPETokenizer
from minigpt.core.bpe import decode, encode, learn_merges
from minigpt.text.tokenizers.byte_level import BYTE_ORDER
from minigpt.text.tokenizers.patterns import GPT2_PATTERN, split

TEXTS = st.text("aab é日\n1'!", min_size=1, max_size=60)


def ids_of(word):
    """Return the ids of a word's bytes, in GPT-2's order of bytes."""
    return tuple(BYTE_ORDER.index(byte) for byte in word.encode())


@given(TEXTS, TEXTS)
def test_textbook_bpe_has_the_tokenizers_merges_and_ids(text, other):
    words = Counter(map(ids_of, split(GPT2_PATTERN, text)))
    merges = learn_merges(words, 20)
    tokenizer = BPETokenizer().train(text, vocab_size=257 + len(merges))
    assert merges == tokenizer.vocabulary.merges
    ids = [i for word in split(GPT2_PATTERN, other) for i in encode(ids_of(word), merges)]
    assert ids == tokenizer.encode(other)


@given(TEXTS)
def test_textbook_bpe_decodes_to_the_text(text):
    merges = learn_merges({tuple(text.encode()): 3}, 10)
    assert decode(encode(tuple(text.encode()), merges), merges) == text


def test_textbook_bpe_by_hand():
    """The example of `minigpt.text.tokenizers.bpe`: ear, dear, year."""
    words = {tuple(word.encode()): 1 for word in ("ear", " dear", " year")}
    merges = learn_merges(words, 2)
    assert merges == [(ord("a"), ord("r")), (ord("e"), 256)]
    assert encode(tuple(b"fear"), merges) == (ord("f"), 257)
    assert learn_merges({(1, 2): 1}, 9) == [(1, 2)]
