import numpy as np
import pytest

from minigpt.functional import cross_entropy, cross_entropy_backward
from minigpt.loss import PIECE, cross_entropy_in_place

rng = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 7, 11), (2, 5, PIECE), (2, 400, 500)])
def test_loss_and_gradient_are_those_of_the_plain_functions_to_the_bit(shape, dtype):
    logits = rng.normal(0, 9, shape).astype(dtype)
    targets = rng.integers(0, shape[-1], shape[:-1])
    loss, gradient = cross_entropy(logits, targets), cross_entropy_backward(logits, targets)
    assert cross_entropy_in_place(logits, targets) == loss
    np.testing.assert_array_equal(logits, gradient)


def test_a_weight_is_that_of_a_part_in_the_whole():
    logits, targets = rng.normal(size=(6, 5, 9)), rng.integers(0, 9, (6, 5))
    loss, gradient = cross_entropy(logits, targets), cross_entropy_backward(logits, targets)
    parts = [logits[:2].copy(), logits[2:].copy()]
    losses = [
        cross_entropy_in_place(part, right, len(part) / 6)
        for part, right in zip(parts, (targets[:2], targets[2:]), strict=True)
    ]
    assert sum(losses) == pytest.approx(loss, rel=1e-14)
    np.testing.assert_allclose(np.concatenate(parts), gradient, rtol=1e-12)


def test_targets_are_checked():
    with pytest.raises(ValueError, match="targets must be from 0 to 8, got 9"):
        cross_entropy_in_place(np.zeros((2, 9)), np.array([0, 9]))
