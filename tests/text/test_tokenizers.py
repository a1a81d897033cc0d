"""The tokenizers: exact round trips, training against a naive trainer, files, and bad input."""

import copy
import doctest
import gc
import importlib
import json
import pickle
import pkgutil
import random
import sys
import unicodedata
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import minigpt.text.tokenizers
from minigpt.text.tokenizers import (
    TOKENIZERS,
    BPETokenizer,
    CharTokenizer,
    WordTokenizer,
    bpe,
    load_tokenizer,
    patterns,
)
from minigpt.text.tokenizers.byte_level import BYTE_ORDER, spell, unspell
from minigpt.text.tokenizers.making import make_tokenizer
from minigpt.text.tokenizers.merges import learn_merges

TEXT = """\
FOOL. My dear, my dear, don't you hear? The bells o'er there, my dear!
\tDer Bär hört Glöckchen: 12 Glocken, ½ Stunde, Ⅷ Uhr. Медведь, медведь!
熊熊熊 곰이 곰을 하ी नमस्ते नमस्ते 🐻🐻🐻 👩‍👩‍👧 e\u0301e\u0301e\u0301 don’t\u00a0wait \r\n\n  the end
"""

KINDS = sorted(TOKENIZERS)


def trained(kind):
    return TOKENIZERS[kind]().train(TEXT)


def pieces(tokenizer, text, **options):
    return [
        tokenizer.token_bytes(token_id).decode() for token_id in tokenizer.encode(text, **options)
    ]


# ---------------------------------------------------------------------------------- round trips


@given(st.text())
@example("\ufeff\x00\x1c\x85\u2028\U0010ffff")
def test_bpe_decodes_every_text_exactly(text):
    tokenizer = BPE
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.decode(tokenizer.encode(text, allow_special=True)) == text


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text(min_size=1))
def test_tokenizers_decode_their_training_text_exactly(kind, text):
    tokenizer = TOKENIZERS[kind]().train(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(st.lists(st.sampled_from(["my", "dear", "don't", "o'er", "FOOL", "Bär", "12"]), min_size=1))
def test_word_tokenizer_keeps_white_space(words):
    tokenizer = trained("word")
    for separator in (" ", "\n", " \n\t ", ", ", "! "):
        text = separator.join(words)
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_bpe_trains_on_a_long_word_quickly():
    # A quadratic algorithm would take minutes.
    word = "".join(random.Random(0).choices("acgt", k=50_000))
    tokenizer = BPETokenizer().train(word)
    assert tokenizer.vocab_size == 1024
    assert tokenizer.decode(tokenizer.encode(word)) == word


@pytest.mark.parametrize("kind", KINDS)
def test_empty_text_has_no_tokens(kind):
    assert trained(kind).encode("") == []
    assert trained(kind).decode([]) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_the_pieces_of_the_text(kind):
    tokenizer = trained(kind)
    ids = tokenizer.encode(TEXT)
    assert b"".join(map(tokenizer.token_bytes, ids)) == TEXT.encode()
    assert set(ids) <= set(range(tokenizer.vocab_size))
    assert len(tokenizer) == tokenizer.vocab_size


def test_decode_accepts_any_iterable_of_integers():
    ids = BPE.encode("my dear")
    for same in (iter(ids), tuple(ids), *(np.array(ids, t) for t in ("uint16", "int32", "int64"))):
        assert BPE.decode(same) == "my dear"


def test_decode_replaces_invalid_bytes():
    first, second = BPETokenizer().train("é", 257).encode("é")
    assert BPE.decode([first]) == "\ufffd"
    assert BPE.decode([first, second]) == "é"
    assert BPE.decode([second, *BPE.encode("a")]) == "\ufffda"


@pytest.mark.parametrize("kind", KINDS)
def test_tokenizer_copies_are_equal(kind):
    tokenizer = trained(kind)
    for twin in (copy.deepcopy(tokenizer), pickle.loads(pickle.dumps(tokenizer))):
        assert twin.encode(TEXT) == tokenizer.encode(TEXT)
        assert twin.vocabulary == tokenizer.vocabulary


# ----------------------------------------------------------------------------- cutting into words

EVERYTHING = "".join(map(chr, range(sys.maxunicode + 1)))
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007" + (
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"  # all of Unicode's PropList.txt
)


@pytest.mark.parametrize("name", list("LMNZ"))
def test_character_classes_are_those_of_unicode(name):
    expected = [c for c in EVERYTHING if unicodedata.category(c)[0] == name]
    assert patterns.split(rf"[\p{{{name}}}]", EVERYTHING) == expected


both_patterns = pytest.mark.parametrize(
    "pattern", [patterns.GPT2_PATTERN, patterns.WORD_PATTERN], ids=["gpt2", "word"]
)


