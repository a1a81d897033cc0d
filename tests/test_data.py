import io
import math
import sys

import numpy as np
import pytest

from minigpt import (
    Corpus,
    Dataset,
    WordTokenizer,
    get_batch,
    load_corpus,
    split_text,
    token_array,
)


def test_a_batch_is_windows_and_the_same_windows_one_token_later():
    data = np.arange(1000, 1100)
    x, y = get_batch(data, block_size=7, batch_size=5, rng=np.random.default_rng(0))
    assert x.shape == y.shape == (5, 7)
    assert x.dtype == np.int64
    np.testing.assert_array_equal(y, x + 1)
    np.testing.assert_array_equal(np.diff(x), 1)


def test_batches_reach_both_ends_and_follow_the_generator():
    data = np.arange(12)
    x, y = get_batch(data, 8, 1000, np.random.default_rng(0))
    assert set(x[:, 0]) == {0, 1, 2, 3}
    assert y.max() == 11
    again, _ = get_batch(data, 8, 1000, np.random.default_rng(0))
    np.testing.assert_array_equal(x, again)
    assert (get_batch(data, 2, 100)[0] != get_batch(data, 2, 100)[0]).any()


def test_parts_of_a_batch_are_those_of_the_whole():
    data = np.arange(1000, 1100)
    generator, others = np.random.default_rng(0), np.random.default_rng(0)
    whole = get_batch(data, 7, 5, generator)
    part = get_batch(data, 7, 5, others, slice(1, 3))
    np.testing.assert_array_equal(part, np.stack(whole)[:, 1:3])
    assert generator.random() == others.random()


def test_a_text_just_long_enough_is_a_batch():
    x, y = get_batch([1, 2, 3], 2, 1)
    np.testing.assert_array_equal([x[0], y[0]], [[1, 2], [2, 3]])


@pytest.mark.parametrize(
    ("data", "sizes", "message"),
    [
        (np.arange(8), (8, 1), "data has 8 tokens, .* need 9"),
        (np.arange(8), (0, 1), "block_size must be at least 1"),
        (np.arange(8), (2, 0), "batch_size must be at least 1"),
    ],
)
def test_batches_that_cannot_be(data, sizes, message):
    with pytest.raises(ValueError, match=message):
        get_batch(data, *sizes)


@pytest.mark.parametrize(
    ("vocab_size", "dtype"), [(256, np.uint8), (257, np.uint16), (65536, np.uint16), (65537, "u4")]
)
def test_tokens_take_the_smallest_type_that_fits(vocab_size, dtype):
    tokens = token_array([0, vocab_size - 1], vocab_size)
    assert tokens.dtype == dtype
    assert tokens[1] == vocab_size - 1


def test_split_keeps_every_character_in_order():
    train, val = split_text("abcdefghij" * 10)
    assert train + val == "abcdefghij" * 10
    assert len(val) == 10
    with pytest.raises(ValueError, match="between 0 and 1, got 1"):
        split_text("abc", 1)


def test_the_built_in_corpus_knows_its_floor():
    corpus = load_corpus(["plays"])
    assert corpus.name == "plays"
    assert 0 < corpus.floor < 2
    assert len(corpus.train) > 8 * len(corpus.val)


def test_files_folders_and_standard_input(tmp_path, monkeypatch):
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "b.txt").write_text("bbb", encoding="utf-8")
    (tmp_path / "folder" / "inner" / "c.txt").write_text("ccc", encoding="utf-8")
    (tmp_path / "folder" / "picture.png").write_bytes(b"\xff\xfe")
    (tmp_path / "a.txt").write_bytes("\ufeffdéjà\r\nvu\r".encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from afar")))

    def text_of(*sources):
        corpus = load_corpus(sources)
        return corpus.train + corpus.val

    assert text_of(tmp_path / "a.txt") == "déjà\nvu\n"
    assert text_of(tmp_path / "folder") == "bbbccc"
    assert text_of(tmp_path / "folder" / "b.txt", tmp_path / "a.txt") == "bbbdéjà\nvu\n"
    assert text_of("-") == "from afar"
    assert load_corpus([tmp_path / "a.txt"]).floor is None


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("empty.txt", b"", ValueError, "no text in .*empty.txt"),
        ("blank.txt", b" \n ", ValueError, "no text in"),
        ("latin.txt", b"caf\xe9", ValueError, r"latin.txt is not UTF-8 text \(byte 3 is 0xe9\)"),
    ],
)
def test_texts_that_are_none(tmp_path, name, content, error, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        load_corpus([tmp_path / name])


def test_texts_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="did you mean 'plays'"):
        load_corpus(["playss"])
    with pytest.raises(FileNotFoundError, match="minigpt fetch shakespeare"):
        load_corpus(["shakespeare"])
    with pytest.raises(FileNotFoundError, match=r"has no \.txt files"):
        load_corpus([tmp_path])


def test_bits_per_character_do_not_depend_on_the_tokens():
    text = "one two three " * 50
    dataset = Dataset.from_corpus(Corpus("x", text, text), WordTokenizer().train(text))
    nats = 1.5 * len(dataset.val)  # for the whole text
    bits = dataset.bits_per_character(1.5)
    assert bits == pytest.approx(nats / math.log(2) / len(text))


def test_unknown_words_are_charged_for():
    train, val = "one two three " * 50, "one quagga three " * 30
    few, all_words = (WordTokenizer().train(text) for text in (train, train + val))
    known, unknown = (
        Dataset.from_corpus(Corpus("x", train, val), tokenizer) for tokenizer in (all_words, few)
    )
    assert known.spelling_bits == 0
    assert unknown.val_spelling == pytest.approx(30 * few.spelling_nats("quagga"))
    bits = unknown.bits_per_character(1.5)
    assert bits == pytest.approx(known.bits_per_character(1.5) + unknown.spelling_bits)
    total = 1.5 * len(unknown.val) + unknown.val_spelling
    assert bits == pytest.approx(total / math.log(2) / len(val))
