"""The blocked way against the formula as it stands."""

from itertools import chain

import numpy as np
import pytest

from minigpt import MultiHeadAttention, check_gradients, miniGPT
from minigpt.core.layers import Dropout
from minigpt.fast.attention import BLOCK, Attention, BlockedAttention
from minigpt.fast.replicas import Replicas

rng = np.random.default_rng(0)


def random_qkv(T, K=None, B=2, H=3, D=4):
    K = T if K is None else K
    return (rng.normal(size=(B, H, n, D)) for n in (T, K, K))


@pytest.mark.parametrize("T", [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 3 * BLOCK + 5])
def test_the_same_outputs_weights_and_gradients(T):
    q, k, v = random_qkv(T)
    do = rng.normal(size=q.shape)
    plain, blocked = (kind(Dropout(0.0)) for kind in (Attention, BlockedAttention))
    np.testing.assert_allclose(blocked.forward(q, k, v), plain.forward(q, k, v), rtol=1e-12)
    np.testing.assert_allclose(blocked.weights, plain.weights, rtol=1e-12, atol=1e-15)
    for ours, theirs in zip(blocked.backward(do), plain.backward(do), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("T", "K"), [(1, 5), (BLOCK + 3, BLOCK + 10), (2 * BLOCK, 5 * BLOCK)])
def test_queries_that_come_after_other_keys(T, K):
    q, k, v = random_qkv(T, K)
    plain, blocked = (kind(Dropout(0.0)) for kind in (Attention, BlockedAttention))
    np.testing.assert_allclose(blocked.forward(q, k, v), plain.forward(q, k, v), rtol=1e-12)
    np.testing.assert_allclose(blocked.weights, plain.weights, rtol=1e-12, atol=1e-15)


class Long(MultiHeadAttention):
    """Attention over so long a text that it is done in blocks, as a layer of (B, T, C)."""

    def __init__(self, dropout):
        super().__init__(4, 2, dropout=dropout, seed=0, dtype="float64")


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_a_long_layer_has_the_right_gradients_with_dropout_too(dropout):
    layer, x = Long(dropout), rng.normal(size=(1, 2 * BLOCK + 3, 4))
    layer.forward(x)
    assert type(layer.core) is BlockedAttention
    check = check_gradients(layer, x, entries=24)
    assert check.ok, check


def test_heads_shared_out_among_threads_are_the_same_to_the_bit():
    q, k, v = random_qkv(8 * BLOCK, B=1, H=16)
    do = rng.normal(size=q.shape)
    alone, shared = BlockedAttention(Dropout(0.0)), BlockedAttention(Dropout(0.0))
    expected = [alone.forward(q, k, v), *alone.backward(do)]
    assert len(alone.parts) == 1
    with Replicas(miniGPT(5, 4, 4, 2, 1), n_threads=3):
        found = [shared.forward(q, k, v), *shared.backward(do)]
    assert len(shared.parts) == 3
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_dropout_on_threads_is_the_same_each_time_and_of_no_head_like_another():
    q, k, v = random_qkv(8 * BLOCK, B=1, H=16)
    q, k, v = (np.repeat(x[:, :1], 16, axis=1) for x in (q, k, v))  # all heads alike
    found = []
    for seed in (1, 1, 2):
        attention = BlockedAttention(Dropout(0.3, seed))
        with Replicas(miniGPT(5, 4, 4, 2, 1), n_threads=3):
            found.append(attention.forward(q, k, v))
        assert len(attention.parts) == 3
        dropped = [np.mean(block.dropout_mask == 0) for block in chain(*attention.parts)]
        np.testing.assert_allclose(dropped, 0.3, atol=0.02)
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert len({head.tobytes() for head in found[0][0]}) == 16
