import gzip
import io
import math
import sys
import warnings
from itertools import pairwise

import numpy as np
import pytest

from minigpt import (
    BPETokenizer,
    CharTokenizer,
    Corpus,
    Dataset,
    WordTokenizer,
    get_batch,
    load_corpus,
    split_text,
    token_array,
)
from minigpt.text.data import encode
from minigpt.text.documents import read_stdin
from minigpt.text.sources import name_of
from minigpt.text.special_names import count_special, special_note

TEXT = "one two three " * 50


def test_batch_targets_are_the_next_tokens():
    data = np.arange(1000, 1100)
    x, y = get_batch(data, block_size=7, batch_size=5, rng=np.random.default_rng(0))
    assert x.shape == y.shape == (5, 7)
    assert x.dtype == np.int64
    np.testing.assert_array_equal(y, x + 1)
    np.testing.assert_array_equal(np.diff(x), 1)


def test_batches_cover_all_windows_and_follow_the_generator():
    data = np.arange(12)
    x, y = get_batch(data, 8, 1000, np.random.default_rng(0))
    assert set(x[:, 0]) == {0, 1, 2, 3}
    assert y.max() == 11
    again, _ = get_batch(data, 8, 1000, np.random.default_rng(0))
    np.testing.assert_array_equal(x, again)
    assert (get_batch(data, 2, 100)[0] != get_batch(data, 2, 100)[0]).any()


def test_batch_rows_equal_those_of_the_whole_batch():
    data = np.arange(1000, 1100)
    generator, others = np.random.default_rng(0), np.random.default_rng(0)
    whole = get_batch(data, 7, 5, generator)
    part = get_batch(data, 7, 5, others, slice(1, 3))
    np.testing.assert_array_equal(part, np.stack(whole)[:, 1:3])
    assert generator.random() == others.random()


def test_batch_from_the_shortest_possible_text():
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
def test_impossible_batches_are_refused(data, sizes, message):
    with pytest.raises(ValueError, match=message):
        get_batch(data, *sizes)


@pytest.mark.parametrize(
    ("vocab_size", "dtype"), [(256, np.uint8), (257, np.uint16), (65536, np.uint16), (65537, "u4")]
)
def test_token_array_has_the_smallest_dtype_that_fits(vocab_size, dtype):
    tokens = token_array([0, vocab_size - 1], vocab_size)
    assert tokens.dtype == dtype
    assert tokens[1] == vocab_size - 1


def test_split_keeps_every_character_in_order():
    train, val = split_text("abcdefghij" * 10)
    assert train + val == "abcdefghij" * 10
    assert len(val) == 10
    with pytest.raises(ValueError, match="between 0 and 1, got 1"):
        split_text("abc", 1)


def test_built_in_corpus_has_a_floor():
    corpus = load_corpus(["plays"])
    assert corpus.name == "plays"
    assert 0 < corpus.floor < 2
    assert len(corpus.train) > 8 * len(corpus.val)


def test_load_corpus_reads_files_folders_and_standard_input(tmp_path, monkeypatch):
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


TEXTS = {
    "a.txt": "wer\u00e4re\n".encode(),
    "b.TXT": b"\xef\xbb\xbfbb\r\n",
    "c.txt.gz": gzip.compress(b"ccc"),
    "d.jsonl": b'{"text": "d"}\n\n{"text": ""}\n{"text": "dd"}',
    "e.txt": "eé".encode("utf-16"),
    "f.txt": b"\xfe\xff" + "f".encode("utf-16-be"),
    "g.txt": "g𝄞".encode("utf-32"),
    "h.txt": b"",
    "i.txt": b"\0\0\xfe\xff" + "i".encode("utf-32-be"),
}
DOCUMENTS = ["weräre\n", "bb\n", "ccc", "d", "dd", "eé", "f", "g𝄞", "i"]


@pytest.fixture
def books(tmp_path):
    folder = tmp_path / "books"
    folder.mkdir()
    for name, content in TEXTS.items():
        (folder / name).write_bytes(content)
    for hidden in ("._a.txt", ".git/x.txt"):  # as macOS leaves beside files on other disks
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_bytes(b"\0\xff")
    return folder


def documents_of(corpus):
    text = corpus.train + corpus.val
    return [text[a:b] for a, b in pairwise((0, *corpus.ends, len(text)))]


@pytest.mark.parametrize("names", [["books"], ["books/*"], ["books/[a-d]*", "books/[e-z]*.txt"]])
def test_load_corpus_reads_documents_from_every_kind_of_file(books, names):
    corpus = load_corpus([books.parent / name for name in names])
    assert corpus.name == "books"
    assert documents_of(corpus) == DOCUMENTS
    assert [*corpus.train_ends, *(len(corpus.train) + end for end in corpus.val_ends)] == list(
        corpus.ends
    )


