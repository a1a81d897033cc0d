"""The feed-forward layer without its largest arrays: they are soon made again.

Of the three layers only x and the input of the activation are kept. Its output and its gate, each
as long as d_ff, are made again when the backward pass needs them. At a d_model of 384 that saves a
fifth of the memory of a step. The activation works on pieces, shared out among threads.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigpt.core import functional as F
from minigpt.core.functional import PIECE_SIZE, Array
from minigpt.core.layers import GELU, Linear, ReLU
from minigpt.fast.threads import share_out

FEW = 2**19
"""Numbers of an array that is not worth cutting into pieces."""

FUNCTIONS: dict[type, tuple[Callable[..., Any], Callable[..., Any]]] = {
    GELU: (F.gelu, F.gelu_backward),
    ReLU: (F.relu, F.relu_backward),
}


def feed_forward(x: Array, up: Linear, activation: GELU | ReLU, down: Linear) -> Array:
    """Return x after the three layers; keep only what goes into the first two."""
    hidden = up.forward(x)
    function, _ = FUNCTIONS[type(activation)]
    (active,) = elementwise(lambda x: (function(x)[0],), hidden)
    activation.kept = hidden, None
    y = down.forward(active)
    down.kept = None
    return y


def feed_forward_backward(dy: Array, up: Linear, activation: GELU | ReLU, down: Linear) -> Array:
    """Return dx, back through the three layers."""
    hidden, gate = activation.kept
    function, derivative = FUNCTIONS[type(activation)]
    if gate is None:  # as `feed_forward` leaves it
        down.kept, gate = elementwise(lambda x: _with_gate(*function(x)), hidden)
    d_active = down.backward(dy)
    (d_hidden,) = elementwise(
        lambda dy, x, gate: (derivative(dy, (x, gate)),), d_active, hidden, gate
    )
    activation.kept, down.kept = (hidden, None), None
    return up.backward(d_hidden)


def _with_gate(active: Array, kept: tuple[Array, Array]) -> tuple[Array, Array]:
    return active, kept[1]


def elementwise(function: Callable[..., tuple[Array, ...]], *arrays: Array) -> list[Array]:
    """Return what an elementwise `function` makes of arrays of one shape, a piece at a time."""
    if arrays[0].size <= FEW:
        return list(function(*arrays))
    flat = [array.reshape(-1) for array in arrays]
    dtypes = [made.dtype for made in function(*(array[:0] for array in flat))]
    results = [np.empty(arrays[0].size, dtype) for dtype in dtypes]

    def work(part: slice) -> None:
        for start in range(part.start, part.stop, PIECE_SIZE):
            piece = slice(start, min(start + PIECE_SIZE, part.stop))
            for result, values in zip(
                results, function(*(array[piece] for array in flat)), strict=True
            ):
                result[piece] = values

    share_out(work, arrays[0].size, arrays[0].size * (len(arrays) + len(results)))
    return [result.reshape(arrays[0].shape) for result in results]
