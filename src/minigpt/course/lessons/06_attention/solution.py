"""Lesson 6: attention, forward. Our solution."""

import numpy as np
from lesson_01 import softmax


def mix(x):
    scores = x @ np.swapaxes(x, -1, -2) / np.sqrt(x.shape[-1])
    weights = softmax(scores)
    return scores, weights, weights @ x


def one_head(x, w_q, w_k, w_v):
    q, k, v = x @ w_q, x @ w_k, x @ w_v
    scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
    weights = softmax(scores)
    return scores, weights, weights @ v


def causal_weights(scores):
    T = scores.shape[-1]
    seen = np.tri(T, dtype=bool)
    return softmax(np.where(seen, scores, -np.inf))


def split_heads(z, n_heads):
    B, T, C = z.shape
    parts = z.reshape(B, T, n_heads, C // n_heads)
    return parts.swapaxes(1, 2)


def join_heads(z):
    B, H, T, D = z.shape
    return z.swapaxes(1, 2).reshape(B, T, H * D)


class MyAttention:
    def __init__(self, params, n_heads):
        self.params = params
        self.grads = {name: np.zeros_like(p) for name, p in params.items()}
        self.n_heads = n_heads

    def forward(self, x):
        p = self.params
        q = split_heads(x @ p["w_q"] + p["b_q"], self.n_heads)
        k = split_heads(x @ p["w_k"] + p["b_k"], self.n_heads)
        v = split_heads(x @ p["w_v"] + p["b_v"], self.n_heads)
        scores = q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1])
        weights = causal_weights(scores)
        joined = join_heads(weights @ v)
        y = joined @ p["w_o"] + p["b_o"]
        self.x, self.q, self.k, self.v = x, q, k, v
        self.weights, self.joined = weights, joined
        return y


def largest_weights(q, k):
    scores = np.einsum("nd,ntd->nt", q, k)
    without = softmax(scores).max(axis=-1).mean()
    with_root = softmax(scores / np.sqrt(q.shape[-1])).max(axis=-1).mean()
    return without, with_root
