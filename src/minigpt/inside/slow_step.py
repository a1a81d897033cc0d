"""One training step in slow motion: forward, the loss, back, the clip, the update, the gain.

The steps are those of `miniGPT.forward`, `miniGPT.backward` and `minigpt.training.loop.train`, one layer
at a time, with a measurement after each.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.checks import check_has, check_sizes, check_targets, check_text
from minigpt.core.functional import Array, cross_entropy, cross_entropy_backward
from minigpt.core.optim import clip_gradients
from minigpt.support.brief import brief
from minigpt.support.checked import checked

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.core.optim import Optimizer


@dataclass(frozen=True)
class Station:
    """A layer that numbers pass on their way forward, and gradients on their way back.

    Attributes
    ----------
    name : "embedding", "block 0 attention", "block 0 feed-forward", …, "final norm", "head".
    shape : of what it gives, (B, T, C) or (B, T, V).
    norm : length of what it gives, of all tokens.
    gradient : length of the gradient of the loss with respect to that; None below what is frozen.
    parameters : the length of the gradient of each of its parameters that learn, before clipping.
    """

    name: str
    shape: tuple[int, ...]
    norm: float
    gradient: float | None
    parameters: dict[str, float]

    __repr__ = brief


@dataclass(frozen=True)
class Change:
    """What the update did to one number: that at `index` of the parameter `name`."""

    name: str
    index: tuple[int, ...]
    gradient: float
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class SlowStep:
    """All stages of one training step, in their order.

    Attributes
    ----------
    x, y : int (B, T), the tokens, and those that come next.
    losses : float64 (B, T), the loss at each token, nats.
    loss : their mean.
    stations : the layers in the order of the forward pass; gradients went through them from the
        last to the first.
    gradient_norm, clip : length of the whole gradient, and the longest that is let through.
    learning_rate : of the update.
    changes : the numbers that the update changed most, the most first.
    losses_after, loss_after : the same losses after the update.
    """

    x: Array
    y: Array
    losses: Array
    loss: float
    stations: list[Station]
    gradient_norm: float
    clip: float
    learning_rate: float
    changes: list[Change]
    losses_after: Array
    loss_after: float

    __repr__ = brief

    def to_dict(self) -> dict[str, Any]:
        """Give all of it by name, ready for JSON: arrays as lists, rounded to 6 digits."""
        record = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("x", "y"):
            record[name] = record[name].tolist()
        for name in ("losses", "losses_after"):
            record[name] = np.round(record[name], 6).tolist()
        for name in ("stations", "changes"):
            record[name] = [asdict(each) for each in record[name]]
        return record


@checked
def slow_step(
    model: miniGPT,
    x: Any,
    y: Any,
    optimizer: Optimizer,
    learning_rate: float,
    clip: float = 1.0,
    n_changes: int = 20,
) -> SlowStep:
    """Take a training step on copies of a model and its optimizer, and write down each stage.

    Parameters
    ----------
    model, optimizer : stay as they are. Dropout drops what it would drop next.
    x, y : int (B, T), a batch and what comes next: see `minigpt.get_batch`.
    learning_rate, clip : see `minigpt.Settings`.
    n_changes : how many of the numbers that change most are told.

    Raises
    ------
    ValueError, TypeError
        If ids are out of range, or the shapes do not fit.
    """
    check_sizes(n_changes=n_changes)
    check_has("optimizer", optimizer, "latest_update", "an AdamW or SGD")
    x = check_text(x, model.vocab_size, model.max_len)
    model, optimizer = _copies(model, optimizer)
    chance = model.rng.bit_generator.state
    names, given = _forward(model, x)
    y = check_targets(given[-1].shape, y)
    gradients = _backward(model, cross_entropy_backward(given[-1], y))
    losses, loss = _losses(given[-1], y), cross_entropy(given[-1], y)
    grads, places = model.flat.grads, model.flat.places
    own = {name: float(np.linalg.norm(grads[part])) for name, part in places.items()}
    stations = [
        Station(name, value.shape, float(np.linalg.norm(value)), gradient, _of(name, own))
        for name, value, gradient in zip(names, given, gradients, strict=True)
    ]
    before, unclipped = model.flat.params.copy(), grads.copy()
    gradient_norm = clip_gradients(grads, clip)
    optimizer.step(learning_rate)
    changes = _largest(model, before, unclipped, n_changes)
    model.rng.bit_generator.state = chance  # so that dropout drops the same again
    logits = _forward(model, x)[1][-1]
    return SlowStep(
        *(x, y, losses, loss, stations, gradient_norm, clip, learning_rate, changes),
        losses_after=_losses(logits, y),
        loss_after=cross_entropy(logits, y),
    )


def _copies(model: miniGPT, optimizer: Optimizer) -> tuple[miniGPT, Optimizer]:
    """Copy a model, and its optimizer for the copy."""
    twin = copy.deepcopy(model).train()
    other = copy.copy(optimizer)
    other.model = twin
    other.state = {name: value.copy() for name, value in optimizer.state.items()}
    return twin, other


def _forward(model: miniGPT, x: Array) -> tuple[list[str], list[Array]]:
    """Give the names of the stations, and what each gives."""
    tokens = model.token_embedding.forward(x)
    names = ["embedding"]
    given = [model.dropout.forward(model.position_embedding.forward(tokens))]
    for i, block in enumerate(model.blocks):
        names += [f"block {i} attention", f"block {i} feed-forward"]
        given.append(given[-1] + block.attention.forward(block.norm_1.forward(given[-1])))
        given.append(given[-1] + block.feed_forward.forward(block.norm_2.forward(given[-1])))
    names += ["final norm", "head"]
    given.append(model.final_norm.forward(given[-1]))
    given.append(model.head.forward(given[-1]))
    return names, given


def _backward(model: miniGPT, dlogits: Array) -> list[float | None]:
    """Give the length of the gradient that comes to each station; parameters get theirs."""
    gradients: list[float | None] = [None] * (2 * model.n_layers + 3)

    def arrived(place: int, dy: Array) -> Array:
        gradients[place] = float(np.linalg.norm(dy))
        return dy

    dx = model.head.backward(arrived(-1, dlogits))
    dx = model.final_norm.backward(arrived(-2, dx))
    for i, block in reversed(list(enumerate(model.blocks))):
        if block.frozen:
            return gradients
        dy = arrived(2 * i + 2, dx)
        dy = dy + block.norm_2.backward(block.feed_forward.backward(dy))
        dy = arrived(2 * i + 1, dy)
        dx = dy + block.norm_1.backward(block.attention.backward(dy))
    dx = model.dropout.backward(arrived(0, dx))
    model.token_embedding.backward(model.position_embedding.backward(dx), add=model.tie_weights)
    return gradients


def _losses(logits: Array, y: Array) -> Array:
    """Give −log of the probability of each right answer, (B, T)."""
    scores = logits.astype(float)
    scores -= scores.max(axis=-1, keepdims=True)
    right = np.take_along_axis(scores, y[..., None], axis=-1)[..., 0]
    return np.log(np.exp(scores).sum(axis=-1)) - right


def _of(station: str, gradients: dict[str, float]) -> dict[str, float]:
    """Choose the parameters of a station."""
    first, *rest = station.replace("final norm", "final_norm").split(" ")
    starts: tuple[str, ...] = ("token_embedding.", "position_embedding.")
    if first == "block":
        i, part = rest
        parts = ("norm_1", "attention") if part == "attention" else ("norm_2", "feed_forward")
        starts = tuple(f"blocks.{i}.{each}." for each in parts)
    elif first != "embedding":
        starts = (f"{first}.",)
    return {name: value for name, value in gradients.items() if name.startswith(starts)}


def _largest(model: miniGPT, before: Array, gradients: Array, n: int) -> list[Change]:
    moved = np.abs(model.flat.params - before)
    changes = []
    for place in np.argsort(-moved, kind="stable")[:n].tolist():
        name, part = next(
            (name, part)
            for name, part in model.flat.places.items()
            if part.start <= place < part.stop
        )
        index = np.unravel_index(place - part.start, model.flat.named_params[name].shape)
        changes.append(
            Change(
                name,
                tuple(int(i) for i in index),
                float(gradients[place]),
                float(before[place]),
                float(model.flat.params[place]),
            )
        )
    return changes
