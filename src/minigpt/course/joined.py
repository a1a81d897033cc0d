"""The learner's layers and optimizers in a real model: each takes the place of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from minigpt.core.functional import Array
from minigpt.core.kernels import Forms, plain, using
from minigpt.core.layers import (
    Dropout,
    Embedding,
    FeedForward,
    Layer,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    PositionalEncoding,
    TransformerBlock,
)
from minigpt.core.model import miniGPT
from minigpt.core.optim import SGD, AdamW
from minigpt.course.exercise import Exercise
from minigpt.course.lesson_folder import Lesson

N_STEPS = 20
LOSS = "cross_entropy"
"""The function of lesson 1 that, with its backward, takes the place of our loss."""

Arrays = dict[str, tuple[Array, Array]]
"""The name that the learner's class has for a parameter → the array and its gradient."""


class Seat(NamedTuple):
    """What a class of the learner takes the place of, and what it is made with."""

    ours: type[Layer]
    arrays: Callable[[Any], Arrays] | None
    """Layer → its parameters, the first argument of the class; None if it has none of its own."""
    options: Callable[[Any], tuple[Any, ...]] = lambda layer: ()
    """Layer → the other arguments."""


def _named(matrix: str, vector: str = "") -> Callable[[Any], Arrays]:
    """Return a function for a layer whose parameters the learner calls by our names."""

    def arrays(layer: Any) -> Arrays:
        first = _with_gradient(getattr(layer, matrix), getattr(layer, f"d_{matrix}"))
        if not vector:
            return {matrix: first}
        return {matrix: first, vector: _vector(layer, vector, first[0].shape[-1])}

    return arrays


def _vector(layer: Any, name: str, length: int) -> tuple[Array, Array]:
    """Return a vector of a layer and its gradient; zeros in a model that has no biases."""
    if getattr(layer, name) is None:
        return np.zeros(length), np.zeros(length)
    return _with_gradient(getattr(layer, name), getattr(layer, f"d_{name}"))


def _with_gradient(param: Array, gradient: Array | None) -> tuple[Array, Array]:
    """Return both; of a frozen parameter, an array that nobody reads."""
    return param, np.zeros_like(param) if gradient is None else gradient


def _linear(layer: Linear, weight: str, bias: str, part: slice = slice(None)) -> Arrays:
    b, d_b = _vector(layer, "bias", layer.weight.shape[1])
    w, d_w = _with_gradient(layer.weight, layer.d_weight)
    return {weight: (w[:, part], d_w[:, part]), bias: (b[part], d_b[part])}


def _attention(layer: MultiHeadAttention) -> Arrays:
    C = len(layer.qkv.weight)
    found = _linear(layer.projection, "w_o", "b_o")
    for n, name in enumerate("qkv"):
        found |= _linear(layer.qkv, f"w_{name}", f"b_{name}", slice(n * C, (n + 1) * C))
    return found


SEATS = {
    "MyEmbedding": Seat(Embedding, _named("weight")),
    "MyPositions": Seat(PositionalEncoding, _named("weight")),
    "MyLinear": Seat(Linear, _named("weight", "bias")),
    "MyLayerNorm": Seat(LayerNorm, _named("scale", "shift"), lambda layer: (layer.eps,)),
    "MyAttention": Seat(MultiHeadAttention, _attention, lambda layer: (layer.n_heads,)),
    "MyFeedForward": Seat(
        FeedForward,
        lambda layer: _linear(layer.up, "w_up", "b_up") | _linear(layer.down, "w_down", "b_down"),
    ),
    "MyBlock": Seat(
        TransformerBlock,
        None,
        lambda layer: (layer.norm_1, layer.attention, layer.norm_2, layer.feed_forward),
    ),
}


class Theirs(NamedTuple):
    """Keeps the learner's object where a model does not look for layers of its own."""

    layer: Any


class Joined:
    """Comes before our class in a layer whose forward and backward are the learner's.

    The learner's object is made anew in each forward pass, with the arrays of the model as its
    parameters, and is all that is kept for the backward pass. So an optimizer changes what it
    computes with, and several threads may go forward at once.
    """

    made: Any
    seat: Seat
    kept: Any

    def forward(self, x: Array, *more: Any) -> Array:
        """Go forward with the learner's code; with ours where a cache of keys is given."""
        if any(each is not None for each in more):
            return super().forward(x, *more)  # type: ignore[misc]
        if "forward" in vars(self):  # a Tap records what is inside our layers, such as q, k and v
            return super().forward(x)  # type: ignore[misc]
        if any(isinstance(part, Dropout) and part.p_now for part in vars(self).values()):
            raise ValueError(f"{self.made.__name__} has no dropout: train with --dropout 0")
        arrays = self._arrays()
        params = [{name: param for name, (param, _) in arrays.items()}] if arrays else []
        theirs = self.made(*params, *self.seat.options(self))
        y = theirs.forward(x)
        if hasattr(theirs, "backward"):
            self.kept = Theirs(theirs)
        else:  # the lesson before: ours goes back
            super().forward(x)  # type: ignore[misc]
        dtype = next(iter(params[0].values())).dtype if params else x.dtype
        return np.asarray(y).astype(dtype)

    def backward(self, dy: Array, **options: Any) -> Array:
        """Go back with the learner's code, and write its gradients where the model wants them."""
        if not isinstance(self.kept, Theirs):
            return super().backward(dy, **options)  # type: ignore[misc]
        dx = self.kept.layer.backward(dy)
        for name, (_, gradient) in self._arrays().items():
            before = gradient if options.get("add") else 0
            gradient[...] = self.kept.layer.grads[name] + before
        return dy if dx is None else np.asarray(dx).astype(dy.dtype)

    def _arrays(self) -> Arrays:
        return {} if self.seat.arrays is None else self.seat.arrays(self)


