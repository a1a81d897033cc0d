"""Optimizers: how gradients change the parameters of a model.

Each optimizer works on the flat arrays of its model, so that a step is a few lines of arithmetic
over all parameters. `step(learning_rate)` uses the gradients of the latest `backward`.
"""

from __future__ import annotations

import math

import numpy as np

from minigpt.core.checks_arrays import check_floats
from minigpt.core.checks_model import check_adamw, check_clipping, check_model, check_step
from minigpt.core.functional import Array, in_pieces
from minigpt.core.model import miniGPT


class SGD:
    """Stochastic gradient descent: p ← p − lr · g, one step straight downhill."""

    def __init__(self, model: miniGPT) -> None:
        check_model(model)
        self.model, self.state = model, dict[str, Array]()

    def step(self, learning_rate: float) -> None:
        """Change the parameters once, using the current gradients."""
        check_step(learning_rate)
        self.model.flat.params[...] -= learning_rate * self.model.flat.grads


class AdamW:
    """Adam with decoupled weight decay: every parameter gets a step size of its own.

        m ← β₁ m + (1 − β₁) g          the mean of recent gradients: the direction
        v ← β₂ v + (1 − β₂) g²         the mean of their squares: the usual size
        m̂ = m / (1 − β₁ᵗ)              m and v start at 0, so they are too small in the first
        v̂ = v / (1 − β₂ᵗ)              steps t; these divisions correct that
        p ← p − lr · λ p               weight decay, only for the entries of matrices
        p ← p − lr · m̂ / (√v̂ + eps)

    Parameters
    ----------
    model : the model to train.
    beta1, beta2 : how much of the old means each step keeps, from 0 to less than 1.
    weight_decay : λ. Biases, scales and shifts do not decay.
    eps : keeps the division finite.

    Source: Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2.
    """

    def __init__(
        self, model: miniGPT, beta1: float = 0.9, beta2: float = 0.99,
        weight_decay: float = 0.1, eps: float = 1e-8,
    ) -> None:  # fmt: skip
        check_adamw(model, beta1, beta2, weight_decay, eps)
        self.model = model
        self.beta1, self.beta2, self.weight_decay, self.eps = beta1, beta2, weight_decay, eps
        zeros = np.zeros_like(model.flat.params)
        self.state = {"m": zeros, "v": zeros.copy(), "t": np.zeros(1, np.int64)}

    def step(self, learning_rate: float) -> None:
        """Change the parameters once, using the current gradients."""
        flat, means, t = self.model.flat, (self.state["m"], self.state["v"]), self.state["t"][0] + 1
        check_step(learning_rate, t, means[0].size, flat.params.size)
        self.state["t"] += 1
        correction1, correction2 = 1 - self.beta1 ** int(t), 1 - self.beta2 ** int(t)

        def update(part: slice) -> None:
            p, g, m, v = (array[part] for array in (flat.params, flat.grads, *means))
            m += (1 - self.beta1) * (g - m)
            v += (1 - self.beta2) * (g * g - v)
            p[: max(0, flat.n_matrix_params - part.start)] *= 1 - learning_rate * self.weight_decay
            p -= learning_rate / correction1 * m / (np.sqrt(v / correction2) + self.eps)

        in_pieces(update, flat.params.size)


def gradient_norm(grads: Array) -> float:
    """Return the length of the gradient (n,): the root of the sum of all squares."""
    grads = check_floats(grads, "grads")
    return math.sqrt(float(np.dot(grads, grads)))


def clip_gradients(grads: Array, max_norm: float, norm: float | None = None) -> float:
    """Shorten the gradient (n,), in place, to length `max_norm` if it is longer.

    Return the length before: `norm` if it is already known, else `gradient_norm(grads)`.
    """
    check_clipping(grads, max_norm)
    norm = gradient_norm(grads) if norm is None else norm
    if norm > max_norm:

        def shorten(part: slice) -> None:
            grads[part] *= max_norm / norm

        in_pieces(shorten, grads.size)
    return norm
