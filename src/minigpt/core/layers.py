"""The layers of a Transformer, each with its forward pass and its hand-derived backward pass.

A layer is a small object:

- `forward(x)` computes y and keeps on `self` just what `backward` needs;
- `backward(dy)` takes ∂L/∂y, writes (never adds) the gradients of the layer's parameters, and
  gives dx = ∂L/∂x; it goes with the latest `forward`;
- `params()` and `grads()` are dictionaries of live arrays under the same names. A parameter `w`
  is the attribute `w`, its gradient the attribute `d_w`.

`forward` writes on `self` and never reads what it has written, so that several threads may go
forward through one layer. `backward` reads it: it needs a layer that no other thread uses. A
`twin` is one, with the same arrays.

Shapes: B batch, T time (position in the text), C = `d_model`, H heads, D = C / H, V vocabulary.
They stand here from the smallest, `Linear`, to the largest, `TransformerBlock`.

Source of the architecture: Vaswani et al., "Attention Is All You Need", 2017; with the norms
before the sub-layers as in Radford et al., "Language Models are Unsupervised Multitask Learners"
(GPT-2), 2019, section 2.3.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

import numpy as np

from minigpt.core.checks import (
    check_floats,
    check_fraction,
    check_gradient,
    check_heads,
    check_ids,
    check_known,
    check_sizes,
    check_vectors,
    rng_of,
)
from minigpt.core.functional import Array
from minigpt.fast.attention import BLOCK, Attention, BlockedAttention
from minigpt.fast.threads import product, share_elements
from minigpt.support.hints import missing

if TYPE_CHECKING:
    from minigpt.core.cache import KVCache

Seed: TypeAlias = int | np.random.Generator | None  # a number: the same random draws each time
DType: TypeAlias = Any  # what NumPy takes for a dtype; here float32 or float64


class Layer:
    """What all layers share: their parameters, found by name, and a switch for training."""

    parameter_names: tuple[str, ...] = ()
    training = True
    frozen = False  # a frozen layer learns no more: see `minigpt.core.flat.freeze`

    def params(self) -> dict[str, Array]:
        """Give name → parameter, live: writing into an array changes the layer."""
        return {path: getattr(layer, name) for path, layer, name in self.slots()}

    def grads(self) -> dict[str, Array]:
        """Give name → gradient, as the latest `backward` wrote it."""
        return {path: getattr(layer, "d_" + name) for path, layer, name in self.slots()}

    def train(self, mode: bool = True) -> Self:
        """Switch dropout on (or off, with `mode=False`). Gives the layer itself."""
        self.training = mode
        for _, child in self.children():
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Switch dropout off. Gives the layer itself."""
        return self.train(False)

    def children(self) -> Iterator[tuple[str, Layer]]:
        """Yield the layers inside this one, with their names, in the order of their making."""
        for name, value in list(vars(self).items()):
            if isinstance(value, Layer):
                yield name, value
            elif isinstance(value, list):
                yield from ((f"{name}.{i}", v) for i, v in enumerate(value) if isinstance(v, Layer))

    def slots(self) -> Iterator[tuple[str, Layer, str]]:
        """Yield (full name, owning layer, attribute) of every parameter, here and inside."""
        for name in self.parameter_names:
            if getattr(self, name) is not None:
                yield name, self, name
        for child_name, child in self.children():
            for path, layer, name in child.slots():
                yield f"{child_name}.{path}", layer, name

    def __repr__(self) -> str:
        shapes = {path: getattr(layer, name).shape for path, layer, name in self.slots()}
        if len(shapes) > 4:
            return f"{type(self).__name__}({len(shapes)} parameters)"
        return f"{type(self).__name__}({', '.join(f'{k} {v}' for k, v in shapes.items())})"

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self))  # another thread may go forward while this is copied

    def __copy__(self) -> Self:
        """Copy all of it, as `copy.deepcopy` does: two layers that shared some arrays would part.

        For a layer that shares all of them see `twin`.
        """
        return copy.deepcopy(self)

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            hint = "; if this is backward(), it needs a forward() before it"
            raise AttributeError(missing(self, name, hint))