@both_patterns
@given(text=st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_pattern_equals_the_unicode_pattern(pattern, text):
    for_ascii = patterns._compiled(pattern, True)
    for_all = patterns._compiled(pattern, False)
    assert for_ascii.findall(text) == for_all.findall(text)


@both_patterns
@given(text=st.text())
def test_split_pieces_join_to_the_text(pattern, text):
    assert "".join(patterns.split(pattern, text)) == text


@both_patterns
def test_split_loses_no_character(pattern):
    assert "".join(patterns.split(pattern, EVERYTHING[:0x30000])) == EVERYTHING[:0x30000]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello world, my dear 1234!", ["Hello", " world", ",", " my", " dear", " 1234", "!"]),
        ("it's I'll we've", ["it", "'s", " I", "'ll", " we", "'ve"]),
        ("you're I'm he'd can't", ["you", "'re", " I", "'m", " he", "'d", " can", "'t"]),
        ("'S 'sword", ["'", "S", " '", "sword"]),
        ("a  b\n\n  c \n", ["a", " ", " b", "\n\n ", " c", " \n"]),
        ("x_1--y", ["x", "_", "1", "--", "y"]),
        ("naïve Ⅷ²½ 一二", ["naïve", " Ⅷ²½", " 一二"]),
        ("e\u0301a", ["e", "\u0301", "a"]),  # an accent alone is not a letter
        (
            "a  \x1c\x1db",
            ["a", " ", " \x1c\x1d", "b"],
        ),  # white space for Python, but not for Unicode
    ],
)
def test_split_into_gpt2_words(text, words):
    assert patterns.split(patterns.GPT2_PATTERN, text) == words


@pytest.mark.parametrize("space", WHITE_SPACE)
def test_split_treats_the_last_of_several_spaces_as_gpt2(space):
    last = [" b"] if space == " " else [space, "b"]
    assert patterns.split(patterns.GPT2_PATTERN, f"a{space}{space}b") == ["a", space, *last]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("my dear", ["my", " ", "dear"]),
        ("don't o'er don’t", ["don't", " ", "o'er", " ", "don’t"]),
        ("'tis a''b dogs'", ["'", "tis", " ", "a", "'", "'", "b", " ", "dogs", "'"]),
        ("O, x_1!?\n\n", ["O", ",", " ", "x_1", "!", "?", "\n", "\n"]),
        ("e\u0301a ½ 熊", ["e\u0301a", " ", "½", " ", "熊"]),
        ("a\u00a0b\tc", ["a", "\u00a0", "b", "\t", "c"]),
    ],
)
def test_split_into_words(text, words):
    assert pieces(WordTokenizer().train(text), text) == words


def test_split_into_characters():
    assert pieces(CharTokenizer().train("e\u0301 🐻"), "🐻e\u0301") == ["🐻", "e", "\u0301"]


# ------------------------------------------------------------ vocabularies of words and characters


@pytest.mark.parametrize("kind", ["word", "char"])
def test_unseen_words_and_characters_are_unknown(kind):
    tokenizer = TOKENIZERS[kind]().train("a b")
    assert tokenizer.encode("a z\tb") == [1, 2, 0, 0, 3]
    assert tokenizer.decode([1, 0, 3]) == "a<unk>b"
    assert tokenizer.special_tokens == {"<unk>": 0}


@pytest.mark.parametrize("kind", ["word", "char"])
def test_unknown_token_name_is_ordinary_text_unless_allowed(kind):
    tokenizer = TOKENIZERS[kind]().train("<unk>")
    assert 0 not in tokenizer.encode("<unk>")
    assert tokenizer.decode(tokenizer.encode("<unk>")) == "<unk>"
    assert tokenizer.encode("<unk>", allow_special=True) == [0]


@given(st.text(alphabet="abcdef", min_size=1), st.integers(min_value=2, max_value=7))
def test_vocabulary_keeps_the_most_frequent_and_first_of_ties(text, vocab_size):
    by_count_then_place = sorted(set(text), key=lambda c: (-text.count(c), text.index(c)))
    vocab_size = min(vocab_size, len(by_count_then_place) + 1)
    tokenizer = CharTokenizer().train(text, vocab_size)
    kept = [tokenizer.token_bytes(token_id).decode() for token_id in range(1, vocab_size)]
    assert kept == by_count_then_place[: vocab_size - 1]
    assert tokenizer.vocab_size == vocab_size


# ------------------------------------------------------------------------------ byte-pair encoding


def naive_join(ids, pair, new_id):
    ids = list(ids)
    position = 0
    while position + 1 < len(ids):
        if (ids[position], ids[position + 1]) == pair:
            ids[position : position + 2] = [new_id]
        position += 1
    return ids


def naive_merges(text):
    """Train by the definition: count everything again for every merge."""
    words = [
        [BYTE_ORDER.index(byte) for byte in word.encode()]
        for word in patterns.split(patterns.GPT2_PATTERN, text)
    ]
    merges = []
    while True:
        counts = Counter(pair for word in words for pair in pairwise(word))
        if not counts:
            return merges
        pair = min(counts, key=lambda pair: (-counts[pair], pair))
        words = [naive_join(word, pair, 256 + len(merges)) for word in words]
        merges.append(pair)


def naive_encode(text, merges):
    """Encode by the definition: every merge in the order it was learned."""
    ids = []
    for word in patterns.split(patterns.GPT2_PATTERN, text):
        word_ids = [BYTE_ORDER.index(byte) for byte in word.encode()]
        for rank, pair in enumerate(merges):
            word_ids = naive_join(word_ids, pair, 256 + rank)
        ids += word_ids
    return ids


