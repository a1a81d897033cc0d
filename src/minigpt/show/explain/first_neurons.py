"""The second half of the first block: what neurons add to the last token of the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.functional import gelu, linear, relu
from minigpt.core.layers import (
    GELU,
    FeedForward,
)
from minigpt.show.explain.half_block import norm_step, plus_bias, residual_step
from minigpt.show.explain.page import Step, Table
from minigpt.show.explain.page_words import (
    dims,
    number,
    percent,
    quoted,
)

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.inside import Trace


def neuron_steps(model: miniGPT, seen: Trace) -> list[Step]:
    """Explain what the second half of block 0 does."""
    b, token, block = seen.blocks[0], quoted(seen.pieces[-1]), model.blocks[0]
    F = b.up.shape[-1]
    loud = [int(i) for i in np.argsort(-b.neurons[-1], kind="stable")[:4]]
    silent = [int(i) for i in np.argsort(b.up[-1], kind="stable")[:2]]
    activation = block.feed_forward.activation
    smooth = isinstance(activation, GELU)
    name = "GELU" if smooth else "ReLU"
    gate = (
        "A neuron that is well above 0 passes as it is, one well below 0 is silenced, with a "
        "smooth bend between. The function is called GELU"
        if smooth
        else "A neuron above 0 passes as it is, one below 0 is silenced. The function is called "
        "ReLU"
    )
    added = [("stream h", b.middle), ("neurons add", b.feed_forward), ("sum y", b.output)]
    return [
        norm_step("norm-2", token, b.middle[-1], b.norm_2[-1], b.norm_2, block.norm_2),
        Step(
            "up",
            "Ask many small questions",
            [
                "Attention has brought together what belongs together. Now each token thinks about "
                f"it by itself. A learned matrix makes {F:,} numbers of its vector: each is a "
                "neuron, and high where the vector points the way this neuron listens for.",
            ],
            [f"u = n W_up{plus_bias(model, 'up')}"],
            [("u", "(T, F)", dims(b.up))],
            code=[linear],
        ),
        Step(
            "gelu",
            "Let some neurons speak",
            [
                f"{gate}. Without such a bend, two matrices after each other would be no more than "
                "one matrix.",
                f"For {token}, {percent(float((b.up[-1] > 0).mean()))} of the {F:,} neurons are "
                "above 0.",
            ],
            [
                "GELU(u) = u · sigmoid(2 √(2/π) (u + 0.044715 u³))"
                if smooth
                else "ReLU(u) = max(u, 0)"
            ],
            [("neurons", "(T, F)", dims(b.neurons))],
            [
                Table(
                    f"Of {token}: the loudest neurons, and those furthest below 0",
                    ["neuron", "before u", "after"],
                    [
                        [f"no. {i}", number(float(b.up[-1, i])), number(float(b.neurons[-1, i]), 3)]
                        for i in loud + [i for i in silent if i not in loud]
                    ],
                )
            ],
            code=[gelu if isinstance(activation, GELU) else relu],
        ),
        Step(
            "down",
            "Write down what they say",
            [
                "A second matrix turns the neurons into a vector of the stream's kind again: each "
                "neuron has a vector of its own and adds it as loudly as it speaks.",
            ],
            [f"feed-forward = {name}(u) W_down{plus_bias(model, 'down')}"],
            [("out", "(T, C)", dims(b.feed_forward))],
            code=[FeedForward.forward],
        ),
        residual_step("residual-2", "the neurons", "what the neurons said", token, added, True),
    ]
