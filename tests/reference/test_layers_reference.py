"""Each layer against PyTorch with autograd: its output, and all its gradients."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch_model import (
    ACTIVATIONS,
    Attention,
    Block,
    FeedForward,
    Positions,
    as_in_torch,
    copy_weights,
    gradients,
)

from minigpt.core import functional, layers

C, FF, MAX_LEN = 12, 20, 12
HEADS = [1, 2, 3, 4, 6, 12]
both_dtypes = pytest.mark.parametrize("dtype", ["float64", "float32"])
with_and_without_bias = pytest.mark.parametrize("bias", [True, False])
both_activations = pytest.mark.parametrize("activation", ["gelu", "relu"])


@pytest.fixture
def compare(deviation):
    """Return a function that holds a layer of ours against a module, from the same weights."""

    def compare(ours: layers.Layer, theirs: nn.Module, x: np.ndarray) -> None:
        rng = np.random.default_rng(1)
        for param in ours.params().values():
            param += rng.normal(0, 0.3, param.shape)  # away from zeros, ones and symmetry
        copy_weights(ours, theirs)
        their_x = torch.tensor(x)
        if x.dtype.kind == "f":
            their_x.requires_grad_()
        y, their_y = ours.forward(x), theirs(their_x)
        dy = rng.normal(size=y.shape).astype(y.dtype)
        dx = ours.backward(dy)
        their_y.backward(torch.tensor(dy))

        dtype = str(y.dtype)
        assert dtype == str(their_y.dtype).removeprefix("torch.")
        deviation(f"outputs of layers, {dtype}", y, their_y.detach())
        theirs_by_name = gradients(theirs)
        for name, gradient in as_in_torch(ours.grads(), theirs).items():
            assert gradient.dtype == dtype
            deviation(f"gradients of layers, {dtype}", gradient, theirs_by_name[name])
        if their_x.requires_grad:
            assert dx.dtype == dtype
            deviation(f"gradients of layers, {dtype}", dx, their_x.grad)

    return compare


def numbers(*shape: int, dtype: str) -> np.ndarray:
    """Draw numbers that differ from shape to shape."""
    return np.random.default_rng(shape).normal(size=shape).astype(dtype)


def sizes() -> list[tuple[int, int, int]]:
    """List (batch, time, heads): all heads with all times, and all batches from 1 to 8."""
    pairs = itertools.product(enumerate(HEADS), range(1, MAX_LEN + 1))
    return [(1 + (3 * i + time) % 8, time, n_heads) for (i, n_heads), time in pairs]


@both_dtypes
def test_softmax_and_cross_entropy(deviation, dtype):
    what = f"softmax, cross-entropy, gradients, {dtype}"
    for batch, time in itertools.product(range(1, 9), range(1, MAX_LEN + 1)):
        logits, dy = numbers(2, batch, time, 27, dtype=dtype)
        targets = np.random.default_rng(time).integers(0, 27, (batch, time))
        their_logits = torch.tensor(logits, requires_grad=True)

        y, their_y = functional.softmax(logits), torch.softmax(their_logits, dim=-1)
        deviation(what, y, their_y.detach())
        (their_dx,) = torch.autograd.grad(their_y, their_logits, torch.tensor(dy))
        deviation(what, functional.softmax_backward(dy, y), their_dx)

        loss = F.cross_entropy(their_logits.flatten(0, 1), torch.tensor(targets).flatten())
        deviation(what, functional.cross_entropy(logits, targets), loss.item())
        (their_dx,) = torch.autograd.grad(loss, their_logits)
        deviation(what, functional.cross_entropy_backward(logits, targets), their_dx)


@both_dtypes
@with_and_without_bias
@pytest.mark.parametrize("shape", [(C,), (5, C), (1, 1, C), (8, MAX_LEN, C), (2, 3, 4, C)])
def test_linear_and_layer_norm(compare, dtype, bias, shape):
    x = numbers(*shape, dtype=dtype)
    compare(layers.Linear(C, FF, bias, seed=0, dtype=dtype), nn.Linear(C, FF, bias), x)
    compare(layers.LayerNorm(C, bias, dtype=dtype), nn.LayerNorm(C, bias=bias), x + 3)


@both_dtypes
@both_activations
def test_activations(compare, dtype, activation):
    ours = layers.ACTIVATIONS[activation]()
    compare(ours, ACTIVATIONS[activation](), numbers(8, MAX_LEN, C, dtype=dtype))
    compare(ours, ACTIVATIONS[activation](), np.linspace(-40, 40, 999, dtype=dtype))


@both_dtypes
def test_embeddings(compare, dtype):
    for batch, time, _ in sizes():
        ids = np.random.default_rng(time).integers(0, 9, (batch, time))
        compare(layers.Embedding(9, C, seed=0, dtype=dtype), nn.Embedding(9, C), ids)
        x = numbers(batch, time, C, dtype=dtype)
        ours = layers.PositionalEncoding(MAX_LEN, C, seed=0, dtype=dtype)
        compare(ours, Positions(MAX_LEN, C), x)


@both_dtypes
@with_and_without_bias
def test_attention(compare, dtype, bias):
    for batch, time, n_heads in sizes():
        ours = layers.MultiHeadAttention(C, n_heads, bias, seed=0, dtype=dtype)
        compare(ours, Attention(C, n_heads, bias), numbers(batch, time, C, dtype=dtype))


@both_dtypes
@with_and_without_bias
@both_activations
def test_feed_forward_and_block(compare, dtype, bias, activation):
    for batch, time, n_heads in sizes():
        x = numbers(batch, time, C, dtype=dtype)
        ours = layers.FeedForward(C, FF, activation, bias, seed=0, dtype=dtype)
        compare(ours, FeedForward(C, FF, activation, bias), x)
        ours = layers.TransformerBlock(C, n_heads, FF, activation, bias, seed=0, dtype=dtype)
        compare(ours, Block(C, n_heads, FF, activation, bias), x)
