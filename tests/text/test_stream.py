"""Texts in pieces: cut between tokens, processed in order, also on several processes."""

import dataclasses
import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent import futures
from itertools import pairwise
from multiprocessing.context import SpawnProcess

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minigpt.text import encoding
from minigpt.text.encoding import count_words, encode_pieces
from minigpt.text.tokenizers import TOKENIZERS, BPETokenizer, merges
from minigpt.text.tokenizers.patterns import GPT2_PATTERN, WORD_PATTERN, split
from minigpt.text.tokenizers.stream import cut_between_words, pieces_of

KINDS = sorted(TOKENIZERS)
TEXT = "My dear,  my dear! Don't you\r\n\r\nhear? Der Bär, 熊熊 🐻🐻. " * 9
# Several kinds of white space, including \x1c and \x1f, which are white space only for Python.
NASTY = st.text(alphabet=" \n\r\t\x0b\x0c\x1c\x1f\x85\xa0\u2028\u2009\u3000'ab!1熊é", max_size=60)


def cut_at(text, places):
    cuts = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(cuts)]


# ------------------------------------------------------------------------------------ cutting


@given(NASTY, st.lists(st.integers(0, 60), max_size=8))
@example("!\x1ca", [1])
@example("!\x1ca", [])
@example("a \n b", [2, 3])
def test_cut_between_words_cuts_no_word(text, places):
    pieces = list(cut_between_words(cut_at(text, places)))
    assert "".join(pieces) == text
    assert all(pieces)
    for pattern in (GPT2_PATTERN, WORD_PATTERN):
        words = [word for piece in pieces for word in split(pattern, piece)]
        assert words == split(pattern, text)


def test_pieces_have_about_the_requested_length():
    lengths = [len(piece) for piece in pieces_of(TEXT * 9, 100)]
    assert max(lengths) < 130
    assert min(lengths[:-1]) > 70
    assert list(cut_between_words(["my", " dear", "\nfriend"])) == ["my", " dear", "\nfriend"]
    assert list(pieces_of("")) == []
    assert list(pieces_of("x" * 1000, 10)) == ["x" * 1000]


def test_cut_between_words_cuts_a_huge_word(monkeypatch):
    monkeypatch.setattr("minigpt.text.tokenizers.stream.MAX_PIECE_CHARS", 1000)
    pieces = list(cut_between_words(["x" * 300] * 100))
    assert "".join(pieces) == "x" * 30_000
    assert max(map(len, pieces)) <= 1300
    assert min(map(len, pieces[:-1])) > 1000


def test_cut_between_words_scans_a_long_word_once():
    class Part(str):
        looked_at = 0

        def __getitem__(self, place):
            Part.looked_at += isinstance(place, int)
            return super().__getitem__(place)

    list(cut_between_words(Part("x" * 100) for _ in range(100)))
    assert Part.looked_at < 3 * 100 * 100


# ----------------------------------------------------------------------- training and encoding


@pytest.mark.parametrize("kind", KINDS)
@given(text=NASTY.filter(bool), places=st.lists(st.integers(0, 60), max_size=8))
def test_training_and_encoding_in_pieces_equal_the_whole_text(kind, text, places):
    whole = TOKENIZERS[kind]().train(text)
    pieces = list(cut_between_words(cut_at(text, places)))
    assert TOKENIZERS[kind]().train(iter(pieces)).vocabulary == whole.vocabulary
    ids = [int(i) for array in encode_pieces(whole, pieces) for i in array]
    assert ids == whole.encode(text)


def test_piece_borders_are_word_borders():
    words = BPETokenizer().count_words(["my de", "ar", " my"])
    assert words == Counter({"my": 1, " de": 1, "ar": 1, " my": 1})


