"""The feed-forward layer without its largest arrays, which are cheap to compute again.

Only x and the input of the activation are kept. The output of the activation and its gate, d_ff
numbers for each token, are computed again in the backward pass. At d_model 384, this saves a fifth
of the memory of a step. The activation works on pieces, which are divided among threads.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from minigpt.core import functional as F
from minigpt.core.functional import PIECE_SIZE, Array
from minigpt.core.layers import GELU, Linear, ReLU
from minigpt.fast.threads import share_out

MAX_SIZE_UNCUT = 2**19
"""Arrays with up to this many numbers are not cut into pieces."""

FUNCTIONS: dict[type, tuple[Callable[..., Any], Callable[..., Any]]] = {
    GELU: (F.gelu, F.gelu_backward),
    ReLU: (F.relu, F.relu_backward),
}


def feed_forward(x: Array, up: Linear, activation: GELU | ReLU, down: Linear) -> Array:
    """Return y: x passed through the three layers. Keep only the inputs of the first two."""
    hidden = up.forward(x)
    function, _ = FUNCTIONS[type(activation)]
    (active,) = elementwise(lambda x: (function(x)[0],), hidden)
    activation.kept = hidden, None
    y = down.forward(active)
    down.kept = None
    return y


def feed_forward_backward(dy: Array, up: Linear, activation: GELU | ReLU, down: Linear) -> Array:
    """Return dx, passing dy back through the three layers."""
    hidden, gate = activation.kept
    function, derivative = FUNCTIONS[type(activation)]
    if gate is None:  # the forward pass was the fast form, which keeps no gate
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
    """Return the results of an elementwise `function` of arrays of one shape, piece by piece."""
    if arrays[0].size <= MAX_SIZE_UNCUT:
        return list(function(*arrays))
    flat = [array.reshape(-1) for array in arrays]
    dtypes = [result.dtype for result in function(*(array[:0] for array in flat))]
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
