"""Lesson 1: guess the next token. Our solution."""

import numpy as np


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dy, y):
    mean = (dy * y).sum(axis=-1, keepdims=True)
    return y * (dy - mean)
