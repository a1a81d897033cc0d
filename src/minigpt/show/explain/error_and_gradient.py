"""Explain how wrong the model was, and how it learns from its errors."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.functional import Array, cross_entropy, cross_entropy_backward, linear_backward
from minigpt.inside import surprise as measure
from minigpt.show.explain.page import Picture, Step, Table
from minigpt.show.explain.page_words import dims, last_of, n_shown, number, percent, quoted
from minigpt.show.figures import surprise_text as surprise
from minigpt.show.summary import n_parameters

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.inside import Trace

EXAMPLE_RATE = 0.1
"""The learning rate of the example."""
SURPRISE_TOKENS = 250
"""Tokens in the picture of surprise: the last ones of the text."""


def steps(model: miniGPT, seen: Trace) -> list[Step]:
    """Explain what the loss is, and the gradient of one weight."""
    if len(seen.ids) < 2:
        return [
            Step(
                "loss",
                "Learning needs a next token",
                [
                    "A model learns by predicting the next token of a text that is known. This "
                    "text has a single token, and no next token to learn from. Try a longer text.",
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
        for t in range(T - 1 - n_shown(T - 1), T - 1)
    ]
    worst = int(nats.argmax())
    drawn = dataclasses.replace(
        seen, ids=seen.ids[-SURPRISE_TOKENS:], logits=seen.logits[-SURPRISE_TOKENS:]
    )
    only = f" The last {SURPRISE_TOKENS} of {T} tokens are drawn." if T > SURPRISE_TOKENS else ""
    return Step(
        "loss",
        "How surprised was the model?",
        [
            "In the text, every next token is known. So at each position we can look up the "
            "probability that the model gave to the token that really came. The surprise is −ln of "
            "this probability: 0 if the model was certain, large if it considered the token "
            "unlikely. The mean over all positions is the loss, the number that training makes "
            "smaller.",
            f"Here the loss is {number(float(nats.mean()))}; equal probabilities for all {V:,} "
            f"tokens would give ln {V:,} = {number(float(np.log(V)))}. The most surprising token "
            f"was {quoted(seen.pieces[worst + 1])} at position {worst + 1}, with "
            f"{number(float(nats[worst]))}.",
        ],
        ["surprise_t = −ln p_t[id_{t+1}]", "loss = mean of the surprises"],
        [("surprises", "(T − 1,)", f"({T - 1},)")],
        pictures=[
            Picture(
                surprise.surprise(drawn),
                "Dark tokens were expected, bright ones were not. The unit is the nat, because "
                f"the logarithm is the natural one.{only}",
                Table(
                    last_of(T - 1, "prediction"),
                    [
                        "what came",
                        "likeliest token",
                        "probability of what came",
                        "surprise",
                    ],
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
            "The gradient of a number says how fast the surprise grows if that number grows a "
            "little. For the logits it is simple: the probability of the token, and for the right "
            "token the probability minus 1.",
            f"Take the largest surprise. After {before} came {quoted(seen.pieces[at + 1])}, with "
            f"probability {percent(float(probabilities[right]))}. The gradient of its logit is "
            f"{number(float(probabilities[right]) - 1, 3)}, below 0: a higher logit means less "
            "surprise. All other gradients are above 0: there, a lower logit means less surprise. "
            "Together they sum to 0.",
        ],
        ["∂surprise / ∂logit_i = p_i − 1 if token i is right, p_i if not"],
        [("gradient of the logits", "(V,) at each position", f"({len(probabilities)},)")],
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
        " (In this model, the matrix is also the table in which the tokens were looked up. That "
        "use has a gradient too, and the two are added.)"
        if model.tie_weights
        else ""
    )
    return Step(
        "weight",
        "One weight learns",
        [
            "By the chain rule, the gradient goes from the logits back through all the steps on "
            "this page, the last step first. So every parameter gets a gradient, which says how to "
            "change it.",
            f"Take one weight of the last matrix: row {c}, in the column of {token}. It was "
            f"multiplied by entry {c} of the vector n, which is {number(float(n[c]), 3)}. So its "
            "gradient is this number times the gradient of the logit. A step against the gradient, "
            f"with a learning rate of {EXAMPLE_RATE:g}, changes the weight from "
            f"{number(weight, 4)} to {number(weight - EXAMPLE_RATE * slope, 4)}.{tied}",
            f"Training does this for all {n_parameters(model):,} parameters at once, again and "
            "again, on text after text. That is all.",
        ],
        ["∂surprise / ∂W[c, i] = n_c · ∂surprise / ∂logit_i", "W ← W − learning rate · gradient"],
        [("W_head", "(C, V)", dims(model.head.weight))],
        [
            Table(
                f"The weight W[{c}, {right}]",
                ["number", "value"],
                [
                    [f"entry {c} of n", number(float(n[c]), 4)],
                    ["gradient of the logit, p − 1", number(d_logit, 4)],
                    ["gradient of the weight: their product", number(slope, 4)],
                    ["the weight now", number(weight, 4)],
                    [
                        f"the weight − {EXAMPLE_RATE:g} · its gradient",
                        number(weight - EXAMPLE_RATE * slope, 4),
                    ],
                ],
            )
        ],
        code=[linear_backward],
    )
