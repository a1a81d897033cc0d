import math
from collections import Counter

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import (
    BPETokenizer,
    CharTokenizer,
    Evaluation,
    WordTokenizer,
    evaluate,
    miniGPT,
)
from minigpt.core.functional import cross_entropy

V, T = 11, 8
DATA = (np.arange(53) ** 2 % 17 % V).astype(np.uint8)


@pytest.fixture
def model() -> miniGPT:
    return tiny_model(V, dropout=0.5, dtype=np.float64, noise=0.3)


def surprise(model, start, place):
    """Return the loss of DATA[place], predicted from DATA[start : place], in nats."""
    model.eval()
    logits, _ = model.forward(DATA[None, start:place])
    model.train()
    return cross_entropy(logits[:, -1], DATA[None, place])


def test_evaluate_reads_windows_one_after_another(model):
    nats = [surprise(model, (place - 1) // T * T, place) for place in range(1, len(DATA))]
    assert evaluate(model, DATA) == pytest.approx(np.mean(nats), rel=1e-12)
    assert evaluate(model, DATA, batch_size=3) == pytest.approx(np.mean(nats), rel=1e-12)
    assert model.training


@pytest.mark.parametrize("stride", range(1, T))
@pytest.mark.parametrize("n_tokens", [2, 7, 8, 9, 53])
def test_evaluate_with_a_stride_reads_overlapping_windows(model, stride, n_tokens):
    data = DATA[:n_tokens]
    nats = []
    for place in range(1, n_tokens):
        # The first window with this token: the tokens before it in the window are its context.
        start = max(0, -(-(place + 1 - T) // stride) * stride)
        nats.append(surprise(model, start, place))
    assert evaluate(model, data, stride=stride) == pytest.approx(np.mean(nats), rel=1e-12)


def test_evaluate_with_a_smaller_block_and_a_sample(model):
    nats = [surprise(model, (place - 1) // 4 * 4, place) for place in range(1, len(DATA))]
    assert evaluate(model, DATA, block_size=4) == pytest.approx(np.mean(nats), rel=1e-12)
    first_and_last = nats[:4] + nats[48:]
    sampled = evaluate(model, DATA, block_size=4, max_tokens=8)
    assert sampled == pytest.approx(np.mean(first_and_last), rel=1e-12)


def test_evaluate_tracks_all_batches(model):
    seen = []

    def track(batches):
        for batch in batches:
            yield batch
            seen.append(batch)

    assert evaluate(model, DATA, stride=2, track=track) == evaluate(model, DATA, stride=2)
    assert sum(len(starts) * n_new for starts, _, n_new in seen) == len(DATA) - 1


def test_evaluation_units():
    text = "my dear  gänse\n"
    result = Evaluation.of(2.0, 5, text)
    assert (result.n_words, result.n_bytes, result.n_characters) == (3, 16, 15)
    assert result.perplexity == pytest.approx(math.exp(2))
    assert result.word_perplexity == pytest.approx(math.exp(10 / 3))
    assert result.bits_per_byte == pytest.approx(10 / math.log(2) / 16)
    assert result.bits_per_character == pytest.approx(10 / math.log(2) / 15)
    assert Evaluation.of(5.0, 1000, "oneword").word_perplexity == math.inf


ENGLISH = (
    "The hen and the fox met at the well. 'My dear fox,' said the hen, 'I have lost my lantern, "
    "and 7 geese are in the garden.' The fox looked at her: he knew nothing of geese!\n"
) * 20


def unigram_bits(tokenizer, text):
    """Return the bits per character of the best model without context."""
    counts = np.array(list(Counter(tokenizer.encode(text)).values()))
    loss = -np.sum(counts * np.log(counts / counts.sum())) / counts.sum()
    spelling = tokenizer.spelling_nats(text)
    return Evaluation.of(loss, counts.sum(), text, spelling).bits_per_character


@pytest.mark.parametrize("kind", [WordTokenizer, CharTokenizer])
def test_bits_per_character_do_not_improve_with_fewer_known_words(kind):
    largest = kind().train(ENGLISH).vocab_size
    bits = [unigram_bits(kind().train(ENGLISH, n), ENGLISH) for n in (2, 3, 8, 16, 30, largest)]
    assert bits == sorted(bits, reverse=True)
    assert len(set(bits)) == len(bits)
    for other in (BPETokenizer(), CharTokenizer(), WordTokenizer()):
        assert bits[1] > unigram_bits(other.train(ENGLISH), ENGLISH)


@pytest.mark.parametrize("n_known", [1, 2, 20])
def test_spelling_cost_is_a_valid_code(n_known):
    """The probabilities of all unknown words sum to at most 1, as in any code."""
    known = "abcdefghijklmnopqrstuvwxyz"[:n_known]
    tokenizer = WordTokenizer().train(known)
    n_others = 0x110000 - 0x800 - n_known
    total = 0.0
    for length in range(2, 60):  # a single letter is a known word
        for n_new in range(length + 1):
            word = "ß" * n_new + known[0] * (length - n_new)
            n_words = math.comb(length, n_new) * n_others**n_new * n_known ** (length - n_new)
            total += math.exp(math.log(n_words) - tokenizer.spelling_nats(word))
    assert 0.2 < total <= 1
    others = "".join(map(chr, range(0x4E00, 0x4E10)))
    each = CharTokenizer().train(known).spelling_nats(others) / len(others)
    assert n_others * math.exp(-each) <= 1


def test_known_words_cost_no_spelling():
    for tokenizer in (BPETokenizer(), CharTokenizer(), WordTokenizer()):
        assert tokenizer.train(ENGLISH).spelling_nats(ENGLISH) == 0
    assert BPETokenizer().train(ENGLISH).spelling_nats("ägypten") == 0
    words = WordTokenizer().train(ENGLISH)
    once = words.spelling_nats("quagga")
    assert words.spelling_nats("quagga the quagga") == pytest.approx(2 * once)
    assert words.spelling_nats("quaggaß") > once + math.log(10**6)


@pytest.mark.parametrize("stride", [0, -1, T, 3 * T])
def test_evaluate_refuses_an_invalid_stride(model, stride):
    with pytest.raises(ValueError, match=f"stride must be at least 1 and .* {T}, got {stride}"):
        evaluate(model, DATA, stride=stride)


def test_evaluate_refuses_a_single_token(model):
    with pytest.raises(ValueError, match="at least 2 tokens, got 1"):
        evaluate(model, DATA[:1])