AnyLayer = TypeVar("AnyLayer", bound=Layer)


def twin(layer: AnyLayer) -> AnyLayer:
    """Return a layer with the same arrays as `layer`, and a mode and a pass of its own.

    What a pass through one of them keeps, and `train` or `eval`, leave the other alone. So text is
    written with a twin while the model itself is trained.
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
    """Mix the entries of every token's vector: y = x W + b.

    With dy = ∂L/∂y, and sums over all tokens:  dW = xᵀ dy,  db = Σ dy,  dx = dy Wᵀ.

    Parameters
    ----------
    d_in, d_out : lengths of a vector of x and of y.
    bias : False leaves b out.
    seed, dtype : what the first weights are drawn from; float32 or float64.

    Shapes: x (..., d_in), y (..., d_out); weight (d_in, d_out), bias (d_out,).
    """

    parameter_names: tuple[str, ...] = ("weight", "bias")

    def __init__(
        self, d_in: int, d_out: int, bias: bool = True, seed: Seed = None, dtype: DType = np.float32
    ) -> None:
        check_sizes(d_in=d_in, d_out=d_out)
        self.weight = normal((d_in, d_out), seed, dtype)
        self.d_weight = np.zeros((d_in, d_out), dtype)
        self.bias = np.zeros(d_out, dtype) if bias else None
        self.d_bias = np.zeros(d_out, dtype)

    def forward(self, x: Array) -> Array:
        x = self.x = check_vectors(x, len(self.weight))
        y = product(as_matrix(x), self.weight)  # one product over all tokens at once
        if self.bias is not None:
            y += self.bias
        return y.reshape(*x.shape[:-1], self.weight.shape[1])

    def backward(self, dy: Array) -> Array:
        dy_rows = as_matrix(check_gradient(dy, (*self.x.shape[:-1], self.weight.shape[1])))
        product(as_matrix(self.x).T, dy_rows, out=self.d_weight)
        if self.bias is not None:
            np.sum(dy_rows, axis=0, out=self.d_bias)
        return product(dy_rows, self.weight.T).reshape(self.x.shape)


class Embedding(Layer):
    """Look up a learned vector for every token id: y = W[ids].

    A row of W gets the gradients of all places where its id stood: dW[i] = Σ_{ids = i} dy.

    Parameters
    ----------
    n_embeddings : how many ids there are (V).
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
        ids = self.ids = check_ids(ids, len(self.weight))
        return self.weight[ids]

    def backward(self, dy: Array, add: bool = False) -> Array:
        dy = check_gradient(dy, (*self.ids.shape, self.weight.shape[1]))
        # Sorted by id, the gradients that belong together stand together, and one reduceat adds
        # them up; np.add.at does the same one by one, and is many times slower.
        order = np.argsort(self.ids, axis=None, kind="stable")
        ids, first = np.unique(self.ids.ravel()[order], return_index=True)
        if not add:
            self.d_weight[...] = 0
        self.d_weight[ids] += np.add.reduceat(as_matrix(dy)[order], first, axis=0)
        return dy


