import numpy as np
import pytest

from minigpt import Sampling, softmax
from minigpt.core.sampling import draw


@pytest.fixture
def logits(rng):
    return rng.normal(0, 2, (200, 50))


def test_temperature_divides_the_logits(logits):
    np.testing.assert_allclose(Sampling(0.7).probabilities(logits), softmax(logits / 0.7))
    np.testing.assert_allclose(Sampling().probabilities(logits), softmax(logits))
    greedy = Sampling(0).probabilities(logits)
    assert (greedy.argmax(axis=1) == logits.argmax(axis=1)).all()
    assert (greedy.max(axis=1) == 1).all()
    np.testing.assert_allclose(Sampling(1e-300).probabilities(logits), greedy)


@pytest.mark.parametrize("k", [1, 2, 7, 50, 99])
def test_top_k_equals_its_definition(k, logits):
    got = Sampling(top_k=k).probabilities(logits)
    for row, scores in zip(got, logits, strict=True):
        best = sorted(range(50), key=lambda i: -scores[i])[:k]
        expected = np.zeros(50)
        expected[best] = np.exp(scores[best]) / np.exp(scores[best]).sum()
        np.testing.assert_allclose(row, expected)


@pytest.mark.parametrize("p", [1e-9, 0.1, 0.5, 0.9, 1.0])
def test_top_p_equals_its_definition(p, logits):
    got = Sampling(top_p=p).probabilities(logits)
    for row, probabilities in zip(got, softmax(logits), strict=True):
        kept, reached = [], 0.0
        for i in sorted(range(50), key=lambda i: -probabilities[i]):
            if reached >= p:
                break
            kept.append(i)
            reached += probabilities[i]
        expected = np.zeros(50)
        expected[kept] = probabilities[kept] / probabilities[kept].sum()
        np.testing.assert_allclose(row, expected)


def test_top_p_of_1_keeps_tiny_probabilities():
    logits = np.array([[0.0, -60.0, -30.0]])
    assert (Sampling(top_p=1.0).probabilities(logits) > 0).all()


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_min_p_equals_its_definition(p, logits):
    got = Sampling(min_p=p).probabilities(logits)
    for row, probabilities in zip(got, softmax(logits), strict=True):
        expected = np.where(probabilities >= p * probabilities.max(), probabilities, 0)
        np.testing.assert_allclose(row, expected / expected.sum())


def test_repetition_penalty_equals_its_definition(rng, logits):
    seen = rng.random(logits.shape) < 0.5
    got = Sampling(repetition_penalty=1.7).probabilities(logits, seen)
    expected = logits.copy()
    expected[seen & (logits > 0)] /= 1.7
    expected[seen & (logits < 0)] *= 1.7
    np.testing.assert_allclose(got, softmax(expected))


def test_repetition_penalty_needs_seen_tokens(logits):
    np.testing.assert_allclose(
        Sampling(repetition_penalty=2).probabilities(logits), softmax(logits)
    )


def test_sampling_applies_penalty_then_top_k_then_top_p():
    logits = np.log([[0.4, 0.3, 0.2, 0.1]])
    assert (Sampling(top_k=2, top_p=0.5).probabilities(logits) > 0).tolist() == [
        [True, False, False, False]  # from 4/7 and 3/7
    ]
    assert (Sampling(top_p=0.5).probabilities(logits) > 0).tolist() == [[True, True, False, False]]
    seen = np.array([[True, False, False, False]])
    greedy = Sampling(0, repetition_penalty=9.0).probabilities(logits, seen)
    assert greedy.tolist() == [[0, 1, 0, 0]]


def test_choose_returns_the_log_probability_of_its_choice(logits):
    sampling = Sampling(0.7, top_k=5)
    tokens, log_probs = sampling.choose(logits, np.random.default_rng(1))
    expected = sampling.probabilities(logits)[np.arange(200), tokens]
    np.testing.assert_allclose(np.exp(log_probs), expected)
    tokens, log_probs = Sampling(0).choose(logits, np.random.default_rng(1))
    np.testing.assert_array_equal(tokens, logits.argmax(axis=-1))
    np.testing.assert_allclose(np.exp(log_probs), softmax(logits).max(axis=-1))


def test_greedy_sampling_works_for_a_large_vocabulary(rng):
    logits = rng.normal(size=(2, 60_000)).astype(np.float32)
    one_hot = Sampling(0).probabilities(logits)
    np.testing.assert_array_equal(one_hot.argmax(axis=-1), logits.argmax(axis=-1))
    assert one_hot.sum() == 2


def test_draw_follows_the_probabilities():
    probabilities = np.tile([0.5, 0.0, 0.3, 0.2], (20000, 1))
    drawn = np.bincount(draw(probabilities, np.random.default_rng(0)), minlength=4) / 20000
    np.testing.assert_allclose(drawn, probabilities[0], atol=0.015)
    assert drawn[1] == 0
