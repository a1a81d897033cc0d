import numpy as np
import pytest

from minigpt import Sampling, softmax
from minigpt.core.sampling import draw

rng = np.random.default_rng(0)
LOGITS = rng.normal(0, 2, (200, 50))


def test_temperature_divides_the_logits():
    np.testing.assert_allclose(Sampling(0.7).probabilities(LOGITS), softmax(LOGITS / 0.7))
    np.testing.assert_allclose(Sampling().probabilities(LOGITS), softmax(LOGITS))
    greedy = Sampling(0).probabilities(LOGITS)
    assert (greedy.argmax(axis=1) == LOGITS.argmax(axis=1)).all()
    assert (greedy.max(axis=1) == 1).all()
    np.testing.assert_allclose(Sampling(1e-300).probabilities(LOGITS), greedy)


@pytest.mark.parametrize("k", [1, 2, 7, 50, 99])
def test_top_k_by_its_definition(k):
    got = Sampling(top_k=k).probabilities(LOGITS)
    for row, logits in zip(got, LOGITS, strict=True):
        best = sorted(range(50), key=lambda i: -logits[i])[:k]
        expected = np.zeros(50)
        expected[best] = np.exp(logits[best]) / np.exp(logits[best]).sum()
        np.testing.assert_allclose(row, expected)


@pytest.mark.parametrize("p", [1e-9, 0.1, 0.5, 0.9, 1.0])
def test_top_p_by_its_definition(p):
    got = Sampling(top_p=p).probabilities(LOGITS)
    for row, probabilities in zip(got, softmax(LOGITS), strict=True):
        kept, reached = [], 0.0
        for i in sorted(range(50), key=lambda i: -probabilities[i]):
            if reached >= p:
                break
            kept.append(i)
            reached += probabilities[i]
        expected = np.zeros(50)
        expected[kept] = probabilities[kept] / probabilities[kept].sum()
        np.testing.assert_allclose(row, expected)


def test_a_top_p_of_1_keeps_even_what_rounding_would_lose():
    logits = np.array([[0.0, -60.0, -30.0]])
    assert (Sampling(top_p=1.0).probabilities(logits) > 0).all()


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_min_p_by_its_definition(p):
    got = Sampling(min_p=p).probabilities(LOGITS)
    for row, probabilities in zip(got, softmax(LOGITS), strict=True):
        expected = np.where(probabilities >= p * probabilities.max(), probabilities, 0)
        np.testing.assert_allclose(row, expected / expected.sum())


def test_repetition_penalty_by_its_definition():
    seen = rng.random(LOGITS.shape) < 0.5
    got = Sampling(repetition_penalty=1.7).probabilities(LOGITS, seen)
    expected = LOGITS.copy()
    expected[seen & (LOGITS > 0)] /= 1.7
    expected[seen & (LOGITS < 0)] *= 1.7
    np.testing.assert_allclose(got, softmax(expected))


def test_without_seen_tokens_there_is_no_penalty():
    np.testing.assert_allclose(
        Sampling(repetition_penalty=2).probabilities(LOGITS), softmax(LOGITS)
    )


def test_the_penalty_comes_first_and_top_p_looks_at_what_top_k_left():
    logits = np.log([[0.4, 0.3, 0.2, 0.1]])
    assert (Sampling(top_k=2, top_p=0.5).probabilities(logits) > 0).tolist() == [
        [True, False, False, False]  # of 4/7 and 3/7
    ]
    assert (Sampling(top_p=0.5).probabilities(logits) > 0).tolist() == [[True, True, False, False]]
    seen = np.array([[True, False, False, False]])
    greedy = Sampling(0, repetition_penalty=9.0).probabilities(logits, seen)
    assert greedy.tolist() == [[0, 1, 0, 0]]


def test_choose_tells_how_probable_its_choice_was():
    sampling = Sampling(0.7, top_k=5)
    tokens, log_probs = sampling.choose(LOGITS, np.random.default_rng(1))
    expected = sampling.probabilities(LOGITS)[np.arange(200), tokens]
    np.testing.assert_allclose(np.exp(log_probs), expected)
    tokens, log_probs = Sampling(0).choose(LOGITS, np.random.default_rng(1))
    np.testing.assert_array_equal(tokens, LOGITS.argmax(axis=-1))
    np.testing.assert_allclose(np.exp(log_probs), softmax(LOGITS).max(axis=-1))


def test_a_large_vocabulary_is_no_matter():
    logits = rng.normal(size=(2, 60_000)).astype(np.float32)
    one_hot = Sampling(0).probabilities(logits)
    np.testing.assert_array_equal(one_hot.argmax(axis=-1), logits.argmax(axis=-1))
    assert one_hot.sum() == 2


def test_draw_follows_the_probabilities():
    probabilities = np.tile([0.5, 0.0, 0.3, 0.2], (20000, 1))
    drawn = np.bincount(draw(probabilities, np.random.default_rng(0)), minlength=4) / 20000
    np.testing.assert_allclose(drawn, probabilities[0], atol=0.015)
    assert drawn[1] == 0
