import tracemalloc
from typing import NamedTuple

import numpy as np
import pytest

from minigpt.core.functional import cross_entropy, cross_entropy_backward
from minigpt.core.layers import Linear
from minigpt.fast import loss
from minigpt.fast.loss import PIECE, cross_entropy_in_place, head_loss

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


class Parts(NamedTuple):
    """What a loss over a head is made of, and what is to come out."""

    head: Linear
    hidden: np.ndarray
    targets: np.ndarray
    loss: float
    d_hidden: np.ndarray
    d_weight: np.ndarray


def parts(dtype, tied, tokens=(2, 7), C=5, V=11) -> Parts:
    head = Linear(C, V, bias=False, seed=0, dtype=dtype)
    if tied:  # the weight and its gradient are then seen through the embedding's arrays
        head.weight, head.d_weight = np.ascontiguousarray(head.weight.T).T, np.ones((V, C), dtype).T
    hidden = rng.normal(size=(*tokens, C)).astype(dtype)
    targets = rng.integers(0, V, tokens)
    logits = head.forward(hidden)
    d_hidden = head.backward(cross_entropy_backward(logits, targets))
    loss, d_weight = cross_entropy(logits, targets), head.d_weight.copy()
    head.d_weight[...] = 9  # what was there before must not stay
    return Parts(head, hidden, targets, loss, d_hidden, d_weight)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("chunk", [1, 11 * 3, 11 * 5, 11 * 14])
def test_chunks_of_tokens_give_the_loss_and_gradients_of_the_whole(monkeypatch, chunk, tied, dtype):
    monkeypatch.setattr(loss, "CHUNK", chunk)
    monkeypatch.setattr(loss, "PRODUCT", 2 * 11)  # so that products are added in slices, too
    p = parts(dtype, tied)
    rtol = {"float32": 1e-4, "float64": 1e-12}[dtype]
    value, d_hidden = head_loss(p.head, p.hidden, p.targets, weight=0.25)
    assert value == pytest.approx(p.loss / 4, rel=rtol)
    assert d_hidden.dtype == p.hidden.dtype
    np.testing.assert_allclose(d_hidden, p.d_hidden / 4, rtol=rtol, atol=rtol / 100)
    np.testing.assert_allclose(p.head.d_weight, p.d_weight / 4, rtol=rtol, atol=rtol / 100)


@pytest.mark.parametrize("tied", [False, True])
def test_a_small_vocabulary_takes_one_chunk_and_gives_the_same_to_the_bit(tied):
    p = parts("float32", tied)
    value, d_hidden = head_loss(p.head, p.hidden, p.targets)
    assert value == p.loss
    np.testing.assert_array_equal(d_hidden, p.d_hidden)
    np.testing.assert_array_equal(p.head.d_weight, p.d_weight)


@pytest.mark.parametrize("chunk", [11, 11 * 99])
def test_a_frozen_head_gets_no_gradient(monkeypatch, chunk):
    monkeypatch.setattr(loss, "CHUNK", chunk)
    p = parts("float64", tied=True)
    p.head.frozen = True
    _, d_hidden = head_loss(p.head, p.hidden, p.targets)
    np.testing.assert_allclose(d_hidden, p.d_hidden, rtol=1e-12)
    assert (p.head.d_weight == 9).all()


def test_logits_of_all_tokens_are_never_there_at_once():
    head = Linear(4, 2**16, bias=False, seed=0)
    hidden, targets = np.ones((1, 1024, 4), np.float32), np.zeros((1, 1024), int)
    tracemalloc.start()
    head_loss(head, hidden, targets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * 4 * loss.CHUNK  # bytes; all logits would be four times CHUNK
