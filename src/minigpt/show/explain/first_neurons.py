"""Explain the second half of the first block: neurons, for the last token of the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.functional import gelu, linear, relu
from minigpt.core.layers import FeedForward
from minigpt.show.explain.half_block import norm_step, plus_bias, residual_step
from minigpt.show.explain.page import Step, Table
from minigpt.show.explain.page_words import dims, number, percent, quoted

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.inside import Trace


def neuron_steps(model: miniGPT, seen: Trace) -> list[Step]:
    """Explain each step of the second half of block 0."""
    b, token, norm = seen.blocks[0], quoted(seen.pieces[-1]), model.blocks[0].norm_2
    added = [("stream h", b.middle), ("neurons add", b.feed_forward), ("sum y", b.output)]
    return [
        norm_step("norm-2", token, b.middle[-1], b.norm_2[-1], b.norm_2, norm),
        _up(model, seen),
        _activation(model, seen),
        _down(model, seen),
        residual_step("residual-2", "the neurons", token, added, last=True),
    ]


def _up(model: miniGPT, seen: Trace) -> Step:
    b = seen.blocks[0]
    F = b.up.shape[-1]
    return Step(
        "up",
        "Ask many small questions: the neurons",
        [
            "Attention has moved information between tokens. Now each token's vector is "
            f"transformed independently. A learned matrix turns it into {F:,} numbers, called "
            "neurons. Each neuron asks one small question about the vector: its number is "
            "large if the vector points in the direction that this neuron has learned.",
        ],
        [f"u = n W_up{plus_bias(model, 'up')}"],
        [("u", "(T, F)", dims(b.up))],
        code=[linear],
    )


def _activation(model: miniGPT, seen: Trace) -> Step:
    b, token = seen.blocks[0], quoted(seen.pieces[-1])
    F, smooth = b.up.shape[-1], model.activation == "gelu"
    name = "GELU" if smooth else "ReLU"
    strongest = [int(i) for i in np.argsort(-b.neurons[-1], kind="stable")[:4]]
    lowest = [int(i) for i in np.argsort(b.up[-1], kind="stable")[:2]]
    gate = (
        "A value well above 0 passes almost unchanged, and a value well below 0 becomes almost 0, "
        "with a smooth curve in between. This function is called GELU"
        if smooth
        else "A value above 0 passes unchanged, and a value below 0 becomes 0. This function is "
        "called ReLU"
    )
    return Step(
        "gelu",
        "Silence the neurons below 0",
        [
            f"{gate}. It is needed because without it, the two matrices before and after it "
            "could be replaced by a single matrix.",
            f"For {token}, {percent(float((b.up[-1] > 0).mean()))} of the {F:,} neurons are "
            "above 0.",
        ],
        ["GELU(u) = u · sigmoid(2 √(2/π) (u + 0.044715 u³))" if smooth else "ReLU(u) = max(u, 0)"],
        [("neurons", "(T, F)", dims(b.neurons))],
        [
            Table(
                f"The strongest neurons of {token}, and the lowest ones",
                ["neuron", "u", f"{name}(u)"],
                [
                    [f"no. {i}", number(float(b.up[-1, i])), number(float(b.neurons[-1, i]), 3)]
                    for i in strongest + [i for i in lowest if i not in strongest]
                ],
            )
        ],
        code=[gelu if smooth else relu],
    )


def _down(model: miniGPT, seen: Trace) -> Step:
    b = seen.blocks[0]
    name = "GELU" if model.activation == "gelu" else "ReLU"
    return Step(
        "down",
        "Turn the neurons into a vector",
        [
            "A second learned matrix turns the neurons into a vector that can be added to the "
            "stream. Each neuron has its own row in this matrix. The result is the sum of all "
            "rows, each multiplied by the value of its neuron.",
        ],
        [f"feed-forward = {name}(u) W_down{plus_bias(model, 'down')}"],
        [("out", "(T, C)", dims(b.feed_forward))],
        code=[FeedForward.forward],
    )
