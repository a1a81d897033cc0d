"""The loss in chunks: the same bits, shares of a batch, memory. See also `test_forms`."""

import tracemalloc

import numpy as np
import pytest

from minigpt.core.functional import cross_entropy, cross_entropy_backward
from minigpt.core.layers import Linear
from minigpt.fast import loss
from minigpt.fast.loss import cross_entropy_in_place, head_loss


def scores(*shape, dtype="float64"):
    rng = np.random.default_rng(0)
    return rng.normal(0, 9, shape).astype(dtype), rng.integers(0, shape[-1], shape[:-1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 2), (21, 11), (10, loss.LOGITS_PER_PIECE), (800, 500)])
def test_fast_loss_and_gradient_equal_the_plain_ones_to_the_bit(shape, dtype):
    logits, targets = scores(*shape, dtype=dtype)
    loss, gradient = cross_entropy(logits, targets), cross_entropy_backward(logits, targets)
    assert cross_entropy_in_place(logits, targets, 1.0) == loss
    np.testing.assert_array_equal(logits, gradient)


def test_fast_loss_of_parts_adds_up_to_the_batch():
    logits, targets = scores(30, 9)
    loss, gradient = cross_entropy(logits, targets), cross_entropy_backward(logits, targets)
    parts = [logits[:10].copy(), logits[10:].copy()]
    losses = [
        cross_entropy_in_place(part, right, len(part) / 30)
        for part, right in zip(parts, (targets[:10], targets[10:]), strict=True)
    ]
    assert sum(losses) == pytest.approx(loss, rel=1e-14)
    np.testing.assert_allclose(np.concatenate(parts), gradient, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tied", [False, True])
def test_fast_loss_takes_one_chunk_for_a_small_vocabulary(tied, dtype):
    head = Linear(5, 11, bias=False, seed=0, dtype=dtype)
    if tied:  # weight and gradient are transposed, like views of the embedding's arrays
        head.weight, head.d_weight = head.weight.copy("F"), head.d_weight.copy("F")
    hidden, targets = scores(2, 7, 5, dtype=dtype)
    logits = head.forward(hidden)
    d_hidden = head.backward(cross_entropy_backward(logits, targets))
    expected = cross_entropy(logits, targets), d_hidden, head.d_weight.copy()
    head.d_weight[...] = 9  # old values must not remain
    found = (*head_loss(head, hidden, targets), head.d_weight)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_fast_loss_checks_targets():
    head = Linear(4, 9, bias=False)
    with pytest.raises(ValueError, match="targets must be from 0 to 8, got 9"):
        head_loss(head, np.zeros((2, 4), np.float32), np.array([0, 9]))


def test_fast_loss_never_holds_all_logits_at_once():
    head = Linear(4, 2**16, bias=False, seed=0)
    hidden, targets = np.ones((1, 1024, 4), np.float32), np.zeros((1, 1024), int)
    tracemalloc.start()
    head_loss(head, hidden, targets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * 4 * loss.LOGITS_PER_CHUNK  # bytes; all logits would take four times as many
