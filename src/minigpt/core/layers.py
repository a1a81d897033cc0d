"""The layers of a Transformer, each with its forward pass and its hand-derived backward pass.

A layer is a small object:

- `forward(x)` returns y, and keeps in `self.kept` just what `backward` needs. It never reads
  `self.kept`, so several threads may run forward passes through one layer;
- `backward(dy)` takes ∂L/∂y, writes (never adds) the gradients of the layer's parameters, and
  returns dx = ∂L/∂x. It belongs to the latest `forward`;
- `params()` and `grads()` return dictionaries of live arrays under the same names. A parameter `w`
  is the attribute `w`, its gradient the attribute `d_w`.

Shapes: B batch, T time (position in the text), C = `d_model`, H heads, D = C / H, V vocabulary.
Sources: Vaswani et al., "Attention Is All You Need", 2017; with a norm before each sub-layer as in
Radford et al., "Language Models are Unsupervised Multitask Learners" (GPT-2), 2019, section 2.3.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

import numpy as np

from minigpt.core import functional as F
from minigpt.core.checks import check_fraction, check_known, check_sizes, rng_of
from minigpt.core.checks_arrays import check_floats, check_gradient, check_ids, check_vectors
from minigpt.core.checks_model import check_heads, check_positions, is_part
from minigpt.core.functional import Array, as_matrix
from minigpt.core.kernels import kernel

if TYPE_CHECKING:
    from minigpt.core.cache import KVCache

Seed: TypeAlias = int | np.random.Generator | None  # an int: the same random numbers each time
DType: TypeAlias = Any  # as NumPy accepts it; here float32 or float64


class Layer:
    """The base of all layers: parameters, found by name, and a switch for training mode."""

    parameter_names: tuple[str, ...] = ()
    training = True
    kept: Any

    def params(self) -> dict[str, Array]:
        """Return name → parameter, live: writing into an array changes the layer."""
        return {path: getattr(layer, name) for path, layer, name in self.slots()}

    def grads(self) -> dict[str, Array]:
        """Return name → gradient from the latest `backward`; zeros where none is computed."""
        params = Layer.params(self)
        found = {path: getattr(layer, "d_" + name) for path, layer, name in self.slots()}
        return {p: np.zeros_like(params[p]) if d is None else d for p, d in found.items()}

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on, or off with `mode=False`. Return the layer itself."""
        self.training = mode
        for _, child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Switch dropout off. Return the layer itself."""
        return self.train(False)

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Yield (name, layer) for the layers directly inside this one, in order of creation."""
        for name, value in list(vars(self).items()):
            if isinstance(value, list):
                yield from ((f"{name}.{i}", v) for i, v in enumerate(value) if is_part(v, Layer))
            elif is_part(value, Layer):
                yield name, value

    def slots(self) -> Iterator[tuple[str, Layer, str]]:
        """Yield (full name, owning layer, attribute) of each parameter, at any depth."""
        for name in self.parameter_names:
            if getattr(self, name) is not None:
                yield name, self, name
        for child_name, child in self.children():
            for path, layer, name in child.slots():
                yield f"{child_name}.{path}", layer, name

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self))  # a copy, since another thread may run `forward` meanwhile

    def __copy__(self) -> Self:
        """Return a deep copy: two layers that share only some arrays would drift apart."""
        return copy.deepcopy(self)

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            hint = ": backward() needs a forward() before it" if name == "kept" else ""
            raise AttributeError(f"{type(self).__name__} has no {name!r}{hint}")


AnyLayer = TypeVar("AnyLayer", bound=Layer)


def twin(layer: AnyLayer) -> AnyLayer:
    """Return a layer with the same arrays as `layer`, but its own mode and its own `kept`.

    For example, a twin can generate text while another thread trains the model.
    """
    other = object.__new__(type(layer))
    for name, value in layer.__getstate__().items():
        if isinstance(value, Layer):
            value = twin(value)
        elif isinstance(value, list):
            value = [twin(each) if isinstance(each, Layer) else each for each in value]
        setattr(other, name, value)
    return other


