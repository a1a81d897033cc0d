"""Optimizers: how a model's parameters follow its gradients.

Each works on the flat arrays of a model (see `minigpt.flat`), so that a step is a few lines of
arithmetic over all parameters at once. `step(learning_rate)` goes with the latest `backward`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from minigpt.checks import unknown
from minigpt.functional import Array

if TYPE_CHECKING:
    from minigpt.model import miniGPT


PIECE = 2**15
"""How many parameters `AdamW` updates at a time; four arrays of them fit a core's cache."""


class SGD:
    """Stochastic gradient descent: p ← p − lr · g, one step straight downhill.

    Parameters
    ----------
    model : the model whose parameters shall change.
    """

    def __init__(self, model: miniGPT) -> None:
        self.flat = model.flat
        self.state: dict[str, Array] = {}

    def step(self, learning_rate: float) -> None:
        """Take one step with the gradients as they are."""
        self.flat.params[...] -= learning_rate * self.flat.grads


class AdamW:
    """Adam with decoupled weight decay: every parameter gets a step size that suits it.

        m ← β₁ m + (1 − β₁) g          the mean of recent gradients: which way
        v ← β₂ v + (1 − β₂) g²         the mean of their squares: how large they usually are
        m̂ = m / (1 − β₁ᵗ)              both start at 0, and this makes up for it
        v̂ = v / (1 − β₂ᵗ)
        p ← p − lr · λ p               decay, for the entries of matrices only
        p ← p − lr · m̂ / (√v̂ + eps)

    Parameters
    ----------
    model : the model whose parameters shall change.
    beta1, beta2 : how long the two means remember, in [0, 1).
    weight_decay : λ. Biases, scales and shifts do not decay.
    eps : keeps the division finite.

    Attributes
    ----------
    state : "m" and "v", float arrays like the flat parameters, and "t", the number of steps.

    Source: Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019, algorithm 2.
    """

    def __init__(
        self,
        model: miniGPT,
        beta1: float = 0.9,
        beta2: float = 0.99,
        weight_decay: float = 0.1,
        eps: float = 1e-8,
    ) -> None:
        self.flat = model.flat
        self.beta1, self.beta2, self.weight_decay, self.eps = beta1, beta2, weight_decay, eps
        zeros = np.zeros_like(self.flat.params)
        self.state = {"m": zeros, "v": zeros.copy(), "t": np.zeros(1, np.int64)}

    def step(self, learning_rate: float) -> None:
        """Take one step with the gradients as they are."""
        self.state["t"] += 1
        t = int(self.state["t"][0])
        correction1, correction2 = 1 - self.beta1**t, math.sqrt(1 - self.beta2**t)

        self.flat.params[: self.flat.n_matrix_params] *= 1 - learning_rate * self.weight_decay
        # Piece by piece, so that all passes over a piece find it in the processor's cache.
        for start in range(0, self.flat.params.size, PIECE):
            piece = slice(start, start + PIECE)
            g, m, v = self.flat.grads[piece], self.state["m"][piece], self.state["v"][piece]
            m += (1 - self.beta1) * (g - m)
            v *= self.beta2
            v += (1 - self.beta2) * (g * g)
            root = np.sqrt(v)
            root /= correction2
            root += self.eps
            self.flat.params[piece] -= (learning_rate / correction1) * (m / root)


Optimizer: TypeAlias = SGD | AdamW


def clip_gradients(grads: Array, max_norm: float) -> float:
    """Shorten the gradient, in place, to length `max_norm` if it is longer; its direction stays.

    Returns
    -------
    The length it had: the root of the sum of all squares.
    """
    norm = math.sqrt(float(np.dot(grads, grads)))
    if norm > max_norm:
        grads *= max_norm / norm
    return norm


def warmup_cosine(step: int, steps: int, warmup: int, peak: float, final: float) -> float:
    """Give the learning rate of a step: a straight rise to `peak`, then half a cosine to `final`.

    Parameters
    ----------
    step : from 0 to steps − 1.
    steps : length of the whole training.
    warmup : length of the rise, in steps. Steps start small while Adam's means are still rough.
    peak, final : the highest and the last learning rate.

    Source: Loshchilov & Hutter, "SGDR", 2017, section 3, without restarts.
    """
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, steps - warmup)
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * progress))


def make_optimizer(
    name: str, model: miniGPT, beta1: float, beta2: float, weight_decay: float
) -> Optimizer:
    """Make the optimizer called "adamw" or "sgd"."""
    if name == "adamw":
        return AdamW(model, beta1, beta2, weight_decay)
    if name == "sgd":
        return SGD(model)
    raise ValueError(unknown("optimizer", name, ["adamw", "sgd"]))
