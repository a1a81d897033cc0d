"""The first half of the first block: attention, for the last token of the text."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from minigpt.attention import Attention
from minigpt.explain.around import norm_step, plus_bias, residual_step
from minigpt.explain.looking import looks, only_last, telling_head, window
from minigpt.explain.page import Picture, Step, Table
from minigpt.explain.words import (
    ROWS,
    count,
    dims,
    entries,
    entry_names,
    last,
    number,
    percent,
    quoted,
)
from minigpt.functional import causal_mask, softmax
from minigpt.layers import (
    MultiHeadAttention,
)
from minigpt.views import attention as views

if TYPE_CHECKING:
    from minigpt.model import miniGPT
    from minigpt.tracing import Trace


def attention_steps(model: miniGPT, seen: Trace) -> list[Step]:
    """Tell what the first half of block 0 does."""
    b, token = seen.blocks[0], quoted(seen.pieces[-1])
    (H, T, D), C = b.q.shape, b.input.shape[-1]
    h, best = telling_head(b.weights)
    row, scores = b.weights[h, -1], b.scores[h, -1]
    order = [int(j) for j in np.argsort(-row, kind="stable")]
    product = float(b.q[h, -1] @ b.k[h, best])
    norm = model.blocks[0].norm_1
    return [
        norm_step("norm-1", token, b.input[-1], b.norm_1[-1], b.norm_1, norm),
        Step(
            "qkv",
            "Make a query, a key and a value of each token",
            [
                "Three learned matrices make three new vectors of each. The query says "
                "what the token looks for, the key what it can be found by, and the value what it "
                "hands over when it is found.",
                f"This is done {H} times side by side, with other matrices: each is a head and may "
                f"look for something else. We follow head {h}."
                if H > 1
                else "Models with several heads do this several times side by side; this one has "
                "a single head.",
            ],
            [f"{x} = n W_{x}{plus_bias(model, x)}" for x in "qkv"],
            [("q, k, v", "(H, T, D)", dims(b.q)), ("of which D", "C / H", f"{C} / {H} = {D}")],
            [
                Table(
                    f"Of {token} in head {h}, the first of {D} numbers",
                    ["vector", *entry_names(D)],
                    [
                        ["query q", *entries(b.q[h, -1])],
                        ["key k", *entries(b.k[h, -1])],
                        ["value v", *entries(b.v[h, -1])],
                    ],
                )
            ],
            code=[MultiHeadAttention.forward],
        ),
        Step(
            "scores",
            "Compare each query with each key",
            [
                "How well does what I look for match what you can be found by? Multiply the two "
                "vectors number by number and add it all up: a large sum is a good match. Division "
                f"by √{D} keeps the scores in a range in which learning works.",
                f"Example: {token} looks at {quoted(seen.pieces[best])}. Its query times that key "
                f"is {number(product)}; divided by √{D} = {number(D**0.5)}, the score is "
                f"{number(float(scores[best]))}.",
            ],
            ["s_tj = q_t · k_j / √D"],
            [("scores", "(H, T, T)", dims(b.scores))],
            [
                Table(
                    f"Scores of the query of {token} in head {h}, for the last {min(T, ROWS)} keys",
                    ["key of", "place j", "q · k", "score s"],
                    [
                        [
                            quoted(p),
                            str(j),
                            number(float(b.q[h, -1] @ b.k[h, j])),
                            number(float(scores[j])),
                        ]
                        for j, p in last(seen.pieces)
                    ],
                )
            ],
            code=[Attention.forward],
        ),
        _mask(seen, h),
        Step(
            "softmax",
            "Turn scores into shares",
            [
                "Softmax takes e to the power of each score and divides by the sum of them all. "
                "What comes out is positive and sums to 100%: shares of attention. A score that "
                "is larger by 1 gets a share e ≈ 2.7 times as large; −∞ gets none. Taking the "
                "largest score off all of them first changes nothing and keeps the powers small.",
                f"{token} gives {percent(float(row[best]))} of its attention in head {h} to "
                f"{quoted(seen.pieces[best])}.",
            ],
            ["a_tj = exp(s_tj) / Σ_i exp(s_ti)"],
            [("weights a", "(H, T, T)", dims(b.weights))],
            [_shares(seen, h, order)],
            [_matrix(seen, h)],
            code=[softmax],
        ),
        Step(
            "gather",
            "Gather the values",
            [
                "Each token now takes the values of the tokens it looks at, each by its share, "
                "and adds them up. This is the only place in the model where something moves from "
                "one token to another.",
            ],
            ["o_t = Σ_j a_tj v_j"],
            [("gathered o", "(H, T, D)", dims(b.heads))],
            [_gathered(seen, h, order)],
        ),
        _heads(seen),
        Step(
            "projection",
            "Bring the heads together",
            [
                f"The findings of the {count(H, 'head')}, {D} numbers each, are laid side by side: "
                f"{H} × {D} = {C}. One more learned matrix turns them into a vector of the "
                "stream's kind. It is a sum with one part for each head, so that we can see what "
                "each head writes.",
            ],
            [f"attention = [o of head 0, o of head 1, …] W_o{plus_bias(model, 'o')}"],
            [
                ("side by side", "(T, H · D)", f"{T} × {H * D}"),
                ("out", "(T, C)", dims(b.attention)),
            ],
            [_written(model, seen)],
        ),
        residual_step(
            "residual-1",
            "attention",
            "what attention gathered",
            token,
            [
                ("stream x", b.input[-1]),
                ("attention adds", b.attention[-1]),
                ("sum h", b.middle[-1]),
            ],
            b.middle,
            "h = x + attention",
        ),
    ]


def _mask(seen: Trace, h: int) -> Step:
    n = min(6, len(seen.ids))
    scores = seen.blocks[0].scores[h, -n:, -n:]
    return Step(
        "mask",
        "Hide the future",
        [
            "The model is to guess what comes next, so no token may look at those after it. Their "
            "scores are set to −∞. Because of this the model learns from every place of a text at "
            "once: each place has its own question and cannot see the answer.",
        ],
        ["s_tj = −∞  where j > t"],
        [("scores", "(T, T) in each head", f"{len(seen.ids)} × {len(seen.ids)}")],
        [
            Table(
                f"Scores of the last {n} tokens in head {h}: rows look, columns are looked at"
                if n > 1
                else f"The only score in head {h}",
                ["looks", *(quoted(p) for p in seen.pieces[-n:])],
                [
                    [quoted(p), *(number(float(s)) for s in row)]
                    for p, row in zip(seen.pieces[-n:], scores, strict=True)
                ],
            )
        ],
        code=[causal_mask],
    )


def _shares(seen: Trace, h: int, order: list[int]) -> Table:
    b = seen.blocks[0]
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
        for j in order[:ROWS]
    ]
    if rest := order[ROWS:]:
        total = number(float(powers[rest].sum()), 3)
        rows.append(
            [f"{len(rest)} others", "", "", total, percent(float(b.weights[h, -1, rest].sum()))]
        )
    total = number(float(powers.sum()), 3)
    rows.append(["sum", "", "", total, percent(float(b.weights[h, -1].sum()))])
    return Table(
        f"Where {quoted(seen.pieces[-1])} looks in head {h}, the most first",
        ["token", "place j", "score s", "exp(s − largest)", "share a"],
        rows,
    )


def _matrix(seen: Trace, h: int) -> Picture:
    n = min(6, len(seen.ids))
    weights = seen.blocks[0].weights[h, -n:, -n:]
    return Picture(
        views.attention_matrix(window(seen), 0, h),
        "A row is a token that looks, a column one that is looked at, and the future stays empty. "
        f"{only_last(seen)}",
        Table(
            f"Shares among the last {n} tokens",
            ["looks", *(quoted(p) for p in seen.pieces[-n:])],
            [
                [quoted(p), *(percent(float(a)) for a in row)]
                for p, row in zip(seen.pieces[-n:], weights, strict=True)
            ],
        ),
        width=480,
    )


def _gathered(seen: Trace, h: int, order: list[int]) -> Table:
    b = seen.blocks[0]
    rows = []
    for j in order[:4]:
        share = float(b.weights[h, -1, j])
        rows.append([f"{percent(share)} of {quoted(seen.pieces[j])}", *entries(share * b.v[h, j])])
    if rest := order[4:]:
        rows.append([f"{len(rest)} others", *entries(b.weights[h, -1, rest] @ b.v[h, rest])])
    rows.append(["sum o", *entries(b.heads[h, -1])])
    return Table(
        f"What {quoted(seen.pieces[-1])} gathers in head {h}",
        ["share of a value", *entry_names(b.v.shape[-1])],
        rows,
    )


def _heads(seen: Trace) -> Step:
    H = len(seen.blocks[0].weights)
    first = dataclasses.replace(window(seen), blocks=window(seen).blocks[:1])
    token = quoted(seen.pieces[-1])
    shown = range(min(H, 12))
    table = Table(
        f"What {token} looks at most",
        ["head", "most", "second", "third"],
        [[f"head {h}", *looks(seen, 0, h)] for h in shown],
    )
    return Step(
        "heads",
        "All heads, side by side",
        [
            f"All {H} heads of the block do this at the same time, each with matrices of its own, "
            "and each can find something else."
            if H > 1
            else "This block has one head; there is nothing to compare it with."
        ],
        shapes=[("heads", "H", str(H))],
        tables=[table],
        pictures=[
            Picture(
                views.attention_heads(first),
                "Each square is a head, as in the picture above: rows look, columns are looked "
                f"at, brighter is more. {only_last(seen)}",
                table,
                width=480,
            )
        ]
        if H > 1
        else (),
    )


def _written(model: miniGPT, seen: Trace) -> Table:
    b = seen.blocks[0]
    H, C = len(b.q), b.input.shape[-1]
    writes = b.head_writes[:, -1]
    rows = [[f"head {h}", *entries(writes[h])] for h in range(min(H, ROWS))]
    if H > ROWS:
        rows.append([f"{H - ROWS} other heads", *entries(writes[ROWS:].sum(axis=0))])
    bias = model.blocks[0].attention.projection.bias
    if bias is not None:
        rows.append(["b_o", *entries(bias)])
    rows.append(["sum", *entries(b.attention[-1])])
    return Table(
        f"What attention writes for {quoted(seen.pieces[-1])}", ["from", *entry_names(C)], rows
    )
