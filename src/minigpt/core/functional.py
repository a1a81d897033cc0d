"""The mathematics of the layers: each function stands beside its derivative.

Notation, here and in the layers: `dy` is the gradient of the loss L with respect to `y`, an array
of y's shape with entries ∂L/∂y. A function `f_backward` takes `dy` and returns `dx`, by the chain
rule: dx_i = Σ_j dy_j · ∂y_j/∂x_i. Functions with parameters also write the parameters' gradients
into the arrays `d_…`; None instead of an array means that this gradient is not needed.

A forward function that returns two results returns y, and `kept`: what its derivative needs.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minigpt.core.checks_arrays import check_gradient, check_scores, check_targets
from minigpt.core.kernels import kernel

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Kept: TypeAlias = tuple[Array, Array]


def softmax(x: Array, axis: int = -1) -> Array:
    """Return probabilities, of x's shape: positive numbers that sum to 1 along `axis`.

        y_i = exp(x_i) / Σ_j exp(x_j)

    Subtracting the largest score first keeps exp finite, and changes nothing else: it cancels.

    The result is float32 for float32 or float16, else float64. A score of −inf gets the
    probability 0. Scores of +inf share the whole probability equally. If all scores are −inf, the
    result is NaN.
    """
    e = np.exp(subtract_largest(check_scores(x, axis=axis), axis))
    return e / e.sum(axis=axis, keepdims=True)


def subtract_largest(x: Array, axis: int = -1) -> Array:
    """Return x minus its largest entry along `axis`: 0 or negative. Entries of +∞ become 0."""
    largest = x.max(axis=axis, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):  # ∞ − ∞ is replaced below
        difference = x - largest
    return np.where(np.isposinf(x), 0, difference) if np.isposinf(largest).any() else difference


@kernel
def softmax_backward(dy: Array, y: Array) -> Array:
    """Return dx for `softmax` along the last axis, from dy and the probabilities y.

    By the quotient rule ∂y_j/∂x_i = y_j (δ_ij − y_i), where δ_ij is 1 for i = j, else 0. So

        dx_i = Σ_j dy_j y_j (δ_ij − y_i) = y_i (dy_i − Σ_j dy_j y_j)
    """
    y = check_scores(y, "y")
    dy = check_gradient(dy, y.shape)
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True))


def cross_entropy(logits: Array, targets: Array) -> float:
    """Return the mean surprise at the correct answers, in nats: the loss of a language model.

        L = −(1/N) Σ_n log softmax(logits_n)[target_n]
          =  (1/N) Σ_n ( log Σ_j exp(logits_nj) − logits_n[target_n] )

    Equal probabilities for all V answers give a loss of ln V. Shapes: logits (..., V), one score
    for each of V answers; targets int (...), the correct answers, from 0 to V − 1.
    """
    logits = check_scores(logits, "logits")
    targets = check_targets(logits.shape, targets)
    scores = subtract_largest(logits)  # as in softmax, this does not change the result
    target_scores = np.take_along_axis(scores, targets[..., None], axis=-1)[..., 0]
    return float(np.mean(np.log(np.exp(scores).sum(axis=-1)) - target_scores, dtype=float))


def cross_entropy_backward(logits: Array, targets: Array) -> Array:
    """Return the gradient of `cross_entropy` with respect to the logits, (..., V).

    With respect to z_i, the derivative of log Σ_j exp(z_j) is exp(z_i) / Σ_j exp(z_j), the softmax.
    The derivative of −z_target is −1 for i = target, else 0. Together, what the model predicted
    minus what was correct:

        dlogits = (softmax(logits) − one_hot(targets)) / N
    """
    logits = check_scores(logits, "logits")
    targets = check_targets(logits.shape, targets)
    one_hot = np.arange(logits.shape[-1], like=logits) == targets[..., None]
    return (softmax(logits) - one_hot) / targets.size


@kernel
def linear(x: Array, weight: Array, bias: Array | None) -> tuple[Array, Array]:
    """Return y = x W + b; keep x. Shapes: x (..., d_in), W (d_in, d_out), b (d_out,)."""
    y = as_matrix(x) @ weight  # one product over all tokens at once
    if bias is not None:
        y = y + bias
    return y.reshape(*x.shape[:-1], weight.shape[1]), x


@kernel
def linear_backward(
    dy: Array, x: Array, weight: Array, d_weight: Array | None, d_bias: Array | None
) -> Array:
    """Return dx = dy Wᵀ; write dW = xᵀ dy and db = Σ_n dy_n, summed over all tokens n.

    y_nj = Σ_i x_ni W_ij + b_j, so ∂y_nj/∂W_ij = x_ni, ∂y_nj/∂b_j = 1 and ∂y_nj/∂x_ni = W_ij:

        dW_ij = Σ_n x_ni dy_nj        db_j = Σ_n dy_nj        dx_ni = Σ_j dy_nj W_ij

    The first and the last sum are matrix products.
    """
    rows = as_matrix(dy)
    if d_weight is not None:
        d_weight[...] = as_matrix(x).T @ rows
    if d_bias is not None:
        d_bias[...] = rows.sum(axis=0)
    return (rows @ weight.T).reshape(x.shape)


def layer_norm(x: Array, scale: Array, shift: Array | None, eps: float) -> tuple[Array, Kept]:
    """Return y = scale · x̂ + shift, where each row of x̂ has mean 0 and variance 1; keep x̂ and 1/s.

        x̂ = (x − mean(x)) / s        s = √(var(x) + eps)

    Source: Ba, Kiros & Hinton, "Layer Normalization", 2016, section 3.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    inverse_s = 1 / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)
    x_hat = centred * inverse_s
    y = scale * x_hat
    return y if shift is None else y + shift, (x_hat, inverse_s)


