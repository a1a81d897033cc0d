"""Functions checked like layers, and forward passes compared with a reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigpt.core.functional import Array

FORWARD_LIMIT = 1e-9
"""Largest difference from a reference, relative to its largest entry."""


class FunctionLayer:
    """A function and its backward, with the methods of a layer: its inputs are the parameters.

    Parameters
    ----------
    function : called with the inputs; returns y, or a dict of named arrays, of which y is the last.
    backward : called with dy; returns the gradient of each input, as the inputs are given.
    inputs : an array, a tuple of arrays, or a dict of arrays by argument name. Arrays of integers
        have no gradient.
    """

    def __init__(
        self, function: Callable[..., Any], backward: Callable[[Array], Any], inputs: Any
    ) -> None:
        self.function, self.go_back, self.inputs = function, backward, inputs
        self.found: dict[str, Any] = {}

    def named(self, values: Any) -> dict[str, Any]:
        """Return inputs, or their gradients, by name."""
        if not isinstance(self.inputs, dict | tuple):
            return {"x": values}
        if isinstance(values, dict):
            return dict(values)
        names = (
            [*self.inputs]
            if isinstance(self.inputs, dict)
            else [f"argument {n}" for n in range(1, len(self.inputs) + 1)]
        )
        found = tuple(values) if isinstance(values, tuple | list) else (values,)
        if len(found) != len(names):
            raise ValueError(
                f"backward returned {len(found)} gradients for {len(names)} inputs: return one for "
                "each, None where there is none"
            )
        return dict(zip(names, found, strict=True))

    def forward(self, _: Any) -> Any:
        """Return y."""
        return last(call(self.function, self.inputs))

    def backward(self, dy: Array) -> Any:
        """Keep the gradient of each input; return that of a single one."""
        self.found = self.named(self.go_back(dy))
        return self.found.get("x")

    def params(self) -> dict[str, Array]:
        """Return the inputs that have a gradient."""
        inputs = self.named(self.inputs)
        return {name: a for name, a in inputs.items() if np.asarray(a).dtype.kind == "f"}

    def grads(self) -> dict[str, Any]:
        """Return what the latest `backward` returned."""
        return self.found


def call(function: Callable[..., Any], inputs: Any) -> Any:
    """Call a function with an array, a tuple of arguments, or a dict of them."""
    if isinstance(inputs, dict):
        return function(**inputs)
    return function(*inputs) if isinstance(inputs, tuple) else function(inputs)


def last(result: Any) -> Any:
    """Return y: of named arrays, the last."""
    return [*result.values()][-1] if isinstance(result, dict) else result


def compare_forward(layer: Any, got: Any, expected: Any) -> Iterator[tuple[str, float, str]]:
    """Yield (name, error, finding) for each array that a reference returned, in its order.

    Parameters
    ----------
    layer : of a layer, intermediate results are its attributes.
    got : what its forward, or the function, returned.
    expected : what the reference returned: y, or a dict of arrays by name, of which y is the last.
    """
    if not isinstance(expected, dict):
        expected = {"y": expected}
    y_name = [*expected][-1]
    for name, right in expected.items():
        if isinstance(got, dict):
            value = got.get(name)
        else:
            value = got if name == y_name else getattr(layer, name, None)
        yield name, *_difference(value, np.asarray(right))


def _difference(value: Any, right: Array) -> tuple[float, str]:
    if value is None:
        return np.inf, "forward does not have it."
    value = np.asarray(value)
    if value.shape != right.shape:
        return np.inf, f"it has the shape {value.shape}, but the reference has {right.shape}."
    off = np.nan_to_num(np.abs(value - right), nan=np.inf)
    error = float(off.max(initial=0) / max(np.abs(right).max(initial=0), 1e-300))
    if error <= FORWARD_LIMIT:
        return error, ""
    at = np.unravel_index(off.argmax(), off.shape)
    index = ", ".join(str(i) for i in at)
    return error, (
        f"at [{index}] it is {value[at]:.6g}, and the reference has {right[at]:.6g}; "
        f"{int((off > FORWARD_LIMIT * np.abs(right).max()).sum())} of {off.size} entries are off."
    )
