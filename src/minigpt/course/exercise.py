"""How a lesson describes one exercise. `marks.py` in the folder of a lesson is made of these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minigpt.core.functional import Array

Values: TypeAlias = dict[str, Any]
"""Inputs or outputs of an exercise, by name."""
Case: TypeAlias = tuple[str, Values]
"""The name of a case, and its inputs."""

SMALL_MOVE = 1e-5
"""How far a number is moved to measure a slope."""


class Mistake(NamedTuple):
    """A known mistake: our solution, with some of its text replaced.

    If the learner's results are those of this wrong solution, the marker names the mistake.
    """

    name: str
    edits: Mapping[str, str]
    """Text that stands once in the solution → what a learner may write instead."""
    why: str
    """What the learner reads."""
    place: str = ""
    """The heading of the page to read again; that of the exercise if empty."""


@dataclass(frozen=True)
class Exercise:
    """One exercise of a lesson: what is called, with which inputs, and what can go wrong."""

    id: str
    """Such as "7.3"."""
    name: str
    """The function or class to write."""
    place: str
    """The heading of the page that explains it."""
    hints: tuple[str, str, str]
    """From a nudge to nearly the answer."""
    idea: str
    """The idea of our solution, and other ways to write it: shown with the solution."""
    inputs: tuple[str, ...] = ()
    """The arguments of the function, as they are called in a case."""
    outputs: tuple[str, ...] = ()
    """The names of the results, in the order in which they are computed."""
    cases: Callable[[int], Iterator[Case]] | None = None
    """Seed → cases, the simplest first; the first is the example of the page."""
    slopes: Callable[[Any, Values], dict[str, Array]] | None = None
    """(Module, inputs) → the measured slope of each output that is a gradient."""
    n_small: int = 4
    """The number of cases that are small enough to measure slopes."""
    forward: tuple[str, ...] = ()
    """Outputs that are not gradients. They are marked first."""
    mistakes: tuple[Mistake, ...] = ()
    includes: tuple[str, ...] = ()
    """Exercises of this lesson that this one uses: their mistakes are known here too."""
    used_in: str = ""
    """The class of this lesson that takes the place of ours in a model; see `joined`."""
    call: Callable[[Any, Values], Values] | None = None
    """(Module, inputs) → outputs, where it is not a call of `name` with `inputs`."""
    shown: tuple[str, ...] = ()
    """The inputs that messages show; all if empty."""
    judge: Callable[[Values, int], str | None] | None = None
    """(Outputs, seed) → None or what is wrong: for answers that no reference can give."""
    judged: str = "the answer"
    """What `judge` has looked at, as the marker says it when all is right."""
    tolerance: float = 1e-9
    """The allowed difference, relative to the largest number of an array."""
    seconds: float = 5.0
    """For all cases together."""
    points: int = field(default=1, kw_only=True)

    def run(self, module: Any, inputs: Values) -> Values:
        """Call the code of `module` with the inputs of a case; return the results by name."""
        if self.call is not None:
            return self.call(module, inputs)
        return self.by_name(getattr(module, self.name)(*(inputs[name] for name in self.inputs)))

    def by_name(self, result: Any) -> Values:
        """Return {output: value} for what a function returned."""
        if len(self.outputs) == 1:
            return {self.outputs[0]: result}
        results = tuple(result) if isinstance(result, tuple | list) else (result,)
        if len(results) != len(self.outputs):
            names = ", ".join(self.outputs)
            raise WrongCount(f"return {len(self.outputs)} results: {names}. Got {len(results)}.")
        return dict(zip(self.outputs, results, strict=True))


class WrongCount(Exception):
    """A function returned more or fewer results than asked for."""


def central_differences(loss: Callable[[Array], float], a: Array) -> Array:
    """Return the slope of loss(a) with respect to each number of `a`, measured."""
    slope = np.empty(a.shape)
    for at in np.ndindex(a.shape):
        moved = np.array(a, float)
        moved[at] = a[at] + SMALL_MOVE
        above = loss(moved)
        moved[at] = a[at] - SMALL_MOVE
        slope[at] = (above - loss(moved)) / (2 * SMALL_MOVE)
    return slope


def differs(got: Any, expected: Any, tolerance: float) -> bool:
    """Return whether two results differ: arrays in shape or by more than rounding."""
    if not isinstance(expected, np.ndarray | float):
        return bool(as_lists(got) != as_lists(expected))
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        return True
    allowed = tolerance * np.abs(expected, where=np.isfinite(expected), out=np.ones(got.shape)).max(
        initial=1.0
    )
    with np.errstate(invalid="ignore"):
        same = (got == expected) | (np.isnan(got) & np.isnan(expected))
        return not bool(np.all(same | (np.abs(got - expected) <= allowed)))


def as_lists(value: Any) -> Any:
    """Return `value` with a list for each tuple and array in it: (1, 2) is as good as [1, 2]."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [as_lists(each) for each in value]
    if isinstance(value, dict):
        return {key: as_lists(each) for key, each in value.items()}
    return value


def run_layer(
    name: str,
    params: tuple[str, ...],
    options: tuple[str, ...] = (),
    before: Callable[[Values], tuple[Array, Array]] | None = None,
) -> Callable[[Any, Values], Values]:
    """Return the `call` of a class with `forward`, `backward`, `params` and `grads`.

    The layer goes forward and backward twice: the second time must not remember the first. Its
    gradients are read as an optimizer does, from the arrays that `__init__` made.

    Parameters
    ----------
    name, params, options : the class, and the inputs that are its parameters and other arguments.
    before : inputs → x and dy of the first time; the same texts in reverse order if None.
    """

    def call(module: Any, inputs: Values) -> Values:
        layer = _layer(module, name, params, options, inputs)
        held = dict(layer.grads)
        x, dy = inputs["x"], inputs["dy"]
        first_x, first_dy = before(inputs) if before else (x[::-1].copy(), 0.5 * dy[::-1])
        layer.forward(first_x)
        layer.backward(first_dy)
        y = layer.forward(x)
        dx = layer.backward(dy)
        results = {"y": y} if np.issubdtype(x.dtype, np.integer) else {"y": y, "dx": dx}
        return results | {f"d_{param}": held[param] for param in params}

    return call


def layer_slopes(
    name: str, params: tuple[str, ...], options: tuple[str, ...] = ()
) -> Callable[[Any, Values], dict[str, Array]]:
    """Return the `slopes` of such a class: with respect to x, unless ids, and every parameter."""

    def slopes(module: Any, inputs: Values) -> dict[str, Array]:
        def loss(changed: str, value: Array) -> float:
            moved = {**inputs, changed: value}
            layer = _layer(module, name, params, options, moved)
            return float((inputs["dy"] * layer.forward(moved["x"])).sum())

        moving = params if np.issubdtype(inputs["x"].dtype, np.integer) else ("x", *params)
        return {
            "dx" if each == "x" else f"d_{each}": central_differences(
                partial(loss, each), inputs[each]
            )
            for each in moving
        }

    return slopes


def _layer(
    module: Any, name: str, params: tuple[str, ...], options: tuple[str, ...], inputs: Values
) -> Any:
    return getattr(module, name)(
        {param: inputs[param] for param in params}, *(inputs[option] for option in options)
    )
