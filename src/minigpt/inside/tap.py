"""Record a pass: what goes into every layer of a model, and what comes out, forward and back.

The mathematics stays where it is, in the layers; here stand names only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import numpy as np

from minigpt.core.functional import Array
from minigpt.core.kernels import PLAIN, using
from minigpt.core.layers import AnyLayer, Layer, twin
from minigpt.core.model import miniGPT
from minigpt.support.brief import brief

RECORDED_KERNELS = ("attention_backward", "softmax_backward")


class Call(NamedTuple):
    """One call of a layer or a kernel."""

    arguments: tuple[Any, ...]
    result: Any

    def __repr__(self) -> str:
        return brief(self)


class Tap:
    """Records, within a `with` block, each pass of this thread through `model`.

    Inside, the textbook runs: the plain form of every kernel. The model is changed: give a twin.

    Parameters
    ----------
    model : whose layers are recorded, those inside others too, by their paths: "blocks.0.norm_1".
    """

    def __init__(self, model: Layer) -> None:
        self.model = model
        self._calls: dict[tuple[str, str], list[Call]] = defaultdict(list)
        self._before: list[tuple[Layer, dict[str, Any]]] = []

    def __enter__(self) -> Self:
        self._wrap(self.model, "")
        recorded = {name: self._recorded(PLAIN[name], name, "") for name in RECORDED_KERNELS}
        self._kernels = using({**PLAIN, **recorded})
        self._kernels.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._kernels.__exit__(None, None, None)
        del self._kernels  # what refers to itself would stay in memory for long
        while self._before:
            _restore(*self._before.pop())

    def _wrap(self, layer: Layer, path: str) -> None:
        for name, child in layer.children():
            self._before.append((child, dict(vars(child))))  # a frozen layer has its own `backward`
            for way in ("forward", "backward"):
                setattr(child, way, self._recorded(getattr(child, way), path + name, way))
            self._wrap(child, f"{path}{name}.")

    def _recorded(self, function: Callable[..., Any], path: str, way: str) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            result = function(*arguments, **options)
            self._calls[path, way].append(Call(arguments, result))
            return result

        return run

    def into(self, path: str) -> Array:
        """Return what went into a layer, x."""
        return self._calls[path, "forward"][-1].arguments[0]

    def out_of(self, path: str) -> Array:
        """Return what came out of a layer, y."""
        return self._calls[path, "forward"][-1].result

    def arrived(self, path: str) -> Array:
        """Return the gradient that came to a layer, dy."""
        return self._calls[path, "backward"][-1].arguments[0]

    def sent_on(self, path: str) -> Array:
        """Return the gradient that a layer passed on, dx."""
        return self._calls[path, "backward"][-1].result

    def kernel(self, name: str) -> list[Call]:
        """Return all calls of a kernel, in their order."""
        return self._calls[name, ""]


def _restore(layer: Layer, before: dict[str, Any]) -> None:
    for way in ("forward", "backward"):
        vars(layer).pop(way, None)
        if way in before:
            setattr(layer, way, before[way])


def shadow(layer: AnyLayer) -> AnyLayer:
    """Return a twin whose gradients are arrays of its own, and in which no layer is frozen.

    The memory of the gradients is not taken until `backward` writes them.
    """
    other = twin(layer)
    _own_gradients(other)
    if isinstance(other, miniGPT):
        other.tie()
    return other


def _own_gradients(layer: Layer) -> None:
    vars(layer).pop("backward", None)
    for name in layer.parameter_names:
        param = getattr(layer, name)
        if param is not None:
            setattr(layer, f"d_{name}", np.empty_like(param))
    for _, child in layer.children():
        _own_gradients(child)
