"""Lesson 1: guess the next token. Our solution."""

import numpy as np


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_backward(dy, y):
    mean = (dy * y).sum(axis=-1, keepdims=True)
    return y * (dy - mean)


def cross_entropy(logits, targets):
    rows = np.arange(len(targets))
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=-1))
    surprise = log_sum - shifted[rows, targets]
    return surprise.mean()


def cross_entropy_backward(logits, targets):
    d = softmax(logits)
    d[np.arange(len(targets)), targets] -= 1
    return d / len(targets)


def bigram_counts(ids, vocab_size):
    counts = np.zeros((vocab_size, vocab_size))
    np.add.at(counts, (ids[:-1], ids[1:]), 1)
    return counts


def counted_loss(counts):
    p = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    seen = counts > 0
    return -(counts[seen] * np.log(p[seen])).sum() / counts.sum()


def train_bigram(ids, vocab_size, n_steps, learning_rate):
    table = np.zeros((vocab_size, vocab_size))
    x, targets = ids[:-1], ids[1:]
    for _ in range(n_steps):
        d_logits = cross_entropy_backward(table[x], targets)
        d_table = np.zeros_like(table)
        np.add.at(d_table, x, d_logits)
        table -= learning_rate * d_table
    return table