def test_dataset_has_an_end_of_text_after_each_document(books):
    corpus = load_corpus([books])
    corpus = Corpus("x", corpus.train[:10], corpus.train[10:] + corpus.val, ends=corpus.ends)
    assert 10 in corpus.ends  # where the training part ends, and a document too
    tokenizer = BPETokenizer().train("any")
    dataset = Dataset.from_corpus(corpus, tokenizer)
    end = tokenizer.end_of_text
    expected = [id for text in DOCUMENTS for id in (*tokenizer.encode(text), end)][:-1]
    assert [*dataset.train, *dataset.val] == expected
    assert dataset.train[-1] == end
    no_end = CharTokenizer().train("".join(DOCUMENTS))
    assert len(Dataset.from_corpus(corpus, no_end).val) == len(corpus.val)


def test_undecodable_files_are_named_or_skipped(books):
    (books / "bad.txt").write_bytes(b"caf\xe9")
    (books / "worse.jsonl").write_bytes(b'{"text": "\xff"}')
    with pytest.raises(ValueError, match=r"2 files of 11 .*bad\.txt .*worse\.jsonl.*skip_undecod"):
        load_corpus([books])
    said = []
    corpus = load_corpus([books], skip_undecodable=True, say=said.append)
    assert documents_of(corpus) == DOCUMENTS
    assert len(said) == 2
    assert "left out" in said[0]
    with pytest.warns(UserWarning, match=r"left out: .*bad\.txt"):
        load_corpus([books / "bad.txt", books / "a.txt"], skip_undecodable=True)
    with pytest.raises(ValueError, match="no file is left"):
        load_corpus([books / "bad.txt"], skip_undecodable=True, say=said.append)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('[{"story": "a"}, {"story": "b", "text": "c"}]', ["a", "b"]),
        ('{"story": "a"}', ["a"]),
        ('{"story": "a"}\n\n{"story":\t"b"}\n', ["a", "b"]),
    ],
)
def test_json_file_is_read_by_its_field(tmp_path, content, expected):
    (tmp_path / "a.json").write_text(content)
    assert documents_of(load_corpus([tmp_path / "a.json"], field="story")) == expected