def layer_norm_backward(
    dy: Array, kept: Kept, scale: Array, d_scale: Array | None, d_shift: Array | None
) -> Array:
    """Return dx; write d_scale = Σ_n dy_n · x̂_n and d_shift = Σ_n dy_n, summed over all rows n.

    Let a row have C entries, and dx̂ = dy · scale. Each x_i changes x̂_j in three ways: directly
    (for i = j), through the mean, and through s, where ∂s/∂x_i = x̂_i / C:

        ∂x̂_j/∂x_i = (δ_ij − 1/C) / s − (x_j − mean) / s² · x̂_i / C
                  = (δ_ij − 1/C − x̂_j x̂_i / C) / s

    The sum over j of dx̂_j times this is

        dx = (dx̂ − mean(dx̂) − x̂ · mean(dx̂ · x̂)) / s        where mean(dx̂) = dy · scale / C
    """
    x_hat, inverse_s = kept
    dy_x_hat = dy * x_hat
    if d_scale is not None:
        d_scale[...] = as_matrix(dy_x_hat).sum(axis=0)
    if d_shift is not None:
        d_shift[...] = as_matrix(dy).sum(axis=0)
    through_mean = (dy @ scale)[..., None] / len(scale)
    through_std = (dy_x_hat @ scale)[..., None] / len(scale)
    return (dy * scale - x_hat * through_std - through_mean) * inverse_s


GELU_1 = -2 * math.sqrt(2 / math.pi)
GELU_3 = 0.044715 * GELU_1
GATE_LIMIT = 30.0  # beyond ±30, the gate of GELU is exactly 0 or 1, in float64 too


def gelu(x: Array) -> tuple[Array, Kept]:
    """Return y = x · g: multiply each number by a smooth gate g from 0 to 1. Keep x and g.

        g = sigmoid(2u) = 1 / (1 + exp(−2u))        u = √(2/π) (x + 0.044715 x³)

    This is the tanh form 0.5 x (1 + tanh u), since 0.5 (1 + tanh u) = sigmoid(2u). The two
    constants GELU_1 and GELU_3 are those of −2u = x (GELU_1 + GELU_3 x²).
    Source: Hendrycks & Gimpel, "Gaussian Error Linear Units (GELUs)", 2016, section 2.
    """
    with np.errstate(over="ignore"):  # exp(−2u) is inf for x < −10, and 1 / (1 + inf) = 0
        gate = 1 / (1 + np.exp((x * x * GELU_3 + GELU_1) * x))
    return np.maximum(x, -GATE_LIMIT) * gate, (x, gate)  # since −∞ · 0 is NaN


def gelu_backward(dy: Array, kept: Kept) -> Array:
    """Return dx = dy · g (1 + x (1 − g) 2u'), where −2u' = GELU_1 + 3 GELU_3 x².

    By the product rule, the slope of x · g is g + x g'. The derivative of g = sigmoid(z) is
    g (1 − g) z', and z = 2u.
    """
    x, gate = np.clip(kept[0], -GATE_LIMIT, GATE_LIMIT), kept[1]
    return (1 - (x * x * (3 * GELU_3) + GELU_1) * x * (1 - gate)) * gate * dy


def relu(x: Array) -> tuple[Array, Kept]:
    """Return y = max(x, 0); keep x and a mask of its positive entries."""
    return np.maximum(x, 0), (x, x > 0)