class PositionalEncoding(Layer):
    """Tell every token where it stands: y_t = x_t + P[t], the vector of position t.

    It is an embedding of the positions 0, 1, 2, …, learned like that of the tokens. Attention
    alone sees a set of tokens; with their positions added, it tells "dear my" from "my dear".

        dP[t] = Σ_batch dy_t        dx = dy

    Parameters
    ----------
    max_len : how many positions there are.
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
        _, T, _ = self.shape = x.shape
        if len(self.weight) < T:
            raise ValueError(f"{T} tokens are more than max_len = {len(self.weight)}")
        positions = self.positions = slice(0, T) if positions is None else positions
        return x + self.weight[positions]

    def backward(self, dy: Array) -> Array:
        dy = check_gradient(dy, self.shape)
        self.d_weight[...] = 0
        self.d_weight[self.positions] = dy.sum(axis=0)
        return dy


class LayerNorm(Layer):
    """Give every token's vector mean 0 and variance 1, then a learned scale and shift.

        x̂ = (x − mean(x)) / √(var(x) + eps)        y = scale · x̂ + shift

    Parameters
    ----------
    d_model : length of a vector (C).
    bias : False leaves the shift out.
    eps : keeps the division finite where all entries are equal.
    dtype : float32 or float64.

    Shapes: x, y (..., C); scale, shift (C,).
    Source: Ba, Kiros & Hinton, "Layer Normalization", 2016, section 3.
    """

    parameter_names = ("scale", "shift")

    def __init__(
        self, d_model: int, bias: bool = True, eps: float = 1e-5, dtype: DType = np.float32
    ) -> None:
        check_sizes(d_model=d_model)
        self.eps = eps
        self.scale = np.ones(d_model, dtype)
        self.d_scale = np.zeros(d_model, dtype)
        self.shift = np.zeros(d_model, dtype) if bias else None
        self.d_shift = np.zeros(d_model, dtype)

    def forward(self, x: Array) -> Array:
        x = check_vectors(x, len(self.scale))
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.vecdot(centred, centred)[..., None] / x.shape[-1]
        inverse_std = self.inverse_std = 1 / np.sqrt(variance + self.eps)
        x_hat = self.x_hat = np.multiply(centred, inverse_std, out=centred)
        y = self.scale * x_hat
        return y if self.shift is None else y + self.shift

    def backward(self, dy: Array) -> Array:
        # Mean and variance depend on every entry of x, so dx gives back what leaves through them:
        # of dx̂, the part along the all-ones vector (the mean) and along x̂ itself (the variance).
        #     dx = (dx̂ − mean(dx̂) − x̂ · mean(dx̂ · x̂)) / √(var + eps),    dx̂ = dy · scale
        dy = check_gradient(dy, self.x_hat.shape)
        dx = dy * self.scale
        np.sum(as_matrix(dy * self.x_hat), axis=0, out=self.d_scale)
        if self.shift is not None:
            np.sum(as_matrix(dy), axis=0, out=self.d_shift)
        through_variance = self.x_hat * (np.vecdot(dx, self.x_hat)[..., None] / dx.shape[-1])
        dx -= dx.mean(axis=-1, keepdims=True)
        dx -= through_variance
        dx *= self.inverse_std
        return dx


class GELU(Layer):
    """Let every number through by a smooth gate of its own: y = x · g.

        g = sigmoid(2u)        u = √(2/π) (x + 0.044715 x³)

    It is the tanh form 0.5 x (1 + tanh u), since 0.5 (1 + tanh u) = sigmoid(2u). With the
    derivative of sigmoid(z), which is sigmoid(z) (1 − sigmoid(z)):

        dx = dy · (g + x · g (1 − g) · 2u')        u' = √(2/π) (1 + 3 · 0.044715 x²)

    Source: Hendrycks & Gimpel, "Gaussian Error Linear Units (GELUs)", 2016, section 2.
    """

    def forward(self, x: Array) -> Array:
        x = self.x = check_floats(x)
        gate = self.gate = np.empty_like(x)
        y = np.empty_like(x)
        share_elements(self._forward, x, gate, y)
        return y

    def _forward(self, x: Array, gate: Array, y: Array) -> None:
        with np.errstate(over="ignore"):  # exp(−2u) is inf for x < −10, and 1 / (1 + inf) = 0
            np.multiply(x, x, out=gate)
            gate *= -2 * SQRT_2_OVER_PI * 0.044715
            gate -= 2 * SQRT_2_OVER_PI
            gate *= x  # −2u
            np.exp(gate, out=gate)
        gate += 1
        np.divide(1, gate, out=gate)
        np.maximum(x, -FAR, out=y)  # as −∞ · 0 would be NaN
        y *= gate

    def backward(self, dy: Array) -> Array:
        dx = np.empty_like(self.x)
        share_elements(self._backward, self.x, self.gate, check_gradient(dy, dx.shape), dx)
        return dx

    def _backward(self, x: Array, gate: Array, dy: Array, dx: Array) -> None:
        near = np.clip(x, -FAR, FAR)
        np.multiply(near, near, out=dx)
        dx *= 2 * SQRT_2_OVER_PI * 3 * 0.044715
        dx += 2 * SQRT_2_OVER_PI  # 2u'
        dx *= near
        dx *= np.subtract(1, gate, out=near)
        dx += 1
        dx *= gate
        dx *= dy


SQRT_2_OVER_PI = (2 / math.pi) ** 0.5
FAR = 30.0
"""Farther from 0 than this, the gate is exactly 0 or 1, in float64 too."""


class ReLU(Layer):
    """Let positive numbers through: y = max(x, 0), dx = dy where x > 0, else 0."""

    def forward(self, x: Array) -> Array:
        x = self.x = check_floats(x)
        self.gate = x > 0
        return np.maximum(x, 0)

    def backward(self, dy: Array) -> Array:
        return np.where(self.gate, check_gradient(dy, self.x.shape), 0)


ACTIVATIONS: dict[str, type[GELU] | type[ReLU]] = {"gelu": GELU, "relu": ReLU}


class Dropout(Layer):
    """While training, drop each number with probability p, so that none is relied on too much.

    What is kept grows by 1 / (1 − p), so that the mean stays:  y = x · mask,  dx = dy · mask.

    Source: Srivastava et al., "Dropout", 2014, section 10 (scaled at training time).
    """

    def __init__(self, p: float, seed: Seed = None) -> None:
        check_fraction(dropout=p)
        self.p = p
        self.rng = rng_of(seed)

    def forward(self, x: Array) -> Array:
        self.mask: Array | None = None
        if not self.training or self.p == 0:
            return x
        x = check_floats(x)
        mask: Array = np.greater_equal(self.rng.random(x.shape, dtype=np.float32), self.p)
        self.mask = mask
        return self.scale_kept(x, mask)

    def backward(self, dy: Array) -> Array:
        if self.mask is None:
            return dy
        return self.scale_kept(check_gradient(dy, self.mask.shape), self.mask)

    def scale_kept(self, x: Array, mask: Array) -> Array:
        """Return x · mask / (1 − p), with 0 for what is dropped, even where that is infinite."""
        with np.errstate(over="ignore"):
            return np.where(mask, x * (1 / (1 - self.p)), 0)


class MultiHeadAttention(Layer):
    """Let every token gather what it needs from itself and the tokens before it, in H heads.

        q, k, v = x W_qkv + b_qkv               query, key, value: three vectors for each token
        o = softmax(q kᵀ / √D, future masked) v of each head, on its own D = C / H numbers
        y = (o of all heads, side by side) W_o + b_o

    What a head does, and its derivative, stands in `minigpt.fast.attention.Attention`.

    Parameters
    ----------
    d_model : length of a token's vector (C), a multiple of n_heads.
    n_heads : number of heads (H).
    bias : False leaves the biases of both projections out.
    dropout : probability for an attention weight, and for a number of y, to be dropped.
    seed, dtype : as for `Linear`.

    Shapes: x, y (B, T, C).
    Source: Vaswani et al., 2017, section 3.2.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        bias: bool = True,
        dropout: float = 0.0,
        seed: Seed = None,
        dtype: DType = np.float32,
    ) -> None:
        check_heads(d_model, n_heads)
        rng = rng_of(seed)
        self.n_heads = n_heads
        self.scale = (d_model // n_heads) ** -0.5  # a Python float keeps float32 in float32
        self.qkv = Linear(d_model, 3 * d_model, bias, seed=rng, dtype=dtype)
        self.attention_dropout = Dropout(dropout, rng)
        self.projection = Linear(d_model, d_model, bias, rng, dtype)
        self.residual_dropout = Dropout(dropout, rng)

    def forward(self, x: Array, cache: KVCache | None = None) -> Array:
        x = check_vectors(x, len(self.qkv.weight), ndim=3)
        B, T, C = x.shape
        qkv = self.qkv.forward(x).reshape(B, T, 3, self.n_heads, -1)
        q, k, v = qkv.transpose(2, 0, 3, 1, 4)  # each (B, H, T, D)
        k, v, mask = (k, v, None) if cache is None else cache.extend(k, v)
        in_blocks = T > 2 * BLOCK and mask is None
        core = self.core = (BlockedAttention if in_blocks else Attention)(self.attention_dropout)
        q *= self.scale
        heads = core.forward(q, k, v, mask)  # (B, H, T, D)
        y = self.projection.forward(heads.swapaxes(1, 2).reshape(B, T, C))
        return self.residual_dropout.forward(y)

    def backward(self, dy: Array) -> Array:
        dy = self.projection.backward(self.residual_dropout.backward(dy))
        B, T, C = dy.shape
        d_heads = dy.reshape(B, T, self.n_heads, -1).swapaxes(1, 2)  # (B, H, T, D)
        d_qkv = np.empty((B, T, 3, self.n_heads, C // self.n_heads), dy.dtype)
        dq, dk, dv = d_qkv.transpose(2, 0, 3, 1, 4)  # views, each (B, H, T, D)
        dq[...], dk[...], dv[...] = self.core.backward(d_heads)
        dq *= self.scale
        return self.qkv.backward(d_qkv.reshape(B, T, 3 * C))

    @property
    def weights(self) -> Array:
        """The attention weights A of the latest forward pass, (B, H, T, T)."""
        return self.core.weights


class FeedForward(Layer):
    """Think about each token by itself: y = activation(x W_up + b_up) W_down + b_down.

    Parameters
    ----------
    d_model : length of a token's vector (C).
    d_ff : length in the middle; usually 4 · d_model.
    activation : "gelu" or "relu".
    bias, dropout, seed, dtype : as for `MultiHeadAttention`.

    Shapes: x, y (..., C).
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        activation: str = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
        seed: Seed = None,
        dtype: DType = np.float32,
    ) -> None:
        check_sizes(d_model=d_model, d_ff=d_ff)
        rng = rng_of(seed)
        self.up = Linear(d_model, d_ff, bias, seed=rng, dtype=dtype)
        self.activation = ACTIVATIONS[check_known("activation", activation, ACTIVATIONS)]()
        self.down = Linear(d_ff, d_model, bias, rng, dtype)
        self.dropout = Dropout(dropout, rng)

    def forward(self, x: Array) -> Array:
        y = self.down.forward(self.activation.forward(self.up.forward(x)))
        self._forget()
        return self.dropout.forward(y)

    def backward(self, dy: Array) -> Array:
        self.down.x = self.activation.forward(self.activation.x)
        dx = self.activation.backward(self.down.backward(self.dropout.backward(dy)))
        self._forget()
        return self.up.backward(dx)

    def _forget(self) -> None:
        """Keep nothing that is large and soon made again."""
        vars(self.down).pop("x", None)
        vars(self.activation).pop("gate", None)


class TransformerBlock(Layer):
    """One round of looking around and thinking, each added to what was there (residuals).

        h = x + attention(norm_1(x))        y = h + feed_forward(norm_2(h))

    A sum hands its gradient to both terms, so dh = dy + (dy back through feed_forward and norm_2),
    and dx = dh + (dh back through attention and norm_1): gradients always find a short way home.

    Parameters as for `MultiHeadAttention` and `FeedForward`. Shapes: x, y (B, T, C).
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_ff: int,
        activation: str = "gelu",
        bias: bool = True,
        dropout: float = 0.0,
        seed: Seed = None,
        dtype: DType = np.float32,
    ) -> None:
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


def as_matrix(x: Array) -> Array:
    """See (..., C) as one matrix with a row for each token."""
    return x.reshape(-1, x.shape[-1])


def normal(shape: tuple[int, int], seed: Seed, dtype: DType) -> Array:
    """Draw the weights a layer starts with from GPT-2's distribution, of deviation 0.02."""
    return rng_of(seed).normal(0.0, 0.02, shape).astype(dtype, copy=False)
