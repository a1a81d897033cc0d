"""Lesson 11 chooses tokens as `minigpt.core.sampling` does, ties included."""

import numpy as np
import pytest

from minigpt.core.sampling import Sampling, draw
from minigpt.course.lesson_folder import lessons

SETTINGS = [(0, 3, 0.5), (1.0, None, None), (0.5, 2, None), (2.0, None, 0.6), (0.7, 4, 0.8)]
POWERS = [
    np.ones((1, 6)),
    np.array([[1.0, 2, 2, 4, 4, 4], [4, 1, 2, 2, 1, 4]]),
    np.array([[1.0, 8, 0, 8, 0, 2]]),  # two tokens that must not come
    np.arange(1.0, 121).reshape(20, 6) ** 2 % 17 + 0.5,
]


@pytest.fixture
def writing():
    return lessons()[11].module()


@pytest.mark.parametrize("powers", POWERS)
@pytest.mark.parametrize(("temperature", "k", "top_p"), SETTINGS)
def test_probabilities_are_those_of_sampling(writing, powers, temperature, k, top_p):
    with np.errstate(divide="ignore"):
        logits = np.log(powers)
    expected = Sampling(temperature, k, top_p).probabilities(logits)
    got = writing.next_probabilities(logits, temperature, k, top_p)
    np.testing.assert_allclose(got, expected, atol=1e-15)


@pytest.mark.parametrize("powers", POWERS)
def test_drawn_tokens_are_those_of_draw(writing, powers):
    p = np.repeat(powers / powers.sum(axis=-1, keepdims=True), 50, axis=0)
    u = np.random.default_rng(1).random((len(p), 1))[:, 0]
    assert np.array_equal(writing.draw(p, u), draw(p, np.random.default_rng(1)))