small_texts = st.one_of(
    st.text(alphabet="ab", min_size=1, max_size=60),
    st.text(alphabet="abc d'é熊1", min_size=1, max_size=60),
    st.lists(st.sampled_from(["ear", "dear", "fear", " ", "earear", "aaa"]), min_size=1).map(
        "".join
    ),
)


@given(small_texts)
def test_bpe_merges_equal_the_definition(text):
    assert BPETokenizer().train(text).vocabulary.merges == naive_merges(text)[: 1024 - 257]


@given(small_texts, small_texts)
def test_bpe_encoding_equals_the_definition(text, other):
    tokenizer = BPETokenizer().train(text)
    merges = tokenizer.vocabulary.merges
    assert tokenizer.encode(other) == naive_encode(other, merges)
    assert tokenizer.encode(text + other) == naive_encode(text + other, merges)


def test_smaller_bpe_vocabulary_is_a_prefix_of_a_larger():
    few = BPETokenizer().train(TEXT, 300).vocabulary
    assert few.merges == BPE.vocabulary.merges[: 300 - 257]
    assert few.tokens[:-1] == BPE.vocabulary.tokens[:299]


def test_garbage_collection_is_on_again_after_bpe_training():
    states = []

    def interrupted(numbers):
        states.append(gc.isenabled())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn_merges({"banana": 2}, 3, track=interrupted)
    assert states == [False]
    assert gc.isenabled()


def test_vocab_size_counts_bytes_merges_and_special_tokens():
    tokenizer = BPETokenizer(["<a>", "<b>"]).train(TEXT, 300)
    assert tokenizer.vocab_size == 300
    assert len(tokenizer.vocabulary.merges) == 300 - 256 - 2
    assert tokenizer.special_tokens == {"<a>": 298, "<b>": 299}
    assert BPETokenizer([]).train(TEXT, 256).vocabulary.merges == []
    assert BPETokenizer().train(TEXT * 9, np.int64(300)).vocab_size == 300


def test_default_vocab_size_is_1024_or_what_the_text_allows():
    assert BPETokenizer().train("ear dear year").vocab_size == 256 + 6 + 1
    assert BPETokenizer().train(EVERYTHING[0x4E00:0x5000]).vocab_size == 1024


def test_byte_tokens_have_the_order_of_gpt2():
    tokens = BPE.vocabulary.tokens
    assert sorted(tokens[:256]) == [bytes([byte]) for byte in range(256)]
    assert b"".join(tokens[:94]) == bytes(range(ord("!"), ord("~") + 1))
    assert b"".join(tokens[188:256]) == bytes([*range(33), *range(127, 161), 173])


def test_byte_tokens_are_spelled_as_by_gpt2():
    assert spell(b" dear\n") == "ĠdearĊ"
    assert spell("é\x00\xad".encode()) == "Ã©ĀÂŃ"
    everything = bytes(range(256))
    assert unspell(spell(everything)) == everything
    assert spell(everything).isprintable()
    with pytest.raises(ValueError, match="token 'a b': ' ' stands for no byte"):
        unspell("a b")


def test_retraining_replaces_the_vocabulary():
    tokenizer = BPETokenizer().train("ear ear ear")
    tokenizer.encode("ear dear")
    tokenizer.train("dear dear dear", 259)
    assert tokenizer.vocabulary == BPETokenizer().train("dear dear dear", 259).vocabulary
    assert tokenizer.encode("ear dear") == BPETokenizer().train("dear dear", 259).encode("ear dear")


def test_encode_returns_a_new_list():
    tokenizer = trained("bpe")
    tokenizer.encode("dear").append(0)
    assert tokenizer.decode(tokenizer.encode("dear")) == "dear"


def test_bpe_cache_is_limited(monkeypatch):
    tokenizer = trained("bpe")
    tokenizer.encode("x" * 101)
    assert not tokenizer._word_ids
    tokenizer.encode("my dear my dear")
    assert set(tokenizer._word_ids) == {"my", " dear", " my"}
    monkeypatch.setattr(bpe, "MAX_CACHED_WORDS", 4)
    tokenizer.encode("don't you hear")
    assert len(tokenizer._word_ids) == 4


# --------------------------------------------------------------------------------- special tokens


def test_special_tokens_are_encoded_only_if_allowed():
    tokenizer = BPETokenizer().train(TEXT + "<|endoftext|>" * 9)
    text = "the end<|endoftext|>the beginning"
    end = tokenizer.special_tokens["<|endoftext|>"]
    assert end not in tokenizer.encode(text)
    before, after = tokenizer.encode("the end"), tokenizer.encode("the beginning")
    assert tokenizer.encode(text, allow_special=True) == [*before, end, *after]
    assert tokenizer.decode(tokenizer.encode(text, allow_special=True)) == text
    assert tokenizer.decode([end]) == "<|endoftext|>"


def test_special_token_may_look_like_ordinary_text():
    tokenizer = BPETokenizer([" dear"]).train("my dear my dear")
    special = tokenizer.special_tokens[" dear"]
    assert tokenizer.decode([special]) == " dear"
    assert special not in tokenizer.encode("my dear")
    assert tokenizer.encode("my dear", allow_special=True)[-1] == special