@pytest.mark.parametrize("kind", KINDS)
def test_long_texts_are_processed_in_pieces(kind, monkeypatch):
    tokenizer = TOKENIZERS[kind]().train(TEXT)
    expected = tokenizer.encode(TEXT)
    lengths = []

    def pieces_of_ten(text):
        for piece in pieces_of(text, 10):
            lengths.append(len(piece))
            yield piece

    monkeypatch.setattr("minigpt.text.tokenizers.base.pieces_of", pieces_of_ten)
    assert tokenizer.encode(TEXT) == expected
    assert TOKENIZERS[kind]().train(TEXT).vocabulary == tokenizer.vocabulary
    assert sum(lengths) == 2 * len(TEXT)
    assert max(lengths) < 30


@given(st.text(alphabet="abc", min_size=1, max_size=80), st.text(alphabet="abc", max_size=80))
def test_merges_of_long_words_equal_the_simple_method(text, word):
    ranks = {pair: rank for rank, pair in enumerate(merges.learn_merges(Counter([text]), 40))}
    joined = [256 + rank for rank in ranks.values()]
    ids = [merges.BYTE_ORDER.index(byte) for byte in word.encode()]
    expected = merges.apply_merges(list(ids), ranks, joined)
    assert merges._apply_merges_to_long(ids, ranks, joined) == expected


def test_bpe_training_reports_progress():
    seen = []

    def track(numbers):
        for number in numbers:
            seen.append(number)
            yield number

    words = BPETokenizer().count_words(TEXT)
    assert BPETokenizer().learn(words, 280, track).vocab_size == 280
    assert seen == list(range(280 - 257))


# -------------------------------------------------------------------------------- on processes


def test_worker_processes_count_words_in_order(monkeypatch):
    monkeypatch.setattr(encoding, "MIN_CHARS_FOR_PROCESSES", 100)
    tokenizer = BPETokenizer()
    counts = count_words(tokenizer, pieces_of(TEXT, 50), 2)
    assert list(counts.items()) == list(tokenizer.count_words(TEXT).items())


@pytest.mark.parametrize("kind", ["bpe", "word"])
def test_worker_processes_encode_in_order(kind, monkeypatch):
    monkeypatch.setattr(encoding, "MIN_CHARS_FOR_PROCESSES", 100)
    tokenizer = TOKENIZERS[kind]().train(TEXT)
    pieces = list(pieces_of(TEXT, 50))
    arrays = list(encode_pieces(tokenizer, pieces, 2))
    assert len(arrays) == len(pieces)
    assert np.concatenate(arrays).tolist() == tokenizer.encode(TEXT)
    assert {array.dtype for array in arrays} == {np.min_scalar_type(tokenizer.vocab_size - 1)}


def test_worker_processes_receive_few_pieces_at_a_time(monkeypatch):
    monkeypatch.setattr(encoding, "MIN_CHARS_FOR_PROCESSES", 100)
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield TEXT

    arrays = encode_pieces(BPETokenizer().train(TEXT), endless(), 2)
    for given_back in range(1, 20):
        next(arrays)
        assert taken <= given_back + 2 * encoding.PIECES_PER_PROCESS
    arrays.close()


def test_short_text_starts_no_process(monkeypatch):
    monkeypatch.setattr(encoding, "_start_processes", None)
    tokenizer = BPETokenizer().train(TEXT)
    pieces = pieces_of(TEXT, 50)
    assert np.concatenate(list(encode_pieces(tokenizer, pieces, 4))).tolist() == tokenizer.encode(
        TEXT
    )


@pytest.mark.parametrize("started", [0, 1])
def test_encoding_works_where_no_process_can_be_started(started, monkeypatch):
    monkeypatch.setattr(encoding, "MIN_CHARS_FOR_PROCESSES", 100)
    start, n = SpawnProcess.start, 0

    def start_some(self):
        nonlocal n
        n += 1
        if n > started:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        start(self)

    monkeypatch.setattr(SpawnProcess, "start", start_some)
    tokenizer = BPETokenizer().train(TEXT)
    arrays = list(encode_pieces(tokenizer, pieces_of(TEXT, 50), 3))
    assert np.concatenate(arrays).tolist() == tokenizer.encode(TEXT)
    assert n == started + 1
    assert not multiprocessing.active_children()