class Linear(Layer):
    """Mix the entries of each token's vector: y = x W + b; see `functional.linear`.

    Parameters
    ----------
    d_in, d_out : lengths of the vectors in x and in y.
    bias : False leaves out b.
    seed, dtype : of the random initial weights; dtype is float32 or float64.

    Shapes: x (..., d_in), y (..., d_out); weight (d_in, d_out), bias (d_out,).
    """

    parameter_names: tuple[str, ...] = ("weight", "bias")

    def __init__(
        self, d_in: int, d_out: int, bias: bool = True, seed: Seed = None, dtype: DType = np.float32
    ) -> None:
        check_sizes(d_in=d_in, d_out=d_out)
        self.weight = normal((d_in, d_out), seed, dtype)
        self.d_weight: Array | None = np.zeros((d_in, d_out), dtype)
        self.bias = np.zeros(d_out, dtype) if bias else None
        self.d_bias = np.zeros(d_out, dtype) if bias else None

    def forward(self, x: Array) -> Array:
        y, self.kept = F.linear(check_vectors(x, len(self.weight)), self.weight, self.bias)
        return y

    def backward(self, dy: Array) -> Array:
        dy = check_gradient(dy, (*self.kept.shape[:-1], self.weight.shape[1]))
        return F.linear_backward(dy, self.kept, self.weight, self.d_weight, self.d_bias)


class Embedding(Layer):
    """Look up a learned vector for every token id: y = W[ids].

    This is a product X W, where row n of X is one-hot: 1 at column ids_n, else 0. So, as for
    `functional.linear`, dW = Xᵀ dy: the gradient of row i of W is the sum over all positions that
    hold the id i, dW[i] = Σ_{n: ids_n = i} dy_n.

    Parameters
    ----------
    n_embeddings : number of ids (V).
    d_model : length of a vector (C).
    seed, dtype : as for `Linear`.

    Shapes: ids int (...), y (..., C); weight (V, C).
    """

    parameter_names = ("weight",)

    def __init__(
        self, n_embeddings: int, d_model: int, seed: Seed = None, dtype: DType = np.float32
    ) -> None:
        check_sizes(n_embeddings=n_embeddings, d_model=d_model)
        self.weight = normal((n_embeddings, d_model), seed, dtype)
        self.d_weight = np.zeros((n_embeddings, d_model), dtype)

    def forward(self, ids: Array) -> Array:
        ids = self.kept = check_ids(ids, len(self.weight))
        return self.weight[ids]

    def backward(self, dy: Array, add: bool = False) -> Array:
        """Write dW, or add to it with `add`. Return dy: ids themselves have no gradient."""
        dy = check_gradient(dy, (*self.kept.shape, self.weight.shape[1]))
        # After sorting by id, the rows of one id are adjacent, and one reduceat sums them all.
        # np.add.at would add the rows one by one, and is many times slower.
        order = np.argsort(self.kept, axis=None, kind="stable")
        ids, first = np.unique(self.kept.reshape(-1)[order], return_index=True)
        if not add:
            self.d_weight[...] = 0
        self.d_weight[ids] += np.add.reduceat(as_matrix(dy)[order], first, axis=0)
        return dy


class PositionalEncoding(Layer):
    """Add a learned vector for each position to the token's vector there: y_t = x_t + P[t].

    Attention alone sees tokens without their order; positions distinguish "dear my" from "my dear".
    P[t] is added in every text of the batch, so dP[t] = Σ_batch dy_t; and dx = dy.

    Parameters
    ----------
    max_len : number of positions.
    d_model, seed, dtype : as for `Embedding`.

    Shapes: x, y (B, T, C) with T ≤ max_len; weight (max_len, C).
    """

    parameter_names = ("weight",)

    def __init__(
        self, max_len: int, d_model: int, seed: Seed = None, dtype: DType = np.float32
    ) -> None:
        check_sizes(max_len=max_len, d_model=d_model)
        self.weight = normal((max_len, d_model), seed, dtype)
        self.d_weight = np.zeros((max_len, d_model), dtype)

    def forward(self, x: Array, positions: slice | Array | None = None) -> Array:
        x = check_vectors(x, self.weight.shape[1], ndim=3)
        check_positions(x.shape[1], len(self.weight))
        positions = slice(0, x.shape[1]) if positions is None else positions
        self.kept = positions, x.shape
        return x + self.weight[positions]

    def backward(self, dy: Array) -> Array:
        positions, shape = self.kept
        dy = check_gradient(dy, shape)
        self.d_weight[...] = 0
        self.d_weight[positions] = dy.sum(axis=0)
        return dy


