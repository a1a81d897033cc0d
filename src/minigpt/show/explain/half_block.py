"""Explain what each half of a block begins and ends with: the norm and the addition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.functional import Array, layer_norm
from minigpt.core.layers import LayerNorm, TransformerBlock
from minigpt.show.explain.page import Step, Table
from minigpt.show.explain.page_words import dims, entries, entry_names, number

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT


def norm_step(
    id: str, token: str, before: Array, after: Array, all_after: Array, norm: LayerNorm
) -> Step:
    """Explain what a LayerNorm does to the vector of one token."""
    hat = (before - before.mean()) / np.sqrt(before.var() + norm.eps)
    has_shift = norm.shift is not None
    rows = [("before", before), ("normalised x̂", hat)]
    rows.append(("scaled and shifted n" if has_shift else "scaled n", after))
    again = id != "norm-1"
    prose = [
        "The same as before the first half of block 0, with another learned scale"
        + (" and shift." if has_shift else ".")
        if again
        else "Before the block reads the stream, each vector is normalised: its mean becomes 0 and "
        "its standard deviation 1. Then each of its numbers is multiplied by a learned scale"
        + (", and a learned shift is added" if has_shift else "")
        + ". The stream itself does not change: the block works on a normalised copy."
    ]
    return Step(
        id,
        "Normalise again" if again else "Normalise",
        prose,
        [
            "x̂ = (x − mean) / √(variance + ε)",
            "n = scale · x̂" + (" + shift" if has_shift else ""),
        ],
        [("out", "(T, C)", dims(all_after))],
        [
            Table(
                f"The vector of {token}",
                ["vector", "mean", "std. deviation", *entry_names(len(before))],
                [
                    [name, number(float(x.mean())), number(float(x.std())), *entries(x)]
                    for name, x in rows
                ],
            )
        ],
        code=() if again else [layer_norm],
    )


def residual_step(
    id: str, source: str, token: str, added: list[tuple[str, Array]], last: bool = False
) -> Step:
    """Explain how half a block adds to the stream.

    Parameters
    ----------
    id : the id of the step.
    source : the half: "attention" or "the neurons".
    token : the last token, in quotes.
    added : names and arrays (T, C) of the stream before, the addition, and the sum.
    last : whether this is the second half of the block.
    """
    rows = [(name, x[-1], float(np.linalg.norm(x[-1]))) for name, x in added]
    (_, _, before), (_, _, new), _ = rows
    prose = [
        f"The output of {source} does not replace the stream; it is added. For {token}, a vector "
        f"of length {number(new)} is added to one of length {number(before)}."
    ]
    if last:
        prose.append(
            "This was one block: attention gathers from other tokens, neurons transform each "
            "token, and both results are added to the stream."
        )
    stream = added[-1][1]
    return Step(
        id,
        f"Add the output of {source} to the stream",
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
    """Return the bias as a formula writes it, or nothing if the model has no biases."""
    return f" + b_{name}" if model.bias else ""
