"""Attention in blocks: gradients, threads and dropout. See also `test_forms`."""

from itertools import chain

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import MultiHeadAttention, check_gradients
from minigpt.fast.attention import BLOCK_LENGTH, BlockedAttentionKept, attention, attention_backward
from minigpt.fast.replicas import Replicas


def random_qkv(T, H=16):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(1, H, T, 4)) for _ in range(4)]


def on_three_threads():
    return Replicas(tiny_model(), n_threads=3)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_blocked_attention_has_right_gradients_with_dropout(dropout):
    layer = MultiHeadAttention(4, 2, dropout=dropout, seed=0, dtype="float64")
    x = np.random.default_rng(0).normal(size=(1, 2 * BLOCK_LENGTH + 3, 4))
    layer.forward(x)
    assert type(layer.kept) is BlockedAttentionKept
    check = check_gradients(layer, x, entries=24)
    assert check.ok, check


def test_blocked_attention_is_the_same_to_the_bit_on_threads():
    q, k, v, do = random_qkv(8 * BLOCK_LENGTH)
    o, kept = attention(q, k, v)
    assert len(kept.parts) == 1
    expected = [o, *attention_backward(do, kept)]
    with on_three_threads():
        o, kept = attention(q, k, v)
        found = [o, *attention_backward(do, kept)]
    assert len(kept.parts) == 3
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_blocked_dropout_is_reproducible_and_differs_between_heads():
    one_head = [x[:, :1] for x in random_qkv(8 * BLOCK_LENGTH)[:3]]
    q, k, v = (np.repeat(x, 16, axis=1) for x in one_head)
    found = []
    for seed in (1, 1, 2):
        with on_three_threads():
            o, kept = attention(q, k, v, p=0.3, rng=np.random.default_rng(seed))
        found.append(o)
        assert len(kept.parts) == 3
        dropped = [np.mean(block.dropout_mask == 0) for block in chain(*kept.parts)]
        np.testing.assert_allclose(dropped, 0.3, atol=0.02)
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
    assert len({head.tobytes() for head in found[0][0]}) == 16