@pytest.mark.parametrize(
    ("name", "content", "field", "message"),
    [
        ("a.json", '["a"]', None, "object 1, has no text in the field 'text'"),
        ("a.json", '{"data": [{"story": "a"}]}', "story", "no text in the field 'story'.*'data'"),
        ("a.json", '[{"text": "a"}', None, "a.json is not JSON"),
        ("a.csv", "story\nab", "story", "a.csv is read as plain text.* leave out --field"),
        ("a.jsonl", '{"text": "a"}\n{"text": "b\\udc00"}', None, r"line 2, .*U\+DC00.*position 1"),
        ("a.json", '[{"text": "\\ud800"}]', None, r"a.json, object 1, has a lone surrogate"),
    ],
)
def test_invalid_field_of_a_json_file_is_refused(tmp_path, name, content, field, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        load_corpus([tmp_path / name], field)


MARKED = "one tale.\n<|endoftext|>two tales.\n<|endoftext|>" * 30


def test_special_token_names_are_letters_unless_allowed():
    tokenizer = BPETokenizer().train(MARKED, allow_special=True)
    assert not any(b"endof" in token for token in tokenizer.vocabulary.tokens[:-1])
    corpus = Corpus("x", *split_text(MARKED))
    with pytest.warns(UserWarning, match=r"has '<\|endoftext\|>' 60 times: .*allow_special=True"):
        letters = Dataset.from_corpus(corpus, tokenizer)
    with warnings.catch_warnings(action="error"):
        dataset = Dataset.from_corpus(corpus, tokenizer, allow_special=True)
        Dataset.from_corpus(corpus, tokenizer, allow_special=False)
        Dataset.from_corpus(Corpus("x", TEXT, TEXT), tokenizer)
    end = tokenizer.end_of_text
    assert end not in letters.train
    assert [*dataset.train, *dataset.val] == tokenizer.encode(MARKED, allow_special=True)
    assert (dataset.train == end).sum() + (dataset.val == end).sum() == 60
    assert dataset.val_characters == sum(map(len, corpus.val.split("<|endoftext|>")))
    with pytest.raises(ValueError, match="has only special tokens"):
        Dataset.from_corpus(Corpus("x", "a", "<|endoftext|>"), tokenizer, allow_special=True)


@pytest.mark.parametrize("n", range(14))
def test_special_token_name_is_not_split_between_parts(n):
    tokenizer = BPETokenizer().train("any")
    text = "ab<|endoftext|>cd"
    corpus = Corpus("x", text[: 2 + n], text[2 + n :], ends=(1,))
    dataset = Dataset.from_corpus(corpus, tokenizer, allow_special=True)
    a, b, c, d = map(tokenizer.encode, "abcd")
    end = [tokenizer.end_of_text]
    assert [*dataset.train, *dataset.val] == a + end + b + end + c + d
    assert end[0] in dataset.train[2:] or n == 0


def test_special_token_with_white_space_is_found_in_a_long_text():
    tokenizer = BPETokenizer(special_tokens=["the end"]).train("any")
    text = "one the end two " * 40_000
    ids = encode(text, tokenizer, allow_special=True)
    assert (ids == tokenizer.special_tokens["the end"]).sum() == 40_000


def test_note_says_which_names_are_read_as_letters():
    bpe, char = BPETokenizer().train("any"), CharTokenizer().train("any <unk>")
    counts = count_special("a<|endoftext|><|endoftext|>", bpe)
    assert counts == {"<|endoftext|>": 2}
    assert special_note(counts, bpe, allow_special=True) is None
    assert "2 times: read as letters, not as" in special_note(counts, bpe, allow_special=False)
    for allow in (True, False):
        assert "the char tokenizer has no such token" in special_note(counts, char, allow)
    assert "'<unk>' 1 time:" in special_note(
        count_special("<unk>", char), char, allow_special=False
    )
    assert special_note(count_special("plain", bpe), bpe, allow_special=False) is None


def test_run_names_come_from_sources():
    names = ["a/b.txt", "b.jsonl.gz", "b/*.txt", "b/**/*.gz", "*", "-", ".", "b"]
    assert [name_of(name) for name in names] == [*"bbbb", "text", "text", "text", "b"]


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("empty.txt", b"", ValueError, "no text in .*empty.txt"),
        ("blank.txt", b" \n ", ValueError, "no text in"),
        ("latin.txt", b"caf\xe9", ValueError, r"latin.txt is not UTF-8 text \(byte 3 is 0xe9\)"),
        ("long.txt", b"a" * 99_999 + b"\xe9 b", ValueError, r"\(byte 99999 is 0xe9\)"),
        ("mark.txt", b"\xef\xbb\xbf" + b"a" * 9000 + b"\xe9", ValueError, r"\(byte 9003 is"),
        ("gz.txt.gz", gzip.compress(b"a" * 9000 + b"\xe9"), ValueError, r"\(byte 9000 is"),
        ("odd.txt", b"\xff\xfea\0b", ValueError, r"the UTF-16 text its mark says \(byte 4 is"),
        ("two.txt", "two".encode("utf-16-le"), ValueError, "as in UTF-16, but the mark"),
        ("big.txt", "big".encode("utf-16-be"), ValueError, "as in UTF-16, but the mark"),
        ("zip.txt", b"PK\x03\x04\xff", ValueError, r"zip.txt is not text, but a ZIP archive"),
        ("packed.txt", gzip.compress(b"a"), ValueError, "gzip, though its name does not end in"),
    ],
)
def test_files_without_a_text_are_refused(tmp_path, name, content, error, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        load_corpus([tmp_path / name])


def test_standard_input_is_decoded_like_a_file(monkeypatch):
    for content, expected in (("é\r\n".encode("utf-16"), "é\n"), (b"\xef\xbb\xbfa\rb", "a\nb")):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert read_stdin() == expected
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xe9")))
    with pytest.raises(ValueError, match="standard input is not UTF-8"):
        load_corpus(["-"])


def test_missing_texts_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="did you mean 'plays'"):
        load_corpus(["playss"])
    with pytest.raises(FileNotFoundError, match="minigpt fetch shakespeare"):
        load_corpus(["shakespeare"])
    with pytest.raises(FileNotFoundError, match=r"there is no file 'play\.txt'$"):
        load_corpus(["play.txt"])
    with pytest.raises(FileNotFoundError, match="plays cannot be combined with other texts"):
        load_corpus(["plays", "plays"])
    with pytest.raises(FileNotFoundError, match=r"no file with a name like '\*\.md'"):
        load_corpus(["*.md"])
    with pytest.raises(FileNotFoundError, match=r"has no files ending in \.txt, \.txt\.gz"):
        load_corpus([tmp_path])


def test_bits_per_character_do_not_depend_on_the_tokens():
    text = "one two three " * 50
    dataset = Dataset.from_corpus(Corpus("x", text, text), WordTokenizer().train(text))
    nats = 1.5 * len(dataset.val)  # for the whole text
    bits = dataset.bits_per_character(1.5)
    assert bits == pytest.approx(nats / math.log(2) / len(text))


def test_dataset_charges_for_unknown_words():
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