def joined_class(name: str, made: Any) -> Any:
    """Return a subclass of our layer whose forward and backward are those of the class `made`."""
    seat = SEATS[name]
    return type(name, (Joined, seat.ours), {"made": made, "seat": seat})


def join(model: Layer, name: str, made: Any) -> None:
    """Put a class of the learner's in the place of our layers, everywhere in `model`."""
    kind = joined_class(name, made)
    for parent, key, layer in [*_places(model)]:
        if type(layer) is SEATS[name].ours:
            other = object.__new__(kind)
            vars(other).update(vars(layer))
            parent[key] = other


def _places(layer: Layer) -> Iterator[tuple[Any, Any, Layer]]:
    """Yield (what holds it, its key there, layer) for every layer inside, the innermost first."""
    for name, value in vars(layer).items():
        if isinstance(value, Layer):
            yield from _places(value)
            yield vars(layer), name, value
        elif isinstance(value, list):
            for i, each in enumerate(value):
                if isinstance(each, Layer):
                    yield from _places(each)
                    yield value, i, each


class JoinedOptimizer:
    """Comes before our optimizer in a class whose step is the learner's.

    The learner's object is made anew for each step, and gets what it remembers from `state`: so a
    run can be saved and resumed.
    """

    made: Any
    model: miniGPT
    state: dict[str, Array]

    def step(self, learning_rate: float) -> None:
        """Change the parameters once, with the learner's code."""
        flat, params, grads = self.model.flat, self.model.params(), self.model.grads()
        theirs = self.made(
            {name: params[name] for name in flat.places},
            {name: grads[name] for name in flat.places},
            *(vars(self)[name] for name in OPTIONS if name in vars(self)),
        )
        if not self.state:
            theirs.step(learning_rate)
            return
        t = int(self.state["t"][0])
        kept = {
            key: {n: self.state[key][at].reshape(params[n].shape) for n, at in flat.places.items()}
            for key in ("m", "v")
        }
        theirs.m, theirs.v, theirs.t = {**kept["m"]}, {**kept["v"]}, t
        theirs.step(learning_rate)
        if theirs.t != t + 1:
            raise ValueError(f"self.t must count the steps: after step {t + 1} it is {theirs.t}")
        for key in ("m", "v"):
            for name, view in kept[key].items():
                view[...] = getattr(theirs, key)[name]
            if flat.grads.any() and not self.state[key].any():
                raise ValueError(f"self.{key} is still 0: the running means belong there")
        self.state["t"] += 1


OPTIONS = ("beta1", "beta2", "weight_decay", "eps")
"""The arguments of an optimizer after the parameters and gradients, in their order."""
OPTIMIZERS: dict[str, type[SGD | AdamW]] = {"MySGD": SGD, "MyAdamW": AdamW}
"""What an optimizer of the learner takes the place of."""


def joined_optimizer(name: str, made: Any) -> Any:
    """Return a subclass of our optimizer whose step is that of the class `made`."""
    return type(name, (JoinedOptimizer, OPTIMIZERS[name]), {"made": made})


def loss_of(
    cross_entropy: Callable[[Array, Array], float],
    cross_entropy_backward: Callable[[Array, Array], Array],
) -> Callable[..., tuple[float, Array]]:
    """Return a form of the kernel `head_loss` with the learner's functions in it."""

    def head_loss(head: Linear, hidden: Array, targets: Any, share: float = 1.0) -> Any:
        logits = head.forward(hidden)
        rows, ids = logits.reshape(-1, logits.shape[-1]), np.asarray(targets).reshape(-1)
        d_logits = np.asarray(cross_entropy_backward(rows, ids)).astype(logits.dtype)
        d_hidden = head.backward(share * d_logits.reshape(logits.shape))
        return share * float(cross_entropy(rows, ids)), d_hidden

    return head_loss


def losses_with(lesson: Lesson, exercise: Exercise, learner: ModuleType) -> list[float]:
    """Return the losses of a small model in training, with the learner's part in it.

    That is a layer, a function of a layer whose other functions are ours, the loss, or the
    optimizer.
    """
    part = getattr(learner, exercise.name)
    module = lesson.module()
    setattr(module, exercise.name, part)
    model = miniGPT(11, 8, 12, 3, 1, seed=0, dtype="float64")
    forms: Forms = {}
    make_optimizer: Any = AdamW
    if exercise.used_in == LOSS:
        forms["head_loss"] = loss_of(module.cross_entropy, module.cross_entropy_backward)
    elif exercise.used_in in OPTIMIZERS:
        make_optimizer = joined_optimizer(exercise.used_in, getattr(module, exercise.used_in))
    else:
        join(model, exercise.used_in, getattr(module, exercise.used_in))
    optimizer, rng = make_optimizer(model), np.random.default_rng(0)
    losses = []
    with plain(), using(forms):
        for _ in range(N_STEPS):
            ids = rng.integers(0, 11, (3, 9))
            losses.append(model.learn(ids[:, :-1], ids[:, 1:]))
            optimizer.step(0.01)
    return losses
