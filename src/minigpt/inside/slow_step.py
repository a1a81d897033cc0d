"""One training step in slow motion: forward, the loss, back, the clip, the update, the gain.

It takes the step of `minigpt.train` on copies, records what goes through each layer, and measures.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.checks import check_has, check_sizes
from minigpt.core.checks_arrays import check_targets
from minigpt.core.checks_model import check_text
from minigpt.core.functional import Array, cross_entropy, cross_entropy_backward
from minigpt.core.optim import clip_gradients
from minigpt.inside.tap import Tap
from minigpt.support.brief import brief
from minigpt.support.checked import checked
from minigpt.training.freezing import is_frozen

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.training.optimizers import Optimizer


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
        """Return all of it by name, ready for JSON: arrays as lists, rounded to 6 digits."""
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
    """Run a training step on copies of a model and its optimizer, and record each stage.

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
    check_has("optimizer", optimizer, "step", "an AdamW or SGD")
    x = check_text(x, model.vocab_size, model.max_len)
    model, optimizer = _copies(model, optimizer)
    chance = model.rng.bit_generator.state
    with Tap(model) as tap:
        logits, _ = model.forward(x)
        y = check_targets(logits.shape, y)
        model.backward(cross_entropy_backward(logits, y))
    stations = _stations(tap, model)
    losses, loss = _losses(logits, y), cross_entropy(logits, y)
    grads = model.flat.grads
    before, unclipped = model.flat.params.copy(), grads.copy()
    gradient_norm = clip_gradients(grads, clip)
    optimizer.step(learning_rate)
    changes = _largest(model, before, unclipped, n_changes)
    model.rng.bit_generator.state = chance  # so that dropout drops the same again
    logits, _ = model.forward(x)
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


def _stations(tap: Tap, model: miniGPT) -> list[Station]:
    """Read off what `tap` has recorded: the stations in the order of the forward pass."""
    frozen = [is_frozen(block) for block in model.blocks]
    embedding = None if any(frozen) else tap.arrived("dropout")
    stops = [("embedding", tap.out_of("dropout"), embedding)]
    for i in range(model.n_layers):
        block = f"blocks.{i}"
        middle = None if frozen[i] else tap.arrived(f"{block}.attention")
        output = None if frozen[i] else tap.arrived(block)
        stops.append((f"block {i} attention", tap.into(f"{block}.norm_2"), middle))
        stops.append((f"block {i} feed-forward", tap.out_of(block), output))
    for name, path in (("final norm", "final_norm"), ("head", "head")):
        stops.append((name, tap.out_of(path), tap.arrived(path)))
    places = model.flat.places.items()
    own = {name: _norm(model.flat.grads[part]) for name, part in places}
    return [
        Station(name, y.shape, _norm(y), None if dy is None else _norm(dy), _of(name, own))
        for name, y, dy in stops
    ]


def _norm(values: Array) -> float:
    return float(np.linalg.norm(values))


def _losses(logits: Array, y: Array) -> Array:
    """Return −log of the probability of each right answer, (B, T)."""
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
    moved, params = np.abs(model.flat.params - before), model.params()
    changes = []
    for place in np.argsort(-moved, kind="stable")[:n].tolist():
        name, part = next(
            (name, part)
            for name, part in model.flat.places.items()
            if part.start <= place < part.stop
        )
        index = np.unravel_index(place - part.start, params[name].shape)
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