class LayerNorm(Layer):
    """Normalize each token's vector to mean 0 and variance 1; then apply a learned scale and shift.

        y = scale · x̂ + shift        x̂ = (x − mean(x)) / √(var(x) + eps): see `functional`

    Parameters
    ----------
    d_model : length of a vector (C).
    bias : False leaves out the shift.
    eps : keeps the division finite where all entries are equal.
    dtype : float32 or float64.

    Shapes: x, y (..., C); scale, shift (C,).
    """

    parameter_names = ("scale", "shift")

    def __init__(
        self, d_model: int, bias: bool = True, eps: float = 1e-5, dtype: DType = np.float32
    ) -> None:
        check_sizes(d_model=d_model)
        self.eps = eps
        self.scale, self.d_scale = np.ones(d_model, dtype), np.zeros(d_model, dtype)
        self.shift = np.zeros(d_model, dtype) if bias else None
        self.d_shift = np.zeros(d_model, dtype) if bias else None

    def forward(self, x: Array) -> Array:
        x = check_vectors(x, len(self.scale))
        y, self.kept = F.layer_norm(x, self.scale, self.shift, self.eps)
        return y

    def backward(self, dy: Array) -> Array:
        dy = check_gradient(dy, self.kept[0].shape)
        return F.layer_norm_backward(dy, self.kept, self.scale, self.d_scale, self.d_shift)


class GELU(Layer):
    """Multiply each number by a smooth gate: see `functional.gelu`."""

    def forward(self, x: Array) -> Array:
        y, self.kept = F.gelu(check_floats(x))
        return y

    def backward(self, dy: Array) -> Array:
        return F.gelu_backward(check_gradient(dy, self.kept[0].shape), self.kept)


class ReLU(Layer):
    """Set negative numbers to 0: see `functional.relu`."""

    def forward(self, x: Array) -> Array:
        y, self.kept = F.relu(check_floats(x))
        return y

    def backward(self, dy: Array) -> Array:
        return F.relu_backward(check_gradient(dy, self.kept[0].shape), self.kept)


ACTIVATIONS: dict[str, type[GELU] | type[ReLU]] = {"gelu": GELU, "relu": ReLU}


class Dropout(Layer):
    """In training mode, drop each number with probability p, so that none is relied on too much."""

    def __init__(self, p: float, seed: Seed = None) -> None:
        check_fraction(dropout=p)
        self.p, self.rng = p, rng_of(seed)

    @property
    def p_now(self) -> float:
        """The probability p in training mode, else 0."""
        return self.p if self.training else 0.0

    def forward(self, x: Array) -> Array:
        x = check_floats(x) if not isinstance(x, np.ndarray) or self.p_now else x
        mask = self.kept = F.dropout_mask(x, self.p_now, self.rng)
        return F.drop(x, mask, self.p)

    def backward(self, dy: Array) -> Array:
        mask = self.kept
        return dy if mask is None else F.drop(check_gradient(dy, mask.shape), mask, self.p)


class MultiHeadAttention(Layer):
    """Gather for each token information from itself and the tokens before it, in H heads.

        q, k, v = x W_qkv + b_qkv               query, key, value: three vectors for each token
        o = softmax(q kᵀ / √D, future masked) v in each head, on its own D = C / H numbers
        y = (o of all heads, side by side) W_o + b_o

    `functional.attention` computes o. Splitting vectors into heads only moves numbers to other
    places, so `backward` moves their gradients back.

    Parameters
    ----------
    d_model : length of a token's vector (C), a multiple of n_heads.
    n_heads : number of heads (H).
    bias : False leaves out the biases of both linear layers.
    dropout : probability that an attention weight, or an entry of y, is dropped.
    seed, dtype : as for `Linear`.

    Shapes: x, y (B, T, C). Source: Vaswani et al., 2017, section 3.2.
    """

    def __init__(
        self, d_model: int, n_heads: int, bias: bool = True, dropout: float = 0.0,
        seed: Seed = None, dtype: DType = np.float32,
    ) -> None:  # fmt: skip
        check_heads(d_model, n_heads)
        rng = rng_of(seed)
        self.n_heads = n_heads
        self.qkv = Linear(d_model, 3 * d_model, bias, seed=rng, dtype=dtype)
        self.attention_dropout = Dropout(dropout, rng)
        self.projection = Linear(d_model, d_model, bias, rng, dtype)
        self.residual_dropout = Dropout(dropout, rng)

    def forward(self, x: Array, cache: KVCache | None = None) -> Array:
        B, T, C = check_vectors(x, len(self.qkv.weight), ndim=3).shape
        qkv = self.qkv.forward(x).reshape(B, T, 3, self.n_heads, -1)
        q, k, v = (qkv[:, :, i].swapaxes(1, 2) for i in range(3))  # each (B, H, T, D)
        k, v, mask = (k, v, None) if cache is None else cache.extend(k, v)
        dropout = self.attention_dropout
        o, self.kept = F.attention(q, k, v, mask, dropout.p_now, dropout.rng)
        y = self.projection.forward(o.swapaxes(1, 2).reshape(B, T, C))  # heads side by side
        return self.residual_dropout.forward(y)

    def backward(self, dy: Array) -> Array:
        do = self.projection.backward(self.residual_dropout.backward(dy))
        B, T, C = do.shape
        do = do.reshape(B, T, self.n_heads, -1).swapaxes(1, 2)  # (B, H, T, D)
        d_qkv = [d.swapaxes(1, 2) for d in F.attention_backward(do, self.kept)]  # dq, dk, dv
        return self.qkv.backward(np.stack(d_qkv, axis=2).reshape(B, T, 3 * C))


