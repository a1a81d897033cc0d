"""One training step in slow motion: forward, loss, backward, clipping, update, loss again.

It is the step of `minigpt.train`, on copies of the model and the optimizer. A tap records what
each layer receives and returns.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.checks import check_has, check_sizes
from minigpt.core.checks_arrays import check_targets
from minigpt.core.checks_model import check_batch_ids
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
    """One stage of the forward pass: its output, and the gradients there.

    Attributes
    ----------
    name : "embedding", "block 0 attention", "block 0 feed-forward", …, "final norm", "head".
    shape : shape of the output, (B, T, C) or (B, T, V).
    norm : length of the output, over all tokens.
    gradient : length of the gradient of the loss with respect to the output; None in the frozen
        part of the model.
    parameters : length of the gradient of each trainable parameter, before clipping.
    """

    name: str
    shape: tuple[int, ...]
    norm: float
    gradient: float | None
    parameters: dict[str, float]

    __repr__ = brief


@dataclass(frozen=True)
class Change:
    """What the update did to one number: entry `index` of the parameter `name`."""

    name: str
    index: tuple[int, ...]
    gradient: float
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class SlowStep:
    """All stages of one training step, in order.

    Attributes
    ----------
    x, y : int (B, T), the tokens, and for each the next token.
    losses : float64 (B, T), the loss at each token, in nats.
    loss : the mean loss.
    stations : the stages in the order of the forward pass. Gradients pass them from the last to
        the first.
    gradient_norm, clip : length of the whole gradient, and the length to which it is clipped.
    learning_rate : the learning rate of the update.
    changes : the numbers that the update changed most, largest change first.
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
        """Return the attributes by name, ready for JSON: arrays as lists, losses to 6 digits."""
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
    """Run a training step on copies of a model and its optimizer, and return each stage.

    Parameters
    ----------
    model, optimizer : they stay unchanged. Dropout drops what it would drop in the next step.
    x, y : int (B, T), a batch and its targets: see `minigpt.get_batch`.
    learning_rate, clip : see `minigpt.Settings`.
    n_changes : the number of largest changes to return.

    Raises
    ------
    ValueError, TypeError
        If ids are out of range, or the shapes do not match.
    """
    check_sizes(n_changes=n_changes)
    check_has("optimizer", optimizer, "step", "an AdamW or SGD")
    x = check_batch_ids(x, model.vocab_size, model.max_len)
    model, optimizer = _copies(model, optimizer)
    rng_state = model.rng.bit_generator.state
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
    changes = _largest_changes(model, before, unclipped, n_changes)
    model.rng.bit_generator.state = rng_state  # so that dropout drops the same numbers again
    logits, _ = model.forward(x)
    return SlowStep(
        *(x, y, losses, loss, stations, gradient_norm, clip, learning_rate, changes),
        losses_after=_losses(logits, y),
        loss_after=cross_entropy(logits, y),
    )


def _copies(model: miniGPT, optimizer: Optimizer) -> tuple[miniGPT, Optimizer]:
    """Return a copy of a model, and a copy of its optimizer that updates the first copy."""
    model_copy = copy.deepcopy(model).train()
    optimizer_copy = copy.copy(optimizer)
    optimizer_copy.model = model_copy
    optimizer_copy.state = {name: value.copy() for name, value in optimizer.state.items()}
    return model_copy, optimizer_copy


def _stations(tap: Tap, model: miniGPT) -> list[Station]:
    """Return the stations in the order of the forward pass, from what `tap` has recorded."""
    frozen = [is_frozen(block) for block in model.blocks]
    d_embedding = None if any(frozen) else tap.dy("dropout")
    stages = [("embedding", tap.y("dropout"), d_embedding)]
    for i in range(model.n_layers):
        block = f"blocks.{i}"
        d_middle = None if frozen[i] else tap.dy(f"{block}.attention")
        d_output = None if frozen[i] else tap.dy(block)
        stages.append((f"block {i} attention", tap.x(f"{block}.norm_2"), d_middle))
        stages.append((f"block {i} feed-forward", tap.y(block), d_output))
    for name, path in (("final norm", "final_norm"), ("head", "head")):
        stages.append((name, tap.y(path), tap.dy(path)))
    norms = {name: _norm(model.flat.grads[part]) for name, part in model.flat.places.items()}
    return [
        Station(name, y.shape, _norm(y), None if dy is None else _norm(dy), _in_stage(name, norms))
        for name, y, dy in stages
    ]


def _norm(values: Array) -> float:
    return float(np.linalg.norm(values))


def _losses(logits: Array, y: Array) -> Array:
    """Return −log of the probability of each target, (B, T)."""
    scores = logits.astype(float)
    scores -= scores.max(axis=-1, keepdims=True)
    target_scores = np.take_along_axis(scores, y[..., None], axis=-1)[..., 0]
    return np.log(np.exp(scores).sum(axis=-1)) - target_scores


def _in_stage(stage: str, norms: dict[str, float]) -> dict[str, float]:
    """Return the entries of `norms` whose parameters belong to a stage."""
    first, *rest = stage.replace("final norm", "final_norm").split(" ")
    prefixes: tuple[str, ...] = ("token_embedding.", "position_embedding.")
    if first == "block":
        i, part = rest
        parts = ("norm_1", "attention") if part == "attention" else ("norm_2", "feed_forward")
        prefixes = tuple(f"blocks.{i}.{each}." for each in parts)
    elif first != "embedding":
        prefixes = (f"{first}.",)
    return {name: norm for name, norm in norms.items() if name.startswith(prefixes)}


def _largest_changes(model: miniGPT, before: Array, gradients: Array, n: int) -> list[Change]:
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
