"""Optimizers: how a model's parameters follow its gradients.

Each works on the flat arrays of a model (see `minigpt.core.flat`), so that a step is a few lines of
arithmetic over all parameters at once. `step(learning_rate)` goes with the latest `backward`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from minigpt.core.checks import (
    check_amount,
    check_floats,
    check_fraction,
    check_model,
    check_numbers,
    check_whole,
    check_writable,
    plain,
    unknown,
)
from minigpt.core.functional import Array
from minigpt.fast.threads import share_out
from minigpt.support.hints import missing

if TYPE_CHECKING:
    from minigpt.core.flat import Flat
    from minigpt.core.model import miniGPT


PIECE = 2**17
"""How many parameters `AdamW` updates at a time. Fewer stay nearer to a core, but then threads
spend their time on handing Python's lock to and fro."""


class OfModel:
    """What the optimizers share: the model they change.

    The flat arrays are always those of the model, so that `copy.deepcopy` and `pickle` of a model
    with its optimizer give an optimizer of the copied model; that of an optimizer alone copies its
    model too. `copy.copy` gives one that shares the model and the state.
    """

    model: miniGPT

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            raise AttributeError(missing(self, name))

    @property
    def flat(self) -> Flat:
        """The flat parameters and gradients of the model."""
        return self.model.flat


class SGD(OfModel):
    """Stochastic gradient descent: p ← p − lr · g, one step straight downhill.

    Parameters
    ----------
    model : the model whose parameters shall change.
    """

    def __init__(self, model: miniGPT) -> None:
        check_model(model)
        self.model = model
        self.state: dict[str, Array] = {}

    def __repr__(self) -> str:
        return f"SGD({self.flat.params.size:,} parameters)"

    def step(self, learning_rate: float) -> None:
        """Take one step with the gradients as they are."""
        check_amount(learning_rate=learning_rate)
        self.flat.params[...] -= learning_rate * self.flat.grads

    def latest_update(self, part: slice, learning_rate: float) -> Array:
        """Give what the latest step has added to a part of the flat parameters."""
        return -learning_rate * self.flat.grads[part]


class AdamW(OfModel):
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
        check_model(model)
        check_fraction(beta1=beta1, beta2=beta2)
        check_amount(weight_decay=weight_decay, eps=eps)
        if eps == 0:
            raise ValueError("eps must be more than 0: it keeps the division finite")
        self.model = model
        self.beta1, self.beta2, self.weight_decay, self.eps = beta1, beta2, weight_decay, eps
        zeros = np.zeros_like(self.flat.params)
        self.state = {"m": zeros, "v": zeros.copy(), "t": np.zeros(1, np.int64)}

    def __repr__(self) -> str:
        return (
            f"AdamW({self.flat.params.size:,} parameters, beta1={self.beta1}, beta2={self.beta2}, "
            f"weight_decay={self.weight_decay}, steps taken: {int(self.state['t'][0]):,})"
        )

    def step(self, learning_rate: float) -> None:
        """Take one step with the gradients as they are."""
        check_amount(learning_rate=learning_rate)
        self.state["t"] += 1
        t = int(self.state["t"][0])
        if t < 1:  # as only a damaged file can have it
            raise ValueError(
                f"the state of the optimizer tells of {t - 1} steps taken: fewer than 0"
            )
        flat = self.flat
        if self.state["m"].size != flat.params.size:
            raise ValueError(
                f"this optimizer was made for {self.state['m'].size:,} parameters, and now "
                f"{flat.params.size:,} learn: make a new one after freezing"
            )
        correction1, correction2 = 1 - self.beta1**t, math.sqrt(1 - self.beta2**t)
        decay = 1 - learning_rate * self.weight_decay

        def update(part: slice) -> None:
            scratch = np.empty(PIECE, flat.params.dtype)
            # Piece by piece, so that all passes over a piece find it in the processor's cache.
            for start in range(part.start, part.stop, PIECE):
                piece = slice(start, min(start + PIECE, part.stop))
                p, g = flat.params[piece], flat.grads[piece]
                m, v = self.state["m"][piece], self.state["v"][piece]
                p[: max(0, flat.n_matrix_params - start)] *= decay
                u = np.subtract(g, m, out=scratch[: p.size])
                u *= 1 - self.beta1
                m += u
                np.multiply(g, g, out=u)
                u -= v
                u *= 1 - self.beta2
                v += u
                np.sqrt(v, out=u)
                u /= correction2
                u += self.eps
                np.divide(m, u, out=u)
                u *= learning_rate / correction1
                p -= u

        share_out(update, flat.params.size)

    def latest_update(self, part: slice, learning_rate: float) -> Array:
        """Give what the latest step has added to a part of the flat parameters.

        It follows from what is remembered, so that no copy of the parameters is needed to tell.
        """
        t = int(self.state["t"][0])
        m, v = self.state["m"][part], self.state["v"][part]
        root = np.sqrt(v) / math.sqrt(1 - self.beta2**t) + self.eps
        added = m / root * (-learning_rate / (1 - self.beta1**t))
        matrices = slice(0, max(0, self.flat.n_matrix_params - part.start))
        decay = learning_rate * self.weight_decay
        before = (self.flat.params[part][matrices] - added[matrices]) / (1 - decay)
        added[matrices] -= decay * before
        return added


Optimizer: TypeAlias = SGD | AdamW


def gradient_norm(grads: Array) -> float:
    """Give the length of the gradient: the root of the sum of all squares."""
    grads = plain(grads)
    return math.sqrt(float(np.dot(grads, grads)))


def clip_gradients(grads: Array, max_norm: float, norm: float | None = None) -> float:
    """Shorten the gradient, in place, to length `max_norm` if it is longer; its direction stays.

    Parameters
    ----------
    grads : float (n,).
    max_norm : the length it shall have at most.
    norm : the length it has, see `gradient_norm`, where that is known.

    Returns
    -------
    The length it had.
    """
    if check_floats(grads, "grads").ndim != 1:
        raise ValueError(f"grads must be one flat array (n,), got shape {grads.shape}")
    check_numbers(max_norm=max_norm)
    if not max_norm > 0:
        raise ValueError(f"max_norm must be more than 0, got {max_norm}")
    norm = gradient_norm(grads) if norm is None else norm
    if norm > max_norm:
        check_writable(grads, "grads")
        share_out(
            lambda part: np.multiply(grads[part], max_norm / norm, out=grads[part]), len(grads)
        )
    return norm


def warmup_cosine(step: int, steps: int, warmup: int, peak: float, final: float) -> float:
    """Give the learning rate of a step: a straight rise to `peak`, then half a cosine to `final`.

    Parameters
    ----------
    step : from 0 to steps − 1; at `steps` the cosine has come to its end.
    steps : length of the whole training.
    warmup : length of the rise, in steps. Steps start small while Adam's means are still rough.
    peak, final : the highest and the last learning rate.

    Source: Loshchilov & Hutter, "SGDR", 2017, section 3, without restarts.
    """
    check_whole(step=step, steps=steps, warmup=warmup)
    check_amount(peak=peak, final=final)
    if not 0 <= step <= steps or warmup < 0:
        raise ValueError(
            f"step must be from 0 to steps, and warmup at least 0, got step {step} of {steps} "
            f"and warmup {warmup}"
        )
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