def test_special_token_of_a_word_file_is_not_a_word(tmp_path):
    token_id = trained("word").encode("dear")[0]
    special = [{"id": 0, "content": "<unk>"}, {"id": token_id, "content": "dear"}]
    tokenizer = load_tokenizer(edited(tmp_path, "word", added_tokens=special))
    assert tokenizer.special_tokens == {"<unk>": 0, "dear": token_id}
    assert tokenizer.encode("dear") == [0]
    assert tokenizer.encode("dear", allow_special=True) == [token_id]


def test_longer_special_token_wins():
    tokenizer = BPETokenizer(["<a>", "<a><b>", "(.*)", "é 熊"]).train(TEXT, 300)
    ids = tokenizer.encode("<a><b><a>(.*)é 熊", allow_special=True)
    assert ids == [tokenizer.special_tokens[n] for n in ("<a><b>", "<a>", "(.*)", "é 熊")]
    assert tokenizer.decode(ids) == "<a><b><a>(.*)é 熊"


# ------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["tokenizer.json", "other.json", "", "runs/a"])
def test_saved_tokenizer_loads_as_equal(kind, place, tmp_path):
    tokenizer, path = trained(kind), tmp_path / place
    tokenizer.save(path)
    file = path if place.endswith(".json") else path / "tokenizer.json"
    assert file.is_file()
    for again in (load_tokenizer(path), type(tokenizer).load(str(path)), load_tokenizer(file)):
        assert type(again) is type(tokenizer)
        assert again.vocabulary == tokenizer.vocabulary
        assert again.encode(TEXT + "Unbekannt") == tokenizer.encode(TEXT + "Unbekannt")
        again.save(tmp_path / "again.json")
        assert (tmp_path / "again.json").read_bytes() == file.read_bytes()


@given(text=st.text(min_size=1), names=st.sets(st.text(min_size=2, alphabet="<>|é熊 "), max_size=3))
def test_any_bpe_vocabulary_survives_saving(text, names, tmp_path_factory):
    tokenizer = BPETokenizer([f"<{name}>" for name in sorted(names)]).train(text, None)
    path = tmp_path_factory.mktemp("files")
    tokenizer.save(path)
    assert load_tokenizer(path).vocabulary == tokenizer.vocabulary


def test_retraining_a_loaded_tokenizer_keeps_special_tokens(tmp_path):
    BPETokenizer(["<a>"]).train(TEXT, 300).save(tmp_path)
    again = BPETokenizer.load(tmp_path).train(TEXT, 280)
    assert again.special_tokens == {"<a>": 279}


BPE = trained("bpe")


def edited(path, kind="bpe", **changes):
    """Save a tokenizer with some values changed; the key model__type is in the object model."""
    trained(kind).save(path)
    data = json.loads((path / "tokenizer.json").read_text(encoding="utf-8"))
    for key, value in changes.items():
        part, *rest = key.split("__")
        if rest:
            data[part][rest[0]] = value
        else:
            data[part] = value
    (path / "tokenizer.json").write_text(json.dumps(data), encoding="utf-8")
    return path


TEXT_A = {"Sequence": {"id": "A", "type_id": 0}}


def test_other_layouts_of_tokenizer_json_are_read(tmp_path):
    ours = trained("bpe").vocabulary
    trained("bpe").save(tmp_path)
    model = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    old_model = {key: value for key, value in model.items() if key in ("vocab", "merges")}
    old_model["merges"] = [" ".join(pair) for pair in old_model["merges"]]
    del old_model["vocab"]["<|endoftext|>"]  # it is also in added_tokens
    for changes in (
        {"model": old_model},
        {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}},
        {"post_processor": {"type": "ByteLevel", "trim_offsets": False}},
        {"post_processor": {"type": "TemplateProcessing", "single": [TEXT_A]}},
        {"model__continuing_subword_prefix": None, "model__dropout": 0.0},
    ):
        assert load_tokenizer(edited(tmp_path, **changes)).vocabulary == ours


def test_special_tokens_may_have_the_first_ids(tmp_path):
    ours = trained("bpe")
    ours.save(tmp_path)
    data = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    last = ours.vocab_size - 1
    shifted = {name: (i + 1) % (last + 1) for name, i in data["model"]["vocab"].items()}
    theirs = BPETokenizer.load(
        edited(
            tmp_path,
            model__vocab=shifted,
            added_tokens=[{"id": 0, "content": "<|endoftext|>"}],
        )
    )
    text = TEXT + "<|endoftext|>"
    assert theirs.encode(text) == [i + 1 for i in ours.encode(text)]
    assert theirs.encode(text, allow_special=True)[-1] == 0
    assert theirs.decode(theirs.encode(text)) == text


