"""Lesson 10: learning. Our solution."""

import math

import numpy as np
from lesson_01 import cross_entropy, cross_entropy_backward


class MySGD:
    def __init__(self, params, grads):
        self.params, self.grads = params, grads

    def step(self, learning_rate):
        for name, p in self.params.items():
            p -= learning_rate * self.grads[name]


def running_mean(values, beta):
    m, means, corrected = np.zeros(values.shape[1:]), [], []
    for t, value in enumerate(values, start=1):
        m = beta * m + (1 - beta) * value
        means.append(m)
        corrected.append(m / (1 - beta**t))
    return np.array(means), np.array(corrected)


class MyAdamW:
    def __init__(self, params, grads, beta1=0.9, beta2=0.99, weight_decay=0.1, eps=1e-8):
        self.params, self.grads = params, grads
        self.beta1, self.beta2 = beta1, beta2
        self.weight_decay, self.eps = weight_decay, eps
        self.m = {name: np.zeros_like(p) for name, p in params.items()}
        self.v = {name: np.zeros_like(p) for name, p in params.items()}
        self.t = 0

    def step(self, learning_rate):
        self.t += 1
        for name, p in self.params.items():
            g = self.grads[name]
            self.m[name] = self.beta1 * self.m[name] + (1 - self.beta1) * g
            self.v[name] = self.beta2 * self.v[name] + (1 - self.beta2) * g**2
            m_hat = self.m[name] / (1 - self.beta1**self.t)
            v_hat = self.v[name] / (1 - self.beta2**self.t)
            if p.ndim >= 2:
                p *= 1 - learning_rate * self.weight_decay
            p -= learning_rate * m_hat / (np.sqrt(v_hat) + self.eps)


def learning_rate_at(step, n_steps, n_warmup, peak, final):
    if step < n_warmup:
        return peak * (step + 1) / (n_warmup + 1)
    progress = (step - n_warmup) / (n_steps - n_warmup)
    share = (1 + math.cos(math.pi * progress)) / 2
    return final + (peak - final) * share


def clip(grads, max_norm):
    norm = math.sqrt(sum((g**2).sum() for g in grads.values()))
    if norm > max_norm:
        for g in grads.values():
            g *= max_norm / norm
    return norm


def windows(ids, starts, length):
    at = starts[:, None] + np.arange(length)
    return ids[at], ids[at + 1]


def train(model, optimizer, batches, rates, max_norm, validation):
    losses, val_losses = [], []
    for (x, targets), rate in zip(batches, rates, strict=True):
        logits = model.forward(x)
        rows, right = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
        losses.append(cross_entropy(rows, right))
        model.backward(cross_entropy_backward(rows, right).reshape(logits.shape))
        clip(model.grads, max_norm)
        optimizer.step(rate)
        val_losses.append(loss_of(model, *validation))
    return np.array(losses), np.array(val_losses)


def loss_of(model, x, targets):
    """Return the loss."""
    scores = model.forward(x)
    return cross_entropy(scores.reshape(-1, scores.shape[-1]), targets.reshape(-1))


def overfit():
    # One run of the program of the page.
    seen = {"best_step": 276, "best_val": 2.09, "last_train": 0.78, "last_val": 2.47}
    why = (
        "The model has many more numbers than the text has letters, so it can learn the text by "
        "heart. What it learns by heart is not true for other text, where it is sure and wrong."
    )
    return seen, why


def newton_schulz(g, n_steps, a, b, c):
    X = g / (np.linalg.norm(g) + 1e-7)
    for _ in range(n_steps):
        A = X @ X.T
        X = a * X + (b * A + c * A @ A) @ X
    return X


class MyMuon:
    def __init__(self, params, grads, momentum=0.95):
        self.params, self.grads, self.momentum = params, grads, momentum
        self.sums = {name: np.zeros_like(p) for name, p in params.items()}

    def step(self, learning_rate):
        for name, p in self.params.items():
            g = self.grads[name]
            self.sums[name] = self.momentum * self.sums[name] + g
            direction = g + self.momentum * self.sums[name]
            size = max(1, p.shape[1] / p.shape[0]) ** 0.5
            p -= learning_rate * size * newton_schulz(direction, 5, 3.4445, -4.7750, 2.0315)
