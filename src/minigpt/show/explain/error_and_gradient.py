"""How far the model was from right, and how such an error teaches it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.functional import Array, cross_entropy, cross_entropy_backward, linear_backward
from minigpt.inside import surprise as measure
from minigpt.show.explain.page import Picture, Step, Table
from minigpt.show.explain.page_words import dims, last_of, number, percent, quoted, shown
from minigpt.show.figures import surprise_text as surprise
from minigpt.show.summary import n_parameters

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.inside import Trace

RATE = 0.1
"""The learning rate of the example."""
SURPRISE_TOKENS = 250
"""Tokens in the picture of surprise: the last of the text."""


def steps(model: miniGPT, seen: Trace) -> list[Step]:
    """Explain what the loss is, and the gradient of one weight."""
    if len(seen.ids) < 2:
        return [
            Step(
                "loss",
                "Learning needs an answer",
                [
                    "A model learns by guessing the next token of a text that is known. This text "
                    "has a single token, and nothing after it to learn from: try a longer one.",
                ],
            )
        ]
    nats = measure(seen)
    worst = int(nats.argmax())
    return [_loss(seen, nats), _gradient(seen, worst), _weight(model, seen, worst)]


def _loss(seen: Trace, nats: Array) -> Step:
    T, V = seen.logits.shape
    rows = [
        [
            quoted(seen.pieces[t + 1]),
            quoted(seen.vocabulary[int(seen.logits[t].argmax())]),
            percent(float(np.exp(-nats[t]))),
            number(float(nats[t])),
        ]
        for t in range(T - 1 - shown(T - 1), T - 1)
    ]
    worst = int(nats.argmax())
    drawn = dataclasses.replace(
        seen, ids=seen.ids[-SURPRISE_TOKENS:], logits=seen.logits[-SURPRISE_TOKENS:]
    )
    only = f" The last {SURPRISE_TOKENS} of {T} tokens are drawn." if T > SURPRISE_TOKENS else ""
    return Step(
        "loss",
        "How surprised was it?",
        [
            "In the text, every next token is known. So at each place we can look up the "
            "probability the model gave to what really came. Its surprise is −ln of that: 0 if it "
            "was certain, large if it thought the token unlikely. The mean over all places is the "
            "loss, the one number that training makes smaller.",
            f"Here the loss is {number(float(nats.mean()))}; guessing evenly among {V:,} tokens "
            f"would cost ln {V:,} = {number(float(np.log(V)))}. What surprised the model most was "
            f"{quoted(seen.pieces[worst + 1])} at place {worst + 1}, with "
            f"{number(float(nats[worst]))}.",
        ],
        ["surprise_t = −ln p_t[id_{t+1}]", "loss = mean of the surprises"],
        [("surprises", "(T − 1,)", f"({T - 1},)")],
        pictures=[
            Picture(
                surprise.surprise(drawn),
                "Dark tokens were expected, bright ones were not. The unit is the nat, the unit "
                f"of the natural logarithm.{only}",
                Table(
                    f"{last_of(T - 1, 'place')} of a guess",
                    ["what came", "likeliest by the model", "probability it had", "surprise"],
                    rows,
                ),
                width=640,
            )
        ],
        code=[cross_entropy],
    )


def _gradient(seen: Trace, at: int) -> Step:
    """Explain the gradient of the logits after the token at `at`."""
    right, probabilities = int(seen.ids[at + 1]), seen.probabilities(at)
    before = quoted(seen.pieces[at])
    listed = [i for i, _, _ in seen.top(5, at)]
    if right not in listed:
        listed[-1] = right
    return Step(
        "gradient",
        "Which way to change the scores",
        [
            "The gradient of a number says how much the surprise would grow if that number grew a "
            "little. For the logits it is simple: the probability a token got, less 1 for the "
            "token that was right.",
            f"Take the largest surprise. After {before} came {quoted(seen.pieces[at + 1])}, which "
            f"had {percent(float(probabilities[right]))}. Its gradient is "
            f"{number(float(probabilities[right]) - 1, 3)}, below 0: raise that score, and the "
            "surprise falls. All other gradients are above 0: lower those. They all sum to 0.",
        ],
        ["∂surprise / ∂logit_i = p_i − 1 if token i is right, p_i if not"],
        [("gradient of the logits", "(V,) at each place", f"({len(probabilities)},)")],
        [
            Table(
                f"Logits after {before}",
                ["token", "probability p", "right?", "gradient"],
                [
                    [
                        quoted(seen.vocabulary[i]),
                        percent(float(probabilities[i])),
                        "yes" if i == right else "no",
                        number(float(probabilities[i]) - (i == right), 3),
                    ]
                    for i in listed
                ],
            )
        ],
        code=[cross_entropy_backward],
    )


def _weight(model: miniGPT, seen: Trace, at: int) -> Step:
    """Explain how one weight learns from what came after the token at `at`."""
    right, probabilities = int(seen.ids[at + 1]), seen.probabilities(at)
    n = seen.final_norm[at].astype(float)
    c = int(np.abs(n).argmax())
    d_logit = float(probabilities[right]) - 1
    slope, weight = float(n[c]) * d_logit, float(model.head.weight[c, right])
    token = quoted(seen.pieces[at + 1])
    tied = (
        " (This matrix is also the table the tokens are looked up in; what it did there has a "
        "gradient too, which is added.)"
        if model.tie_weights
        else ""
    )
    return Step(
        "weight",
        "One weight learns",
        [
            "From the logits the gradient is handed back, step by step, through all you have read, "
            "the last step first: the chain rule. It ends at every parameter and says which way to "
            "move it.",
            f"Take one weight of the last matrix, row {c} in the column of {token}. It multiplied "
            f"the number {number(float(n[c]), 3)} of the vector n, so its gradient is that times "
            f"the gradient of the logit. A step against it, with a learning rate of {RATE:g}, "
            f"makes of {number(weight, 4)} the value {number(weight - RATE * slope, 4)}.{tied}",
            f"Training does this for all {n_parameters(model):,} "
            "parameters at once, again and again, on text after text. That is all there is to it.",
        ],
        ["∂surprise / ∂W[c, i] = n_c · ∂surprise / ∂logit_i", "W ← W − learning rate · gradient"],
        [("W_head", "(C, V)", dims(model.head.weight))],
        [
            Table(
                f"The weight W[{c}, {right}]",
                ["number", "value"],
                [
                    [f"n, number {c}", number(float(n[c]), 4)],
                    ["gradient of the logit, p − 1", number(d_logit, 4)],
                    ["their product: gradient of the weight", number(slope, 4)],
                    ["the weight now", number(weight, 4)],
                    [f"the weight − {RATE:g} · gradient", number(weight - RATE * slope, 4)],
                ],
            )
        ],
        code=[linear_backward],
    )
