"""Prove the gradients of a model, layer by layer: the work of `minigpt check`.

Each layer is checked separately, on the input that it really gets in the model, so a mistake in one
layer does not make others look wrong. A layer made of parts is at fault itself only if none of its
parts is wrong: see `faulty_layers`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.check.comparison import Comparison
from minigpt.check.gradients import GradientChecker
from minigpt.check.properties import Property, built_in_tokenizers, check_properties
from minigpt.core import functional
from minigpt.core.functional import Array
from minigpt.core.kernels import plain
from minigpt.core.layers import GELU, Dropout, Layer, MultiHeadAttention, ReLU
from minigpt.core.model import miniGPT
from minigpt.folders.pretrained import load_model_and_tokenizer
from minigpt.support.brief import brief
from minigpt.support.hub import find_model


@dataclass(frozen=True)
class LayerCheck:
    """The gradients of one layer, or of a function, against central differences.

    Attributes
    ----------
    name : its place in the model, such as "blocks.0.attention".
    kind : the class of the layer, or the name of the function.
    rows : label in a table → comparison: its own parameters, the worst of all parameters inside,
        and its input "x".
    parts : the checks of its parts.
    """

    name: str
    kind: str
    rows: dict[str, Comparison]
    parts: list[LayerCheck] = field(default_factory=list)

    __repr__ = brief

    @property
    def ok(self) -> bool:
        """Whether all its gradients are right."""
        return all(row.ok for row in self.rows.values())

    @property
    def part_fails(self) -> bool:
        """Whether a part is wrong, at any depth."""
        return any(not part.ok or part.part_fails for part in self.parts)


def faulty_layers(checks: Sequence[LayerCheck]) -> list[LayerCheck]:
    """Return the checks that fail although all their parts are right."""
    return [check for check in checks if not check.ok and not check.part_fails]


def check_new_model(seed: int = 0) -> Iterator[LayerCheck | Property]:
    """Check a new model that is so small that nearly every number of it can be checked."""
    model = tiny(seed)
    yield from Prover(model, seed, entries=1000, entries_of_whole=8).layers()
    yield from check_properties(model, built_in_tokenizers(), seed)


def check_folder(name: str | Path, seed: int = 0) -> Iterator[LayerCheck | Property]:
    """Check a few numbers of each array of the model in a folder, and its tokenizer, if any."""
    folder = find_model(name)
    if any((folder / file).exists() for file in ("tokenizer.json", "vocab.json")):
        model, tokenizer = load_model_and_tokenizer(folder, np.float64)
        tokenizers = [tokenizer]
    else:
        model = miniGPT.from_pretrained(folder, dtype="float64")
        tokenizers = built_in_tokenizers()
    yield from Prover(model, seed, entries=16, entries_of_whole=2).layers()
    yield from check_properties(model, tokenizers, seed)


class Prover:
    """Checks every layer of a float64 model, in training mode, so that dropout is checked too.

    Parameters
    ----------
    model : its numbers are moved and moved back. A dropout of 0, which hides mistakes, becomes 0.1.
    seed : seed of the random numbers.
    entries : how many numbers of each array are checked.
    entries_of_whole : the same for a layer with parts, which have been checked before.
    """

    def __init__(self, model: miniGPT, seed: int, entries: int, entries_of_whole: int) -> None:
        self.model, self.seed = model, seed
        self.entries, self.entries_of_whole = entries, entries_of_whole
        for _, layer in named_layers(model):
            if isinstance(layer, Dropout):
                layer.p = layer.p or 0.1
        rng = np.random.default_rng(seed)
        length = max(1, min(model.max_len - 1, 8))  # not all positions are used
        self.ids, self.targets = rng.integers(0, model.vocab_size, (2, 2, length))
        self.x = rng.normal(size=(2, 3, 8))  # input for layers that the model does not contain

    def layers(self) -> Iterator[LayerCheck]:
        """Yield a check of each layer, its parts before the layer itself."""
        mode = self.model.training
        inputs = inputs_of(self.model.train(), self.ids)
        self.softmax = self.check("softmax_backward", Softmax(), self.x)
        cross_entropy = self.check("cross_entropy_backward", CrossEntropy(), self.x)
        yield from (self.softmax, cross_entropy)

        parts = [cross_entropy]
        for name, layer in self.model.children():
            parts.append((yield from self.inside(name, layer, inputs)))
        present = {type(layer) for _, layer in named_layers(self.model)}
        for kind in {GELU, ReLU} - present:
            parts.append(self.check("by itself", kind(), self.x))
            yield parts[-1]

        whole = self.check("the whole model", self.model, self.ids, parts, self.targets)
        yield whole
        name = "the whole model, fast"
        yield self.check(name, self.model, self.ids, [whole], self.targets, fast=True)
        self.model.train(mode)
        other = tiny(self.seed, tie_weights=not self.model.tie_weights)
        name = "a small model, tied" if other.tie_weights else "a small model, untied"
        yield self.check(name, other, np.arange(10).reshape(2, 5), parts, np.ones((2, 5), int))

    def inside(
        self, name: str, layer: Layer, inputs: dict[str, Array]
    ) -> Generator[LayerCheck, None, LayerCheck]:
        """Yield a check of each layer inside this one, then of this one, and return the last."""
        parts = [self.softmax] if isinstance(layer, MultiHeadAttention) else []
        for child_name, child in layer.children():
            parts.append((yield from self.inside(f"{name}.{child_name}", child, inputs)))
        # The dropout inside attention gets no input of its own: `attention` applies it.
        check = self.check(name, layer, inputs.get(name, self.x), parts)
        yield check
        return check

    def check(
        self,
        name: str,
        layer: Any,
        x: Array,
        parts: Sequence[LayerCheck] = (),
        targets: Any = None,
        fast: bool = False,
    ) -> LayerCheck:
        """Check one layer on the input `x`, with plain or with fast kernels."""
        kind = getattr(layer, "function", type(layer).__name__)
        entries = self.entries_of_whole if parts else self.entries
        try:
            with nullcontext() if fast else plain():
                rows = list(GradientChecker(layer, x, targets, entries, self.seed).compare())
        except Exception as error:  # the mistake may raise an error
            rows = [Comparison("all", np.inf, f"stopped by {type(error).__name__}: {error}")]
        own = {row.name: row for row in rows if "." not in row.name}
        inner = [row for row in rows if "." in row.name]
        if inner:
            own = {f"{len(inner)} inside": max(inner, key=lambda row: row.error), **own}
        return LayerCheck(name, kind, own, list(parts))


class Softmax:
    """`softmax` and its derivative, wrapped as a layer to be checked."""

    function = "softmax_backward"

    def forward(self, x: Array) -> Array:
        """Return probabilities."""
        self.y = functional.softmax(x)
        return self.y

    def backward(self, dy: Array) -> Array:
        """Return dx."""
        return functional.softmax_backward(dy, self.y)

    def params(self) -> dict[str, Array]:
        """Return no parameters."""
        return {}

    grads = params


class CrossEntropy(Softmax):
    """`cross_entropy` and its derivative, wrapped as a layer: logits (..., V) to the loss."""

    function = "cross_entropy_backward"

    def forward(self, x: Array) -> Array:
        """Return the loss for fixed targets."""
        self.x = x
        self.targets = np.arange(x[..., 0].size).reshape(x.shape[:-1]) % x.shape[-1]
        return np.array(functional.cross_entropy(x, self.targets))

    def backward(self, dy: Array) -> Array:
        """Return dx."""
        return dy * functional.cross_entropy_backward(self.x, self.targets)


def tiny(seed: int, **options: Any) -> miniGPT:
    """Return a model as small as a full check allows, with no parameter exactly 0 or 1."""
    sizes: dict[str, Any] = {
        "vocab_size": 13,
        "max_len": 6,
        "d_model": 8,
        "n_heads": 2,
        "n_layers": 2,
    }
    model = miniGPT(**sizes, dropout=0.1, seed=seed, dtype="float64", **options)
    model.flat.params[...] += np.random.default_rng(seed).normal(0, 0.2, model.flat.params.size)
    return model


def inputs_of(model: miniGPT, ids: Array) -> dict[str, Array]:
    """Return name of a layer → its input, for all layers of `model` in a forward pass."""
    inputs = {}

    def record(name: str, forward: Any, x: Array, *others: Any) -> Any:
        inputs[name] = x.copy()
        return forward(x, *others)

    layers: dict[str, Any] = dict(named_layers(model))
    for name, layer in layers.items():  # hides the method of its class
        vars(layer)["forward"] = partial(record, name, layer.forward)
    try:
        with plain():
            model.forward(ids)
    finally:
        for layer in layers.values():
            del vars(layer)["forward"]
    return inputs


def named_layers(layer: Layer, prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield (full name, layer) for all layers inside `layer`, at any depth."""
    for name, child in layer.children():
        yield prefix + name, child
        yield from named_layers(child, f"{prefix}{name}.")