def test_encoding_works_without_semaphores(monkeypatch):
    monkeypatch.setattr(encoding, "MIN_CHARS_FOR_PROCESSES", 100)
    monkeypatch.setattr(futures, "ProcessPoolExecutor", no_semaphores)
    tokenizer = BPETokenizer()
    counts = count_words(tokenizer, pieces_of(TEXT, 50), 2)
    assert counts == tokenizer.count_words(TEXT)


def no_semaphores(*arguments, **options):
    raise FileNotFoundError(errno.ENOENT, "No such file or directory")  # without /dev/shm


def test_worker_error_is_raised_in_the_caller(monkeypatch):
    monkeypatch.setattr(encoding, "MIN_CHARS_FOR_PROCESSES", 0)
    with pytest.raises(ValueError, match=r"lone surrogate, U\+D800, at position 1"):
        list(encode_pieces(BPETokenizer().train(TEXT), ["a", "b\ud800"], 2))


FOR_EVER = """
import signal
from minigpt import BPETokenizer
from minigpt.text.encoding import encode_pieces

if __name__ == "__mp_main__":  # in a process that is being started
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
if __name__ == "__main__":
    text = "my dear friend " * 200_000
    tokenizer = BPETokenizer().train(text)
    try:
        for number, ids in enumerate(encode_pieces(tokenizer, iter(lambda: text, ""), 2)):
            if number == 0:
                import multiprocessing
                print(*[p.pid for p in multiprocessing.active_children()], flush=True)
    except KeyboardInterrupt:
        print("stopped")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_worker_processes_end_with_their_parent(how, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(FOR_EVER, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = [int(pid) for pid in process.stdout.readline().split()]
    assert len(children) == 2
    if how == signal.SIGINT:
        os.killpg(process.pid, how)  # as a terminal does
    else:
        process.kill()
    out, err = process.communicate(timeout=30)
    if how == signal.SIGINT:
        assert (out, err) == ("stopped\n", "")
    deadline = time.monotonic() + 10
    while any(map(is_running, children)):
        assert time.monotonic() < deadline, "worker processes are left"
        time.sleep(0.05)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_importing_encoding_imports_nothing_heavy():
    code = (
        "import sys, json; before = set(sys.modules); import minigpt.text.encoding; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
    assert not {"multiprocessing", "concurrent.futures.process"} & set(loaded)


def test_word_counts_drop_the_rarest_of_too_many(monkeypatch):
    monkeypatch.setattr(encoding, "MAX_DISTINCT_WORDS", 3)
    pieces = ["a a a b b", "c c c d", "e", "a c c"]
    words = count_words(TOKENIZERS["word"](), [piece.replace(" ", "") for piece in pieces])
    assert len(words) <= 3
    words = count_words(TOKENIZERS["char"](), [piece.replace(" ", "") for piece in pieces])
    assert words == Counter({"a": 4, "c": 5})


def test_encode_pieces_separates_documents():
    tokenizer = BPETokenizer().train(TEXT)
    end = tokenizer.special_tokens["<|endoftext|>"]
    (ids,) = encode_pieces(tokenizer, [["my dear<|endoftext|>", "", "the end"]])
    first, last = tokenizer.encode("my dear<|endoftext|>"), tokenizer.encode("the end")
    assert ids.tolist() == [*first, end, end, *last]
    both = BPETokenizer(["</s>", "<|endoftext|>"]).train(TEXT).vocabulary
    vocabulary = dataclasses.replace(both, roles={"eos_token": "</s>"})
    other = BPETokenizer.from_vocabulary(vocabulary)
    (ids,) = encode_pieces(other, [["my", "dear"]])
    assert other.special_tokens["</s>"] in ids.tolist()
    characters = TOKENIZERS["char"]().train(TEXT)
    (ids,) = encode_pieces(characters, [["my", "dear"]])
    assert ids.tolist() == characters.encode("mydear")