REFUSED = {
    "pre_tokenizer": [
        None,
        {"type": "Whitespace"},
        {"type": "ByteLevel", "add_prefix_space": True},
        {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False},
        {"type": "Split", "pattern": {"Regex": "x"}, "behavior": "Isolated", "invert": False},
    ],
    "version": ["2.0", None, 1.0],
    "truncation": [{"direction": "Right", "max_length": 8, "strategy": "LongestFirst"}],
    "padding": [{"strategy": {"Fixed": 8}, "pad_id": 0, "pad_token": "!"}],
    "another": [None, {}],
    "normalizer": [{"type": "NFC"}],
    "decoder": [None, {"type": "Fuse"}],
    "post_processor": [
        {"type": "BertProcessing"},
        {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, TEXT_A]},
        {"type": "TemplateProcessing", "single": [TEXT_A, TEXT_A], "special_tokens": {}},
        {"type": "TemplateProcessing", "single": []},
    ],
    "model__type": ["WordPiece", "Unigram", "WordLevel", None],
    "model__dropout": [0.1],
    "model__byte_fallback": [True],
    "model__ignore_merges": [True],
    "model__end_of_word_suffix": ["</w>"],
    "model__continuing_subword_prefix": ["##"],
    "model__merges": [[["q", "qq"]], [["q", "z"]], ["a"], [["a", "b", "c"]], {"a": "b"}, [3]],
    "model__vocab": [None, ["a"], {"a": "b"}, {"a": 0}, {"a": 0, "b": 2}, {"a": True}],
    "added_tokens": [
        {"a": 1},
        ["<a>"],
        [{"id": "x", "content": "y"}],
        [{"id": 0, "content": ""}],
        [{"id": 10**6, "content": "<a>"}],
        [{"id": 0, "content": "<a>"}],
    ],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in REFUSED.items() for value in values]
)
def test_unsupported_tokenizer_json_is_refused_by_its_key(key, value, tmp_path):
    with pytest.raises(
        ValueError, match=key.replace("__", r"\.").replace(r"model\.m", "m")
    ) as info:
        load_tokenizer(edited(tmp_path, **{key: value}))
    assert str(tmp_path / "tokenizer.json") in str(info.value)


@pytest.mark.parametrize("option", ["lstrip", "rstrip", "single_word"])
def test_special_tokens_with_matching_options_are_refused(option, tmp_path):
    token = {"id": BPE.vocab_size - 1, "content": "<|endoftext|>", option: True}
    with pytest.raises(ValueError, match=rf"added_tokens has '<\|endoftext\|>' with {option}"):
        load_tokenizer(edited(tmp_path, added_tokens=[token]))


def added(name, token_id=None, special=False, **flags):
    about = {"content": name, "special": special, **flags}
    return about if token_id is None else about | {"id": token_id}


EOT = BPE.vocab_size - 1
END = added("<|endoftext|>", EOT, special=True)


def test_added_tokens_that_are_not_special_are_found_in_any_text(tmp_path):
    more = [added("    ", EOT + 1), added("\n\n", EOT + 2), added("  ", EOT + 3)]
    tokenizer = load_tokenizer(edited(tmp_path, added_tokens=[END, *more]))
    text = "the    end  \n\n\n<|endoftext|>"
    ids = tokenizer.encode(text)
    around = [*BPE.encode("the"), EOT + 1, *BPE.encode("end"), EOT + 3, EOT + 2]
    assert ids == [*around, *BPE.encode("\n<|endoftext|>")]
    assert tokenizer.encode(text, allow_special=True) == [*around, *BPE.encode("\n"), EOT]
    assert tokenizer.decode(ids) == text
    tokenizer.save(tmp_path / "again")
    assert load_tokenizer(tmp_path / "again").vocabulary == tokenizer.vocabulary


def test_unnormalized_added_tokens_are_found_first(tmp_path):
    first, then = added("dog the", EOT + 1, True, normalized=False), added("the end", EOT + 2, True)
    tokens = [END, first, then | {"normalized": True}]
    tokenizer = load_tokenizer(edited(tmp_path, added_tokens=tokens))
    ids = tokenizer.encode("dog the end of the end", allow_special=True)
    assert ids == [EOT + 1, *BPE.encode(" end of "), EOT + 2]


