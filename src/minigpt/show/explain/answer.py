"""Explain how the finished stream becomes the next token."""

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
from minigpt.show.explain.page_words import TABLE_ROWS, dims, n_shown, number, percent, quoted
from minigpt.show.figures import attribution_bars as attribution
from minigpt.show.figures import next_token as probabilities
from minigpt.support.wording import counted

if TYPE_CHECKING:
    from minigpt.inside import Trace

SAMPLING_EXAMPLES = {
    "temperature 0.5": Sampling(temperature=0.5),
    "temperature 1.5": Sampling(temperature=1.5),
    "top-k 3": Sampling(top_k=3),
    "top-p 0.9": Sampling(top_p=0.9),
}
"""Ways to draw a token, compared in a table."""
N_CONTINUED = 12
"""Tokens with which the model continues the text."""


def steps(model: miniGPT, seen: Trace) -> list[Step]:
    """Explain how the stream becomes an answer."""
    token, last_output = quoted(seen.pieces[-1]), seen.blocks[-1].output[-1]
    norm = (seen.final_norm[-1], seen.final_norm, model.final_norm)
    return [
        norm_step("norm-final", token, last_output, *norm),
        _logits(model, seen),
        _probabilities(seen),
        _sampling(seen),
        _writing(model, seen),
    ]


def _logits(model: miniGPT, seen: Trace) -> Step:
    token = quoted(seen.pieces[-1])
    C, V = model.head.weight.shape
    (best, piece, _), *_ = seen.top(1)
    tied = (
        " In this model, these vectors are the rows of table E, in which the tokens were looked "
        "up at the start."
        if model.tie_weights
        else ""
    )
    return Step(
        "logits",
        "Score every token",
        [
            "The last matrix is also called the head, but it has nothing to do with attention "
            f"heads. It compares the vector at {token} with one learned vector for each of the "
            f"{V:,} tokens: numbers are multiplied and added up, as with queries and keys. The "
            f"sum is the score of the token, called its logit.{tied}",
            f"The logit of {quoted(piece)} is {number(float(seen.logits[-1, best]))}. Since "
            "the stream is a sum, we can split the logit into what each step has contributed.",
        ],
        ["logits = n W_head"],
        [("W_head", "(C, V)", f"{C} × {V}"), ("logits", "(T, V)", dims(seen.logits))],
        pictures=[_attribution(model, seen)],
        code=[miniGPT.forward],
    )


def _probabilities(seen: Trace) -> Step:
    return Step(
        "probabilities",
        "Turn scores into probabilities",
        [
            "Softmax again: it turned scores into shares of attention, and now it turns logits "
            "into probabilities. They are the model's answer: one for every token it knows.",
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
    )


def _attribution(model: miniGPT, seen: Trace) -> Picture:
    found = attribute(model, seen)
    parts = sorted(found.parts().items(), key=lambda part: -abs(part[1]))
    n = n_shown(len(parts))
    rows = [[name, number(value)] for name, value in parts[:n]]
    if rest := parts[n:]:
        rows.append([f"{len(rest)} others", number(sum(value for _, value in rest))])
    rows.append(["the logit", number(found.logit)])
    return Picture(
        attribution.attribution(model, seen),
        "Above: how the steps add up to the logit. Below: the part of each head. Each part is a "
        "direct contribution, computed with the standard deviation in the final norm held fixed.",
        Table("The largest parts", ["part", "contribution to the logit"], rows),
        width=max(480, 40 * len(found.heads[0])),
    )


def _likeliest(seen: Trace) -> Table:
    logits = seen.logits[-1].astype(float)
    powers = np.exp(logits - logits.max())
    rows = [
        [quoted(piece), str(i), number(logits[i]), number(float(powers[i]), 3), percent(p)]
        for i, piece, p in seen.top(TABLE_ROWS)
    ]
    total = number(float(powers.sum()), 3)
    rows.append([f"sum of all {len(logits):,}", "", "", total, percent(1.0)])
    return Table(
        f"The likeliest tokens after {quoted(seen.pieces[-1])}",
        ["token", "id", "logit", "exp(logit − largest)", "probability"],
        rows,
    )


def _sampling(seen: Trace) -> Step:
    drawn = {name: seen.drawn(sampling) for name, sampling in SAMPLING_EXAMPLES.items()}
    table = Table(
        "The probability that each token is drawn",
        ["token", "unchanged", *drawn],
        [
            [
                quoted(piece),
                percent(p),
                *(percent(float(d[i])) if d[i] else "–" for d in drawn.values()),
            ]
            for i, piece, p in seen.top(TABLE_ROWS)
        ],
    )
    return Step(
        "sampling",
        "Choose a token",
        [
            "Always choosing the likeliest token often makes dull texts that go in circles. So the "
            "token is drawn at random with these probabilities, usually after changing them.",
            "Temperature divides the logits: below 1, likely tokens become likelier; above 1, "
            "unlikely tokens get a chance. Top-k keeps only the k likeliest tokens. Top-p keeps "
            "the fewest tokens, likeliest first, whose probabilities sum to at least p. What is "
            "kept is scaled to sum to 100% again.",
        ],
        ["p_i = exp(logit_i / temperature) / Σ_j exp(logit_j / temperature)"],
        tables=[table],
        pictures=[
            Picture(
                probabilities.next_token(seen, SAMPLING_EXAMPLES["temperature 0.5"]),
                "Filled: the probability that a token is drawn. Outlined: the model's probability.",
                table,
                name="With temperature 0.5",
            ),
            Picture(
                probabilities.next_token(seen, SAMPLING_EXAMPLES["top-p 0.9"]),
                "Tokens without a filled bar are never drawn.",
                table,
                name="With top-p 0.9",
            ),
        ],
        code=[Sampling.scores],
    )


def _writing(model: miniGPT, seen: Trace) -> Step:
    # Greedy, so that the page is the same each time. The context keeps room for all new tokens, so
    # that the text is read once; without room, it would be read again for each token.
    greedy = seen.drawn(Sampling(temperature=0)).argmax()
    ids = np.append(seen.ids, greedy)
    room = max(1, model.max_len - N_CONTINUED + 1)
    context = ids[None, -room:]
    written = generate(model, context, N_CONTINUED - 1, temperature=0.0, allowed=seen.drawable)[0]
    pieces = [seen.vocabulary[int(i)] for i in written[-N_CONTINUED:]]
    n_left_out = max(0, len(ids) - room)
    left_out = (
        " They must fit into the context too, so the model no longer sees "
        f"{counted(n_left_out, 'token')} at the beginning of the text."
        if n_left_out
        else ""
    )
    return Step(
        "writing",
        "Repeat for the next token",
        [
            "The chosen token is added at the end of the text, and everything begins again for the "
            "next token. If the likeliest token is chosen each time, this model continues the text "
            f"with these {len(pieces)} tokens.{left_out}",
        ],
        pieces=pieces,
        code=[Sampling.choose],
    )
