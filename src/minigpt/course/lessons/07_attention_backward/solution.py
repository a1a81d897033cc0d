"""Lesson 7: attention, backward. Our solution."""

import numpy as np
from lesson_06 import MyAttention as Forward


def d_values(do, weights):
    return np.swapaxes(weights, -1, -2) @ do


def d_weights(do, v):
    return do @ np.swapaxes(v, -1, -2)


def d_scores(d_weights, weights):
    mean = (d_weights * weights).sum(axis=-1, keepdims=True)
    return weights * (d_weights - mean)


def d_queries_keys(d_scores, q, k):
    d_products = d_scores / np.sqrt(q.shape[-1])
    return d_products @ k, np.swapaxes(d_products, -1, -2) @ q


def attention_backward(do, q, k, v, weights):
    dS = d_scores(d_weights(do, v), weights)
    dq, dk = d_queries_keys(dS, q, k)
    return dq, dk, d_values(do, weights)


class MyAttention(Forward):
    def backward(self, dy):
        B, T, C = dy.shape
        H = self.n_heads
        d_joined = self.linear_backward("o", self.joined, dy)
        do = d_joined.reshape(B, T, H, C // H).swapaxes(1, 2)
        dq, dk, dv = attention_backward(do, self.q, self.k, self.v, self.weights)
        from_q = self.linear_backward("q", self.x, self.joined_again(dq))
        from_k = self.linear_backward("k", self.x, self.joined_again(dk))
        from_v = self.linear_backward("v", self.x, self.joined_again(dv))
        return from_q + from_k + from_v

    def joined_again(self, d):
        """Return the gradients of all heads side by side, (B, T, C), from (B, H, T, D)."""
        B, H, T, D = d.shape
        return d.swapaxes(1, 2).reshape(B, T, H * D)

    def linear_backward(self, name, x, dy):
        """Write dW and db of y = x W + b, and return dx."""
        rows, d_rows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
        dW = rows.T @ d_rows
        db = d_rows.sum(axis=0)
        self.grads["w_" + name][...] = dW
        self.grads["b_" + name][...] = db
        return dy @ self.params["w_" + name].T


def zero_gradient():
    why = (
        "b_k adds the same number q_i · b_k / √D to all scores of query i. Softmax does "
        "not change when all its scores move together, so the loss does not either."
    )
    return "b_k", why