@pytest.mark.parametrize("name", ["!", "é", "the"])
def test_ordinary_token_may_also_be_special(tmp_path, name):
    token_id = BPE.encode(name)[0] if name != "é" else BYTE_ORDER.index(0xE9)
    special = [END, added(name, token_id, special=True)]
    tokenizer = load_tokenizer(edited(tmp_path, added_tokens=special))
    text = "the end! the naïve é!!"
    assert tokenizer.encode(text) == BPE.encode(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode(name, allow_special=True) == [token_id]


def test_vocabulary_ids_may_have_holes(tmp_path):
    BPE.save(tmp_path)
    data = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    ids = data["model"]["vocab"]
    tokenizer = load_tokenizer(edited(tmp_path, model__vocab=ids | {"<|endoftext|>": EOT + 9},
                                      added_tokens=[END | {"id": EOT + 9}]))  # fmt: skip
    assert tokenizer.vocab_size == EOT + 10
    assert tokenizer.vocabulary.holes == list(range(EOT, EOT + 9))
    assert tokenizer.decode([EOT + 3, *tokenizer.encode("the end")]) == "the end"
    tokenizer.save(tmp_path / "again")
    assert load_tokenizer(tmp_path / "again").vocabulary == tokenizer.vocabulary


def older(path, config=None, **files):
    """Write a folder with GPT-2's older pair of files, and other files."""
    data = json.loads((edited(path) / "tokenizer.json").read_text(encoding="utf-8"))
    (path / "tokenizer.json").unlink()
    merges = [" ".join(pair) for pair in data["model"]["merges"]]
    (path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]), encoding="utf-8")
    files |= {"vocab": data["model"]["vocab"], "tokenizer_config": config or {}}
    for name, content in files.items():
        (path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return path


def test_added_tokens_in_neighbouring_files_are_read(tmp_path):
    before = BPE.encode("hi ")
    for folder in (
        older(tmp_path / "1", added_tokens={"<|user|>": EOT + 1}),
        older(tmp_path / "2", {"added_tokens_decoder": {str(EOT + 1): added("<|user|>")}}),
    ):
        tokenizer = load_tokenizer(folder)
        assert tokenizer.encode("hi <|user|>") == [*before, EOT + 1]
        assert tokenizer.encode("hi <|endoftext|>", allow_special=True) == [*before, EOT]
    for folder in (
        older(tmp_path / "3", {"pad_token": "<p>"}, added_tokens={"<p>": EOT + 1}),
        older(tmp_path / "4", special_tokens_map={"pad_token": {"content": "<p>"}}),
        older(tmp_path / "5", {"additional_special_tokens": ["<p>"]}),
        older(tmp_path / "6", {"extra_special_tokens": {"image_token": "<p>"}}),
        older(tmp_path / "7", {"image_token": "<p>"}),
    ):
        tokenizer = load_tokenizer(folder)
        assert tokenizer.special_tokens == {"<|endoftext|>": EOT, "<p>": EOT + 1}
        assert tokenizer.encode("hi <p>", allow_special=True) == [*before, EOT + 1]
        assert tokenizer.encode("hi <p>") == BPE.encode("hi <p>")
    for file in ("vocab.json", "merges.txt"):
        assert load_tokenizer(tmp_path / "7" / file).vocabulary == tokenizer.vocabulary


def test_token_roles_survive_saving(tmp_path):
    config = {"eos_token": "</s>", "pad_token": "!", "tokenizer_class": "GPT2Tokenizer"}
    tokenizer = load_tokenizer(older(tmp_path, config))
    tokenizer.save(tmp_path / "again")
    again = load_tokenizer(tmp_path / "again")
    assert again.end_of_text == tokenizer.end_of_text == EOT + 1
    roles = {"bos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "eos_token": "</s>"}
    assert again.vocabulary.roles == roles | {"pad_token": "!"}
    assert again.encode("the end!") == BPE.encode("the end!")


def test_saving_a_tokenizer_removes_files_of_the_previous_one(tmp_path):
    older(tmp_path, {"eos_token": "</s>"}, special_tokens_map={"pad_token": "<p>"},
          added_tokens={"<p>": EOT + 1})  # fmt: skip
    BPE.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert (again.vocabulary, again.end_of_text) == (BPE.vocabulary, EOT)


def test_special_token_without_an_id_needs_no_row(tmp_path):
    older(tmp_path, {"pad_token": "<p>"})
    assert load_tokenizer(tmp_path).special_tokens["<p>"] == EOT + 1
    assert "<p>" not in load_tokenizer(tmp_path, n_rows=EOT + 1).special_tokens
    (tmp_path / "config.json").write_text(json.dumps({"vocab_size": EOT + 1}), encoding="utf-8")
    assert make_tokenizer(str(tmp_path), "").vocabulary == BPE.vocabulary
    older(tmp_path, {"pad_token": "<p>"}, added_tokens={"<p>": EOT + 1})
    assert load_tokenizer(tmp_path, n_rows=EOT + 1).special_tokens["<p>"] == EOT + 1


BESIDE = {
    "add_prefix_space": [True, "false"],
    "add_bos_token": [True],
    "add_eos_token": [True],
    "split_special_tokens": [True],
    "tokenizer_class": ["RobertaTokenizer", "LlamaTokenizerFast", 3],
    "auto_map": [{"AutoTokenizer": ["x.Y", None]}],
    "vocab": [{"a": 0}],
    "pad_token": [3, {"content": "<p>", "lstrip": True}],
    "extra_special_tokens": ["<p>", [3]],
    "added_tokens_decoder": [["x"], {"x": {}}, {"7": {"content": "<p>"}}, {"7": None}],
    "added_tokens": [{str(EOT + 2): {"content": "<p>"}}],
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in BESIDE.items() for value in values]
)
@pytest.mark.parametrize("make", [older, edited])
def test_unsupported_tokenizer_config_is_refused_by_its_key(make, key, value, tmp_path):
    config = {"added_tokens_decoder" if key == "added_tokens" else key: value}
    make(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match=key.removesuffix("_decoder")):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"), [("add_bos_token", True), ("image_token", "<p>"), ("add_prefix_space", True)]
)
@pytest.mark.parametrize("make", [older, edited])
def test_unknown_key_of_special_tokens_map_is_refused(make, key, value, tmp_path):
    make(tmp_path)
    path = tmp_path / "special_tokens_map.json"
    path.write_text(json.dumps({key: value, "x_token": None}), encoding="utf-8")
    with pytest.raises(ValueError, match=f"special_tokens_map.json has the key '{key}'"):
        load_tokenizer(tmp_path)


