"""Explain the first half of the first block: attention, for the last token of the text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.functional import attention, causal_mask, softmax
from minigpt.core.layers import MultiHeadAttention
from minigpt.show.explain.attention_drawn import by_share, last_tokens, most_focused_head, row_sums
from minigpt.show.explain.gathering import gather_step, heads_step, projection_step
from minigpt.show.explain.half_block import norm_step, plus_bias, residual_step
from minigpt.show.explain.page import Picture, Step, Table
from minigpt.show.explain.page_words import (
    dims,
    entries,
    entry_names,
    first_numbers,
    last_of,
    last_pieces,
    n_shown,
    number,
    percent,
    quoted,
)
from minigpt.show.figures import attention_maps as views

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.inside import Trace


def attention_steps(model: miniGPT, seen: Trace) -> list[Step]:
    """Explain each step of the first half of block 0."""
    b, token = seen.blocks[0], quoted(seen.pieces[-1])
    h, best = most_focused_head(b.weights)
    added = [("stream x", b.input), ("attention adds", b.attention), ("sum h", b.middle)]
    return [
        norm_step("norm-1", token, b.input[-1], b.norm_1[-1], b.norm_1, model.blocks[0].norm_1),
        _qkv(model, seen, h),
        _scores(seen, h, best),
        _mask(seen, h),
        _softmax(seen, h, best),
        gather_step(seen, h),
        heads_step(seen),
        projection_step(model, seen),
        residual_step("residual-1", "attention", token, added),
    ]


def _qkv(model: miniGPT, seen: Trace, h: int) -> Step:
    b, token = seen.blocks[0], quoted(seen.pieces[-1])
    (H, _, D), C = b.q.shape, b.input.shape[-1]
    return Step(
        "qkv",
        "Compute a query, a key and a value for each token",
        [
            "Three learned matrices turn each vector into three new ones. The query says what the "
            "token looks for, the key says what it can be found by, and the value is what it "
            "passes on when it is found.",
            f"This happens {H} times in parallel, with different matrices. Each of these parts is "
            f"called a head, and can look for something different. We follow head {h}."
            if H > 1
            else "Models with several heads do this several times in parallel; this model has a "
            "single head.",
        ],
        [f"{x} = n W_{x}{plus_bias(model, x)}" for x in "qkv"],
        [("q, k, v", "(H, T, D)", dims(b.q)), ("size of a head D", "C / H", f"{C} / {H} = {D}")],
        [
            Table(
                f"The vectors of {token} in head {h}: {first_numbers(D)}",
                ["vector", *entry_names(D)],
                [
                    ["query q", *entries(b.q[h, -1])],
                    ["key k", *entries(b.k[h, -1])],
                    ["value v", *entries(b.v[h, -1])],
                ],
            )
        ],
        code=[MultiHeadAttention.forward],
    )


def _scores(seen: Trace, h: int, best: int) -> Step:
    b, token = seen.blocks[0], quoted(seen.pieces[-1])
    _, T, D = b.q.shape
    scores = b.scores[h, -1]
    product = float(b.q[h, -1] @ b.k[h, best])
    return Step(
        "scores",
        "Compare each query with each key",
        [
            "How well does a query match a key? Multiply the two vectors number by number and add "
            "up the products: a large sum is a good match. Division by "
            f"√{D} keeps the scores in a range in which learning works.",
            f"Example: for the query of {token} and the key of {quoted(seen.pieces[best])}, this "
            f"sum is {number(product)}. Divided by √{D} = {number(D**0.5)}, it gives the score "
            f"{number(float(scores[best]))}.",
        ],
        ["s_tj = q_t · k_j / √D"],
        [("scores", "(H, T, T)", dims(b.scores))],
        [
            Table(
                f"Scores of the query of {token} in head {h}. {last_of(T, 'key')}",
                ["key of", "position j", "q · k", "score s"],
                [
                    [
                        quoted(p),
                        str(j),
                        number(float(b.q[h, -1] @ b.k[h, j])),
                        number(float(scores[j])),
                    ]
                    for j, p in last_pieces(seen.pieces)
                ],
            )
        ],
        code=[attention],
    )


def _mask(seen: Trace, h: int) -> Step:
    n = min(6, len(seen.ids))
    scores = seen.blocks[0].scores[h, -n:, -n:]
    return Step(
        "mask",
        "Hide the future",
        [
            "The model must predict what comes next, so no token may look at the tokens after it: "
            "their scores are set to −∞. Because of this, the model can learn from every position "
            "of a text at once. Each position has its own question and cannot see the answer.",
        ],
        ["s_tj = −∞  where j > t"],
        [("scores", "(T, T) in each head", f"{len(seen.ids)} × {len(seen.ids)}")],
        [
            Table(
                f"Scores of the last {n} tokens in head {h}: rows are queries, columns are keys"
                if n > 1
                else f"The only score in head {h}",
                ["query", *(quoted(p) for p in seen.pieces[-n:])],
                [
                    [quoted(p), *(number(float(s)) for s in row)]
                    for p, row in zip(seen.pieces[-n:], scores, strict=True)
                ],
            )
        ],
        code=[causal_mask],
    )


def _softmax(seen: Trace, h: int, best: int) -> Step:
    b, token = seen.blocks[0], quoted(seen.pieces[-1])
    row = b.weights[h, -1]
    return Step(
        "softmax",
        "Turn scores into shares",
        [
            "Softmax computes e to the power of each score and divides by the sum of these powers. "
            "The results are positive and sum to 100%. They are shares of attention, called "
            "attention weights. A score that is larger by 1 gets a share e ≈ 2.7 times as large; "
            "−∞ gets a share of 0. Subtracting the largest score from all scores first does not "
            "change the result, but keeps the powers small.",
            f"In head {h}, {token} gives {percent(float(row[best]))} of its attention to "
            f"{quoted(seen.pieces[best])}.",
        ],
        ["a_tj = exp(s_tj) / Σ_i exp(s_ti)"],
        [("weights a", "(H, T, T)", dims(b.weights))],
        [_shares(seen, h)],
        [_matrix(seen, h)],
        code=[softmax],
    )


def _shares(seen: Trace, h: int) -> Table:
    b = seen.blocks[0]
    order = by_share(b.weights[h, -1])
    n = n_shown(len(order))
    scores = b.scores[h, -1].astype(float)
    powers = np.exp(scores - scores.max())
    rows = [
        [
            quoted(seen.pieces[j]),
            str(j),
            number(scores[j]),
            number(float(powers[j]), 3),
            percent(float(b.weights[h, -1, j])),
        ]
        for j in order[:n]
    ]
    if rest := order[n:]:
        total = number(float(powers[rest].sum()), 3)
        rows.append(
            [f"{len(rest)} others", "", "", total, percent(float(b.weights[h, -1, rest].sum()))]
        )
    total = number(float(powers.sum()), 3)
    rows.append(["sum", "", "", total, percent(round(float(b.weights[h, -1].sum()), 6))])
    return Table(
        f"Where {quoted(seen.pieces[-1])} looks in head {h}, largest share first",
        ["token", "position j", "score s", "exp(s − largest)", "share a"],
        rows,
    )


def _matrix(seen: Trace, h: int) -> Picture:
    n = min(6, len(seen.ids))
    weights = seen.blocks[0].weights[h, -n:, -n:]
    return Picture(
        views.attention_matrix(last_tokens(seen), 0, h),
        "Each row shows where one token looks: brighter means a larger share. The future stays "
        f"empty. {row_sums(seen)}",
        Table(
            f"Shares among the last {n} tokens" if n > 1 else "The only share",
            ["query", *(quoted(p) for p in seen.pieces[-n:])],
            [
                [quoted(p), *(percent(float(a)) for a in row)]
                for p, row in zip(seen.pieces[-n:], weights, strict=True)
            ],
        ),
        width=480,
    )