def relu_backward(dy: Array, kept: Kept) -> Array:
    """Return dx = dy · y', where the slope y' of max(x, 0) is 1 for x > 0, else 0."""
    return np.where(kept[1], dy, 0)


def dropout_mask(x: Array, p: float, rng: np.random.Generator | None) -> Array | None:
    """Return a mask of x's shape, False with probability p: dropped. Return None if p is 0."""
    if p == 0 or rng is None:
        return None
    return np.greater_equal(rng.random(x.shape, dtype=np.float32), p)


def drop(x: Array, mask: Array | None, p: float) -> Array:
    """Return x · mask / (1 − p), or x if `mask` is None.

    Dividing by 1 − p keeps the expected value. The function is linear, and so its own derivative:
    dx = drop(dy, mask, p). Source: Srivastava et al., "Dropout", 2014, section 10.
    """
    if mask is None:
        return x
    with np.errstate(over="ignore"):
        return np.where(mask, x * (1 / (1 - p)), 0)


def causal_mask(n_queries: int, n_keys: int, like: Array | None = None) -> Array:
    """Return bool (n_queries, n_keys): True where a key is in the future of a query.

    The queries are at the last `n_queries` of the `n_keys` positions: query i is at position
    n_keys − n_queries + i, and sees the keys up to there. The array is of the library of `like`.
    """
    positions = np.arange(n_keys, like=like)
    return positions > positions[n_keys - n_queries :, None]


class AttentionKept(NamedTuple):
    """What `attention` keeps: all that its derivative needs, and the scores, to be inspected."""

    q: Array
    k: Array
    v: Array
    scores: Array
    weights: Array
    dropout_mask: Array | None
    p: float


@kernel
def attention(
    q: Array, k: Array, v: Array, mask: Array | None = None,
    p: float = 0.0, rng: np.random.Generator | None = None,
) -> tuple[Array, Any]:  # fmt: skip
    """Return o: for each query, a weighted mean of the values at positions up to its own.

        S = q kᵀ / √D,   S_ij = −∞ for j > i     scores; the causal mask hides the future
        A = softmax(S)                           attention weights: each row sums to 1
        o = dropout(A) v

    The better a key matches the query, the larger is the weight of its value. A score is a sum of D
    products: for independent entries of variance 1, it has variance D. Dividing it by √D gives
    variance 1 again, so that softmax does not saturate.

    Shapes: q, o (B, H, T, D), queries at the last T of K positions; k, v (B, H, K, D); S, A
    (B, H, T, K). If `mask`, bool (B, 1, T, K), is given, it replaces the causal mask: True hides a
    key from a query. Each weight is dropped with probability p, with random numbers from `rng`.
    Source: Vaswani et al., "Attention Is All You Need", 2017, section 3.2.1.
    """
    hidden = causal_mask(q.shape[2], k.shape[2], like=q) if mask is None else mask
    scores = np.where(hidden, -np.inf, q / math.sqrt(q.shape[-1]) @ k.swapaxes(-1, -2))
    weights = softmax(scores)
    kept = dropout_mask(weights, p, rng)
    return drop(weights, kept, p) @ v, AttentionKept(q, k, v, scores, weights, kept, p)


@kernel
def attention_backward(do: Array, kept: Any) -> tuple[Array, Array, Array]:
    """Return dq, dk and dv, each of the shape of q, k or v, from do = ∂L/∂o.

    o = A v is a matrix product, like y = x W in `linear`, so dA = do vᵀ and dv = Aᵀ do. Dropout, if
    on, acts on A before the product, and on dA after it. S = q kᵀ / √D is again a matrix product:

        dS = softmax_backward(dA, A)        dq = dS k / √D        dk = dSᵀ q / √D

    A masked score has A = 0, so dS = 0: no gradient flows between a query and its future.
    """
    q, k, v, _, weights, mask, p = kept
    dv = drop(weights, mask, p).swapaxes(-1, -2) @ do
    d_weights = drop(do @ v.swapaxes(-1, -2), mask, p)
    d_scores = softmax_backward(d_weights, weights) / math.sqrt(q.shape[-1])
    return d_scores @ k, d_scores.swapaxes(-1, -2) @ q, dv


PIECE_SIZE = 2**17  # entries; a piece of this size stays in the cache while it is worked on


@kernel
def in_pieces(work: Callable[[slice], object], size: int) -> None:
    """Call `work` on slices of at most PIECE_SIZE numbers that together make up range(size)."""
    for start in range(0, size, PIECE_SIZE):
        work(slice(start, min(start + PIECE_SIZE, size)))


def as_matrix(x: Array) -> Array:
    """Return x (..., C) as a matrix with one row for each token."""
    return x.reshape(-1, x.shape[-1])