def test_merges_txt_has_the_line_ends_of_transformers(tmp_path):
    merges = older(tmp_path) / "merges.txt"
    text = merges.read_text(encoding="utf-8")
    merges.write_bytes(text.replace("\n", "\r\n").encode())
    assert load_tokenizer(tmp_path).vocabulary == BPE.vocabulary
    for border in ("\r", "\x0b", "\x85"):
        head, first, rest = text.split("\n", 2)
        merges.write_bytes(f"{head}\n{first}{border}{rest}".encode())
        with pytest.raises(ValueError, match="does not join two tokens"):
            load_tokenizer(tmp_path)


def test_ordinary_added_token_with_white_space_is_refused(tmp_path):
    path = edited(tmp_path, added_tokens=[END, added("New York", EOT + 1)])
    with pytest.raises(ValueError, match="added_tokens has 'New York', which is not special"):
        load_tokenizer(path)


def test_vocabulary_without_a_byte_is_refused(tmp_path):
    vocabulary = {spell(bytes([byte])): i for i, byte in enumerate(BYTE_ORDER[:-1])}
    path = edited(tmp_path, model__vocab=vocabulary, model__merges=[], added_tokens=[])
    with pytest.raises(ValueError, match=r"model\.vocab has no token for the byte 173"):
        load_tokenizer(path)


def test_token_that_spells_no_bytes_is_refused(tmp_path):
    vocabulary = {spell(bytes([byte])): i for i, byte in enumerate(BYTE_ORDER)} | {"a b": 256}
    path = edited(tmp_path, model__vocab=vocabulary, model__merges=[], added_tokens=[])
    with pytest.raises(ValueError, match="token 'a b': ' ' stands for no byte"):
        load_tokenizer(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__vocab": {"a": 0}}, "model.vocab lacks the unknown token, <unk>"),
        ({"model__unk_token": "[UNK]"}, r'model.unk_token is "\[UNK\]".*supports only "<unk>"'),
        ({"decoder": None}, 'decoder is null.*supports only "Fuse"'),
    ],
)
def test_unsupported_word_file_is_refused(changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_tokenizer(edited(tmp_path, "word", **changes))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other", KINDS)
def test_tokenizer_class_loads_only_its_own_kind(kind, other, tmp_path):
    trained(other).save(tmp_path)
    if kind == other:
        assert TOKENIZERS[kind].load(tmp_path).kind == kind
    else:
        with pytest.raises(ValueError, match=f"'{other}'.*{TOKENIZERS[kind].__name__}.*'{kind}'"):
            TOKENIZERS[kind].load(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b'"\xff"', "is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "must hold a JSON object, got a list"),
        (b"{}", "this is not a tokenizer.json: it has no object called 'model'"),
        (b'{"model": 1}', "this is not a tokenizer.json: it has no object called 'model'"),
        (b'{"model": {}}', "pre_tokenizer is null, but miniGPT supports only GPT-2's"),
    ],
)
def test_invalid_tokenizer_file_is_refused(content, message, tmp_path):
    file = tmp_path / "tokenizer.json"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=message) as info:
        load_tokenizer(tmp_path)
    assert str(file) in str(info.value)


@pytest.mark.parametrize("name", ["", "missing.json", "missing"])
def test_missing_tokenizer_file_is_named(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no tokenizer at .*json"):
        load_tokenizer(tmp_path / name)


def test_tokenizer_config_names_the_existing_tokens():
    common = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 64,
        "clean_up_tokenization_spaces": False,
    }
    end = dict.fromkeys(["bos_token", "eos_token", "pad_token"], "<|endoftext|>")
    assert trained("bpe").tokenizer_config(64) == common | end
    assert trained("word").tokenizer_config(64) == common | {"unk_token": "<unk>"}
    assert BPETokenizer([]).train(TEXT, 300).tokenizer_config(64) == common


# -------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["ab\ud800", "ab\udfffc"])
def test_lone_surrogates_are_refused(kind, text):
    message = f"lone surrogate, U\\+{ord(text[2]):04X}, at position 2"
    with pytest.raises(ValueError, match=message):
        trained(kind).encode(text)
    with pytest.raises(ValueError, match=message):
        TOKENIZERS[kind]().train(text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [b"ab", None, 3, [b"ab"]])
def test_text_must_be_a_str(kind, text):
    message = f"text must be a str, not {type(text).__name__}"
    with pytest.raises(TypeError, match=message):
        trained(kind).encode(text)
    message = f"text must be a str, not (bytes|{type(text).__name__})"
    with pytest.raises(TypeError, match=message):
        TOKENIZERS[kind]().train(text)


@pytest.mark.parametrize("kind", KINDS)
def test_training_on_an_empty_text_is_refused(kind):
    with pytest.raises(ValueError, match="nothing to train on: the text is empty"):
        TOKENIZERS[kind]().train("")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("vocab_size", [300.0, "300", [300], np.array([300])])
