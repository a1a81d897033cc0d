"""From the finished stream to the next token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.functional import softmax
from minigpt.core.generation import generate
from minigpt.core.model import miniGPT
from minigpt.core.sampling import Sampling
from minigpt.inside import attribute
from minigpt.show.explain.half_block import norm_step
from minigpt.show.explain.page import Picture, Step, Table
from minigpt.show.explain.page_words import ROWS, dims, number, percent, quoted, shown
from minigpt.show.figures import attribution_bars as attribution
from minigpt.show.figures import next_token as probabilities
from minigpt.support.wording import counted

if TYPE_CHECKING:
    from minigpt.inside import Trace

WAYS = {
    "temperature 0.5": Sampling(temperature=0.5),
    "temperature 1.5": Sampling(temperature=1.5),
    "top-k 3": Sampling(top_k=3),
    "top-p 0.9": Sampling(top_p=0.9),
}
"""Ways to draw a token, shown beside each other."""
WRITTEN = 12
"""Tokens the model writes on."""


def steps(model: miniGPT, seen: Trace) -> list[Step]:
    """Explain how the stream becomes an answer."""
    token = quoted(seen.pieces[-1])
    C, V = model.head.weight.shape
    (best, piece, _), *_ = seen.top(1)
    final = norm_step(
        "norm-final",
        token,
        seen.blocks[-1].output[-1],
        seen.final_norm[-1],
        seen.final_norm,
        model.final_norm,
    )
    tied = (
        " Here that table is the very one the tokens were looked up in at the start."
        if model.tie_weights
        else ""
    )
    return [
        final,
        Step(
            "logits",
            "Score every token",
            [
                f"The last matrix is called the head too, but has nothing to do with attention. It "
                f"compares the vector at {token} with one learned vector for each of the {V:,} "
                "tokens: numbers multiplied and added up, as with queries and keys. The sum "
                f"is the token's score, its logit.{tied}",
                f"The logit of {quoted(piece)} is {number(float(seen.logits[-1, best]))}. Since "
                "the stream is a sum, we can take the logit apart and see which step has written "
                "how much of it.",
            ],
            ["logits = n W_head"],
            [("W_head", "(C, V)", f"{C} × {V}"), ("logits", "(T, V)", dims(seen.logits))],
            pictures=[_attribution(model, seen)],
            code=[miniGPT.forward],
        ),
        Step(
            "probabilities",
            "Turn scores into probabilities",
            [
                "Softmax again: what turned scores into shares of attention now turns logits into "
                "probabilities. This is the model's answer: a number for every token it knows.",
            ],
            ["p_i = exp(logit_i) / Σ_j exp(logit_j)"],
            [("probabilities", "(T, V)", dims(seen.logits))],
            pictures=[
                Picture(
                    probabilities.next_token(seen),
                    "The likeliest next tokens.",
                    _likeliest(seen),
                )
            ],
            code=[softmax],
        ),
        _sampling(seen),
        _writing(model, seen),
    ]


def _attribution(model: miniGPT, seen: Trace) -> Picture:
    found = attribute(model, seen)
    parts = sorted(found.parts().items(), key=lambda part: -abs(part[1]))
    n = shown(len(parts))
    rows = [[name, number(value)] for name, value in parts[:n]]
    if rest := parts[n:]:
        rows.append([f"{len(rest)} others", number(sum(value for _, value in rest))])
    rows.append(["the logit", number(found.logit)])
    return Picture(
        attribution.attribution(model, seen),
        "Step by step to the logit, then head by head. What each adds directly, with the size to "
        "which the final norm brings the sum held fixed.",
        Table("The parts that count most", ["part", "logit"], rows),
        width=max(480, 40 * len(found.heads[0])),
    )


def _likeliest(seen: Trace) -> Table:
    logits = seen.logits[-1].astype(float)
    powers = np.exp(logits - logits.max())
    rows = [
        [quoted(piece), str(i), number(logits[i]), number(float(powers[i]), 3), percent(p)]
        for i, piece, p in seen.top(ROWS)
    ]
    total = number(float(powers.sum()), 3)
    rows.append([f"sum of all {len(logits):,}", "", "", total, percent(1.0)])
    return Table(
        f"What comes after {quoted(seen.pieces[-1])}",
        ["token", "id", "logit", "exp(logit − largest)", "probability"],
        rows,
    )


def _sampling(seen: Trace) -> Step:
    drawn = {name: seen.drawn(way) for name, way in WAYS.items()}
    table = Table(
        "The probability each token is drawn with",
        ["token", "as it is", *drawn],
        [
            [
                quoted(piece),
                percent(p),
                *(percent(float(d[i])) if d[i] else "–" for d in drawn.values()),
            ]
            for i, piece, p in seen.top(ROWS)
        ],
    )
    return Step(
        "sampling",
        "Choose one",
        [
            "Always taking the likeliest token often makes dull texts that go in circles. So "
            "one is drawn by lot, by these probabilities, mostly after some shaping.",
            "Temperature divides the logits first: below 1 the likely becomes likelier, above 1 "
            "the unlikely gets a chance. Top-k keeps the k likeliest. Top-p keeps as few of the "
            "likeliest as together reach p. What is left is scaled to sum to 100% again.",
        ],
        ["p_i = exp(logit_i / temperature) / Σ_j exp(logit_j / temperature)"],
        tables=[table],
        pictures=[
            Picture(
                probabilities.next_token(seen, WAYS["temperature 0.5"]),
                "Filled: what a token is drawn with. Outlined: as the model said.",
                table,
                name="With temperature 0.5",
            ),
            Picture(
                probabilities.next_token(seen, WAYS["top-p 0.9"]),
                "Tokens that stay hollow are never drawn.",
                table,
                name="With top-p 0.9",
            ),
        ],
        code=[Sampling.scores],
    )


def _writing(model: miniGPT, seen: Trace) -> Step:
    # Greedy, so that the page says the same each time. With room in the context for all that is
    # written, the text is read once; else it would be read again for each token.
    greedy = seen.drawn(Sampling(temperature=0)).argmax()
    ids = np.append(seen.ids, greedy)
    room = max(1, model.max_len - WRITTEN + 1)
    context = ids[None, -room:]
    written = generate(model, context, WRITTEN - 1, temperature=0.0, allowed=seen.drawable)[0]
    pieces = [seen.vocabulary[int(i)] for i in written[-WRITTEN:]]
    n_left_out = max(0, len(ids) - room)
    left_out = (
        f" The context must hold all of it, so {counted(n_left_out, 'token')} at the beginning of "
        "the text had to go."
        if n_left_out
        else ""
    )
    return Step(
        "writing",
        "And again",
        [
            "The chosen token is put at the end of the text, and all of it begins again for the "
            f"next. Taking the likeliest each time, this model goes on with these {len(pieces)} "
            f"tokens.{left_out}",
        ],
        pieces=pieces,
        code=[Sampling.choose],
    )
