"""Record a pass: the input and the output of every layer, and the gradients of both.

The layers compute; this module only wraps their methods.
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

METHODS = ("forward", "backward")
RECORDED_KERNELS = ("attention_backward", "softmax_backward")


class Call(NamedTuple):
    """One call of a layer or a kernel."""

    arguments: tuple[Any, ...]
    result: Any

    def __repr__(self) -> str:
        return brief(self)


class Tap:
    """Records the passes of this thread through `model` within a `with` block.

    In the block, every kernel runs in its plain form, and the layers of `model` have wrapped
    methods: use a twin of a model that other threads may use.

    Parameters
    ----------
    model : the model to record. A layer is named by its path, such as "blocks.0.norm_1".
    """

    def __init__(self, model: Layer) -> None:
        self.model = model
        self._calls: dict[tuple[str, str], list[Call]] = defaultdict(list)
        self._originals: list[tuple[Layer, dict[str, Any]]] = []

    def __enter__(self) -> Self:
        self._wrap(self.model, "")
        recorded = {name: self._recorded(PLAIN[name], name, "") for name in RECORDED_KERNELS}
        self._kernels = using({**PLAIN, **recorded})
        self._kernels.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._kernels.__exit__(None, None, None)
        del self._kernels  # it refers back to this tap; without the cycle, memory is freed at once
        while self._originals:
            _restore(*self._originals.pop())

    def _wrap(self, layer: Layer, path: str) -> None:
        for name, child in layer.children():
            # Its attributes are kept because a frozen layer has a `backward` among them.
            self._originals.append((child, dict(vars(child))))
            for method in METHODS:
                setattr(child, method, self._recorded(getattr(child, method), path + name, method))
            self._wrap(child, f"{path}{name}.")

    def _recorded(self, function: Callable[..., Any], path: str, method: str) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            result = function(*arguments, **options)
            self._calls[path, method].append(Call(arguments, result))
            return result

        return run

    def x(self, path: str) -> Array:
        """Return the latest input of a layer, x."""
        return self._calls[path, "forward"][-1].arguments[0]

    def y(self, path: str) -> Array:
        """Return the latest output of a layer, y."""
        return self._calls[path, "forward"][-1].result

    def dy(self, path: str) -> Array:
        """Return the latest gradient that a layer received, dy."""
        return self._calls[path, "backward"][-1].arguments[0]

    def dx(self, path: str) -> Array:
        """Return the latest gradient that a layer returned, dx."""
        return self._calls[path, "backward"][-1].result

    def kernel_calls(self, name: str) -> list[Call]:
        """Return all calls of a kernel, in their order."""
        return self._calls[name, ""]


def _restore(layer: Layer, original: dict[str, Any]) -> None:
    for method in METHODS:
        vars(layer).pop(method, None)
        if method in original:
            setattr(layer, method, original[method])


def twin_with_gradients(layer: AnyLayer) -> AnyLayer:
    """Return a twin that has its own gradient arrays, and in which no layer is frozen.

    The gradients take no memory until `backward` writes them.
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
