"""Lesson 12 agrees with `minigpt.inside`."""

import numpy as np
import pytest

from minigpt import miniGPT, trace
from minigpt.course.lesson_folder import lessons
from minigpt.inside import logit_lens, relations, score_heads, without_heads


@pytest.fixture
def inside():
    return lessons()[12].module()


@pytest.fixture
def model():
    return miniGPT(9, 12, 12, 3, 2, seed=0, dtype="float64")


@pytest.fixture
def ids(rng):
    return np.append(rng.integers(0, 5, 10), [1, 1])


def test_shares_are_those_of_score_heads(inside, model, ids):
    seen = trace(model, ids)
    scores = score_heads(seen.weights, relations(ids))
    for name, share in (
        ("previous token", lambda weights: inside.distance_share(weights, 1)),
        ("induction", lambda weights: inside.induction_share(weights, ids)),
    ):
        expected = scores.values[scores.names.index(name)]
        np.testing.assert_allclose([share(weights) for weights in seen.weights], expected)


def test_lens_is_logit_lens(inside, model, ids):
    seen = trace(model, ids)
    tokens, probabilities = inside.lens(model, seen)
    expected = logit_lens(model, seen)
    assert np.array_equal(tokens, expected.tokens)
    np.testing.assert_allclose(probabilities, expected.probabilities)


def test_switched_off_head_is_off(inside, model, ids):
    logits, _ = inside.switch_off(model, 1, 2).forward(ids[None])
    expected, _ = without_heads(model, [(1, 2)]).forward(ids[None])
    np.testing.assert_allclose(logits, expected)
