"""What stands around each half of a block: the norm before it, the sum after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.functional import Array, layer_norm
from minigpt.core.layers import (
    LayerNorm,
    TransformerBlock,
)
from minigpt.show.explain.page import Step, Table
from minigpt.show.explain.page_words import (
    dims,
    entries,
    entry_names,
    number,
)

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT


def norm_step(
    id: str, token: str, before: Array, after: Array, all_after: Array, norm: LayerNorm
) -> Step:
    """Explain what a LayerNorm does with the vector of one token."""
    hat = (before - before.mean()) / np.sqrt(before.var() + norm.eps)
    rows = [("before", before), ("brought to size", hat), ("scaled, shifted", after)]
    again = id != "norm-1"
    prose = [
        "The same as before the first half, with a scale and a shift of its own."
        if again
        else "Before a block reads the stream, each vector is brought to a standard size: its mean "
        "becomes 0 and its spread, the standard deviation, 1. Then each of its "
        "numbers is multiplied by a learned scale"
        + ("" if norm.shift is None else " and moved by a learned shift")
        + ". The stream itself stays as it is; only the block's own copy changes."
    ]
    return Step(
        id,
        "Normalise again" if again else "Normalise",
        prose,
        [
            "x̂ = (x − mean) / √(variance + ε)",
            "n = scale · x̂" + ("" if norm.shift is None else " + shift"),
        ],
        [("out", "(T, C)", dims(all_after))],
        [
            Table(
                f"The vector of {token}",
                ["vector", "mean", "spread", *entry_names(len(before))],
                [
                    [name, number(float(x.mean())), number(float(x.std())), *entries(x)]
                    for name, x in rows
                ],
            )
        ],
        code=() if again else [layer_norm],
    )


def residual_step(
    id: str, who: str, what: str, token: str, added: list[tuple[str, Array]], last: bool = False
) -> Step:
    """Explain how half a block adds to the stream; `added`: what was there, what comes, the sum."""
    rows = [(name, x[-1], float(np.linalg.norm(x[-1]))) for name, x in added]
    (_, _, before), (_, _, new), _ = rows
    prose = [
        f"Nothing is replaced: {what} is added to what was there. For {token}, a vector of length "
        f"{number(new)} is added to one of length {number(before)}."
    ]
    if last:
        prose.append("That was one block: look around, think, and add both to the stream.")
    stream = added[-1][1]
    return Step(
        id,
        f"Add {who} to the stream",
        prose,
        ["y = h + feed-forward" if last else "h = x + attention"],
        [("stream", "(T, C)", dims(stream))],
        [
            Table(
                f"The stream at {token}",
                ["vector", "length", *entry_names(stream.shape[-1])],
                [[name, number(length), *entries(x)] for name, x, length in rows],
            )
        ],
        code=[TransformerBlock.forward] if last else (),
    )


def plus_bias(model: miniGPT, name: str) -> str:
    """Write the bias in a formula, if the model has any."""
    return f" + b_{name}" if model.bias else ""
