"""Lesson 3: embeddings and positions. Our solution."""

import numpy as np


def one_hot(ids, n_rows):
    return np.eye(n_rows)[ids]


def look_up(ids, weight):
    return weight[ids]


def look_up_backward(dy, ids, n_rows):
    d_weight = np.zeros((n_rows, dy.shape[-1]))
    np.add.at(d_weight, ids, dy)
    return d_weight


class MyEmbedding:
    def __init__(self, params):
        self.params = params
        self.grads = {name: np.zeros_like(p) for name, p in params.items()}

    def forward(self, ids):
        self.ids = ids
        return look_up(ids, self.params["weight"])

    def backward(self, dy):
        d_weight = look_up_backward(dy, self.ids, len(self.params["weight"]))
        self.grads["weight"][...] = d_weight


class MyPositions:
    def __init__(self, params):
        self.params = params
        self.grads = {name: np.zeros_like(p) for name, p in params.items()}

    def forward(self, x):
        T = x.shape[1]
        return x + self.params["weight"][:T]

    def backward(self, dy):
        grad = self.grads["weight"]
        grad[...] = 0
        grad[: dy.shape[1]] = dy.sum(axis=0)
        return dy


def compare(a, b, order):
    if np.allclose(a, b, rtol=0, atol=1e-9):
        return "same"
    if np.allclose(a[order], b, rtol=0, atol=1e-9):
        return "moved"
    return "new"


def predict_shuffle():
    why = (
        "Every token is in the sum once and every position is in the sum once, whatever the "
        "order is. The sum of the pairs is the sum of all tokens plus the sum of all positions."
    )
    return "moved", "new", "same", "same", "same", "moved", why