class FeedForward(Layer):
    """Transform each token's vector independently: y = activation(x W_up + b_up) W_down + b_down.

    Parameters
    ----------
    d_model : length of a token's vector (C).
    d_ff : length of the vector in the middle; usually 4 · d_model.
    activation : "gelu" or "relu".
    bias, dropout, seed, dtype : as for `MultiHeadAttention`.

    Shapes: x, y (..., C).
    """

    def __init__(
        self, d_model: int, d_ff: int, activation: str = "gelu", bias: bool = True,
        dropout: float = 0.0, seed: Seed = None, dtype: DType = np.float32,
    ) -> None:  # fmt: skip
        check_sizes(d_model=d_model, d_ff=d_ff)
        rng = rng_of(seed)
        self.up = Linear(d_model, d_ff, bias, seed=rng, dtype=dtype)
        self.activation = ACTIVATIONS[check_known("activation", activation, ACTIVATIONS)]()
        self.down = Linear(d_ff, d_model, bias, rng, dtype)
        self.dropout = Dropout(dropout, rng)

    def forward(self, x: Array) -> Array:
        return self.dropout.forward(feed_forward(x, self.up, self.activation, self.down))

    def backward(self, dy: Array) -> Array:
        dy = self.dropout.backward(dy)
        return feed_forward_backward(dy, self.up, self.activation, self.down)


@kernel
def feed_forward(x: Array, up: Linear, activation: GELU | ReLU, down: Linear) -> Array:
    """Return y (..., C): x passed through the three layers in turn."""
    return down.forward(activation.forward(up.forward(x)))


@kernel
def feed_forward_backward(dy: Array, up: Linear, activation: GELU | ReLU, down: Linear) -> Array:
    """Return dx (..., C), passing dy back through the three layers."""
    return up.backward(activation.backward(down.backward(dy)))


class TransformerBlock(Layer):
    """Gather from other tokens, then transform each token; add each result to its input.

        h = x + attention(norm_1(x))        y = h + feed_forward(norm_2(h))

    The derivative of a sum is 1 for each term, so both terms get the whole gradient: dh is dy, plus
    dy passed back through feed_forward and norm_2; dx is dh, plus dh passed back through attention
    and norm_1. So gradients always find a short way home, past everything that could weaken them.
    Parameters: see `MultiHeadAttention` and `FeedForward`. Shapes: x, y (B, T, C).
    """

    def __init__(
        self, d_model: int, n_heads: int, d_ff: int, activation: str = "gelu", bias: bool = True,
        dropout: float = 0.0, seed: Seed = None, dtype: DType = np.float32,
    ) -> None:  # fmt: skip
        rng = rng_of(seed)
        self.norm_1 = LayerNorm(d_model, bias, dtype=dtype)
        self.attention = MultiHeadAttention(d_model, n_heads, bias, dropout, rng, dtype)
        self.norm_2 = LayerNorm(d_model, bias, dtype=dtype)
        self.feed_forward = FeedForward(d_model, d_ff, activation, bias, dropout, rng, dtype)

    def forward(self, x: Array, cache: KVCache | None = None) -> Array:
        h = x + self.attention.forward(self.norm_1.forward(x), cache)
        return h + self.feed_forward.forward(self.norm_2.forward(h))

    def backward(self, dy: Array) -> Array:
        dh = dy + self.norm_2.backward(self.feed_forward.backward(dy))
        return dh + self.norm_1.backward(self.attention.backward(dh))


def normal(shape: tuple[int, int], seed: Seed, dtype: DType) -> Array:
    """Return random initial weights as in GPT-2: normal, mean 0, standard deviation 0.02."""
    return rng_of(seed).normal(0.0, 0.02, shape).astype(dtype, copy=False)