def test_vocab_size_must_be_an_integer(kind, vocab_size):
    with pytest.raises(TypeError, match="vocab_size must be an integer, not "):
        TOKENIZERS[kind]().train(TEXT, vocab_size)


@pytest.mark.parametrize(
    ("tokenizer", "vocab_size", "message"),
    [
        (BPETokenizer(), 256, "=256 is too small: the 256 bytes.* 1 special .* are 257 tokens"),
        (BPETokenizer([]), 255, "=255 is too small: the 256 bytes.* 0 special .* are 256 tokens"),
        (WordTokenizer(), 1, "=1 is too small: there must be at least 2 tokens"),
        (CharTokenizer(), -5, "=-5 is too small: there must be at least 2 tokens"),
    ],
)
def test_impossible_vocab_size_is_refused(tokenizer, vocab_size, message):
    with pytest.raises(ValueError, match=f"vocab_size{message}"):
        tokenizer.train("ear dear year", vocab_size)
    with pytest.raises(RuntimeError):
        tokenizer.encode("ear")  # nothing half-learned is left behind


@pytest.mark.parametrize(("kind", "largest"), [("bpe", 263), ("word", 5), ("char", 7)])
def test_vocab_size_is_limited_by_the_text(kind, largest):
    """This holds for every kind, and for a requested and the default size."""
    texts = ["ear dear year"]
    for size in (largest, largest + 1, 10**9):
        tokenizer = TOKENIZERS[kind]().train(texts, size)
        assert tokenizer.vocab_size == largest
        assert tokenizer.decode(tokenizer.encode(texts[0])) == texts[0]
    assert TOKENIZERS[kind]().train(texts, largest - 1).vocab_size == largest - 1
    assert TOKENIZERS[kind]().train(texts).vocab_size == largest


def test_largest_vocab_size_named_in_the_error_works():
    assert len(BPETokenizer().train("ear dear year", 263).encode("ear dear year")) == 3
    assert WordTokenizer().train("ear dear year", 5).vocab_size == 5
    assert CharTokenizer().train("ear dear year", 7).vocab_size == 7


@pytest.mark.parametrize("kind", KINDS)
def test_ids_outside_the_vocabulary_are_refused(kind):
    tokenizer = trained(kind)
    for token_id in (-1, tokenizer.vocab_size, 10**30):
        message = f"token id {token_id} is not in the .* from 0 to {tokenizer.vocab_size - 1}"
        with pytest.raises(ValueError, match=message):
            tokenizer.decode([0, token_id])
        with pytest.raises(ValueError, match=message):
            tokenizer.token_bytes(token_id)


@pytest.mark.parametrize(
    "token_id", [1.0, "1", None, np.float32(1), np.array([1, 2]), np.array([1])]
)
def test_ids_must_be_integers(token_id):
    with pytest.raises(TypeError, match="a token id must be an integer, not "):
        BPE.decode([0, token_id])


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        (["<a>", "<b>", "<a>"], ValueError, "'<a>' is given twice"),
        (["<a>", ""], ValueError, "a special token must have a name, but one is empty"),
        ("<a>", TypeError, r"must be a list of names, not one name: write \['<a>'\]"),
        ([b"<a>"], TypeError, "a special token must be a str, not bytes"),
        (["<\ud800>"], ValueError, r"a special token holds a lone surrogate, U\+D800"),
    ],
)
def test_invalid_special_tokens_are_refused(names, error, message):
    with pytest.raises(error, match=message):
        BPETokenizer(names)


@pytest.mark.parametrize("name", ["a", "ear", "Ġdear"])
def test_special_token_equal_to_an_ordinary_one_is_refused(name):
    with pytest.raises(ValueError, match=f"special token '{name}' is also an ordinary token"):
        BPETokenizer([name]).train("ear dear year")


@pytest.mark.parametrize("kind", KINDS)
def test_untrained_tokenizer_refuses_to_encode(kind, tmp_path):
    tokenizer = TOKENIZERS[kind]()
    name = type(tokenizer).__name__
    for use in (
        lambda: tokenizer.encode("a"),
        lambda: tokenizer.decode([0]),
        lambda: tokenizer.vocab_size,
        lambda: len(tokenizer),
        lambda: tokenizer.token_bytes(0),
        lambda: tokenizer.special_tokens,
        lambda: tokenizer.save(tmp_path),
    ):
        with pytest.raises(RuntimeError, match=rf"this {name} knows no tokens yet: .*train\(text"):
            use()
    assert repr(tokenizer) == f"{name}(untrained)"
    assert list(tmp_path.iterdir()) == []


def test_tokenizer_repr_shows_size_and_special_tokens():
    tokenizer = BPETokenizer().train(TEXT, 300)
    assert repr(tokenizer) == "BPETokenizer(vocab_size=300, special_tokens=['<|endoftext|>'])"


# ------------------------------------------------------------------------------------------- docs


def test_tokenizer_doctests_are_right():
    names = [module.name for module in pkgutil.iter_modules(minigpt.text.tokenizers.__path__)]
    modules = [importlib.import_module(f"minigpt.text.tokenizers.{name}") for name in names]
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.attempted for result in results) >= 8
    assert not any(result.failed for result in results)
