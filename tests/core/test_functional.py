import math

import numpy as np
import pytest

from minigpt import check_gradients
from minigpt.check.proof import CrossEntropy, Softmax
from minigpt.core.functional import causal_mask, cross_entropy, cross_entropy_backward, softmax
from minigpt.fast.loss import cross_entropy_in_place


def test_softmax_is_positive_and_sums_to_1(rng):
    y = softmax(rng.normal(0, 5, (3, 4, 7)))
    assert (y > 0).all()
    np.testing.assert_allclose(y.sum(axis=-1), 1)


def test_softmax_equals_its_definition(rng):
    x = rng.normal(size=(5, 6))
    np.testing.assert_allclose(softmax(x), np.exp(x) / np.exp(x).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(softmax(x, axis=0), softmax(x.T).T)


def test_softmax_handles_huge_and_infinite_scores():
    y = softmax(np.array([[1e30, 0.0, -np.inf], [-1e30, -1e30, -np.inf]], dtype=np.float32))
    np.testing.assert_array_equal(y, np.array([[1, 0, 0], [0.5, 0.5, 0]], dtype=np.float32))


def test_softmax_keeps_its_input_and_dtype(rng):
    x = rng.normal(size=(2, 3)).astype(np.float32)
    before = x.copy()
    assert softmax(x).dtype == np.float32
    np.testing.assert_array_equal(x, before)


def test_softmax_backward_equals_central_differences(rng):
    check = check_gradients(Softmax(), rng.normal(size=(2, 5)))
    assert check.rows[0].error < 1e-8, check


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([INF, 0], [1, 0]),
        ([INF, -INF], [1, 0]),
        ([INF, 5, INF], [0.5, 0, 0.5]),
        ([3e38, -3e38, 0], [1, 0, 0]),
        ([-3e38, -3e38, -INF], [0.5, 0.5, 0]),
        ([1e-45, 0, -1e-45], [1 / 3, 1 / 3, 1 / 3]),
        ([NAN, 0], [NAN, NAN]),
        ([-INF, -INF], [NAN, NAN]),  # undefined
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softmax_reaches_its_limits(scores, expected, dtype):
    y = softmax(np.array([scores, scores], dtype))
    np.testing.assert_allclose(y, [expected, expected], rtol=1e-6)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i8", "u8"])
def test_softmax_of_integers_does_not_overflow(dtype):
    scores = np.array([[0, 5, 120], [100, 3, 0]], dtype)
    np.testing.assert_array_equal(softmax(scores), softmax(scores.astype(float)))
    assert cross_entropy(scores, [0, 1]) == cross_entropy(scores.astype(float), [0, 1]) > 100


@pytest.mark.parametrize(
    ("logits", "target", "loss", "gradient"),
    [
        ([INF, 0], 0, 0, [0, 0]),
        ([INF, 0], 1, INF, [1, -1]),
        ([-INF, 0], 1, 0, [0, 0]),
        ([-INF, 0], 0, INF, [-1, 1]),
        ([3e38, -3e38], 0, 0, [0, 0]),
        ([3e38, 0], 1, 3e38, [1, -1]),
        ([1e7, 1e7], 0, math.log(2), [-0.5, 0.5]),  # large, with nothing lost to rounding
    ],
)
def test_cross_entropy_reaches_its_limits(logits, target, loss, gradient):
    rows, targets = np.array([logits] * 2, "float32"), np.full(2, target)
    assert cross_entropy(rows, targets) == pytest.approx(loss, rel=1e-6)
    np.testing.assert_allclose(cross_entropy_backward(rows, targets) * 2, [gradient] * 2)
    in_place = rows.copy()
    assert cross_entropy_in_place(in_place, targets, 1.0) == cross_entropy(rows, targets)
    np.testing.assert_array_equal(in_place, cross_entropy_backward(rows, targets))


def test_cross_entropy_is_the_mean_negative_log_probability(rng):
    logits, targets = rng.normal(size=(2, 3, 5)), rng.integers(0, 5, (2, 3))
    probabilities = softmax(logits)
    surprises = [-math.log(probabilities[b, t, targets[b, t]]) for b in range(2) for t in range(3)]
    assert cross_entropy(logits, targets) == pytest.approx(sum(surprises) / 6)


def test_cross_entropy_of_uniform_and_huge_logits():
    assert cross_entropy(np.zeros((4, 65)), np.arange(4)) == pytest.approx(math.log(65))
    assert cross_entropy(np.array([[1e4, 0.0]]), np.array([1])) == pytest.approx(1e4)


def test_cross_entropy_backward_equals_central_differences(rng):
    logits, targets = rng.normal(size=(2, 3, 5)), rng.integers(0, 5, (2, 3))
    check = check_gradients(CrossEntropy(), logits)
    assert check.rows[0].error < 1e-8, check
    before = logits.copy()
    cross_entropy_backward(logits, targets)
    np.testing.assert_array_equal(logits, before)


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        (np.zeros((2, 2), int), ValueError, r"shape \(2, 3\), got shape \(2, 2\)"),
        (np.full((2, 3), 5), ValueError, "targets must be from 0 to 4, got 5"),
        (np.full((2, 3), -1), ValueError, "got -1"),
        (np.zeros((2, 3)), TypeError, "targets must be integers, got an array of float64"),
    ],
)
def test_cross_entropy_refuses_invalid_targets(targets, error, message):
    with pytest.raises(error, match=message):
        cross_entropy(np.zeros((2, 3, 5)), targets)


def test_causal_mask_hides_later_positions():
    np.testing.assert_array_equal(
        causal_mask(3, 3), [[False, True, True], [False, False, True], [False, False, False]]
    )
    np.testing.assert_array_equal(
        causal_mask(2, 4), [[False, False, False, True], [False, False, False, False]]
    )
