"""The first block in full: attention, then neurons, for the last token of the text."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from minigpt.attention import Attention
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
from minigpt.functional import Array, causal_mask, softmax
from minigpt.layers import FeedForward, LayerNorm, Linear, MultiHeadAttention, TransformerBlock
from minigpt.views import attention

if TYPE_CHECKING:
    from minigpt.model import miniGPT
    from minigpt.tracing import Trace

MOST = 40
"""Tokens in a picture of attention: the last of the text."""


def window(seen: Trace, n: int = MOST) -> Trace:
    """Give what a trace holds of the last `n` tokens looking at each other, to be drawn."""
    blocks = [dataclasses.replace(b, weights=b.weights[:, -n:, -n:]) for b in seen.blocks]
    return dataclasses.replace(seen, ids=seen.ids[-n:], blocks=blocks)


def only_last(seen: Trace, n: int = MOST) -> str:
    """Say what a row sums to, and what `window` leaves out."""
    if len(seen.ids) <= n:
        return "Each row sums to 100%."
    return (
        f"Only the last {n} of {len(seen.ids)} tokens are drawn; what a row lacks to 100% goes to "
        "those before."
    )


def telling_head(weights: Array) -> tuple[int, int]:
    """Choose the head in which the last token looks most at one other, and that: (H, T, T)."""
    others = weights[:, -1, :-1] if weights.shape[-1] > 1 else weights[:, -1]
    head, key = np.unravel_index(int(others.argmax()), others.shape)
    return int(head), int(key)


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
                "Three learned matrices turn each vector into three shorter ones. The query says "
                "what the token looks for, the key what it can be found by, and the value what it "
                "hands over when it is found.",
                f"This is done {H} times side by side, with other matrices: each is a head and may "
                f"look for something else. We follow head {h}."
                if H > 1
                else "Models with several heads do this several times side by side; this one has "
                "a single head.",
            ],
            ["q = x̂ W_q + b_q", "k = x̂ W_k + b_k", "v = x̂ W_v + b_v"],
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
            ["attention = [o of head 0, o of head 1, …] W_o + b_o"],
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


def neuron_steps(model: miniGPT, seen: Trace) -> list[Step]:
    """Tell what the second half of block 0 does."""
    b, token, block = seen.blocks[0], quoted(seen.pieces[-1]), model.blocks[0]
    F = b.up.shape[-1]
    loud = [int(i) for i in np.argsort(-b.neurons[-1], kind="stable")[:4]]
    silent = [int(i) for i in np.argsort(b.up[-1], kind="stable")[:2]]
    activation = block.feed_forward.activation
    smooth = type(activation).__name__ == "GELU"
    gate = (
        "A neuron that is well above 0 passes as it is, one well below 0 is silenced, with a "
        "smooth bend between. The function is called GELU"
        if smooth
        else "A neuron above 0 passes as it is, one below 0 is silenced. The function is called "
        "ReLU"
    )
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
            ["u = x̂ W_up + b_up"],
            [("u", "(T, F)", dims(b.up))],
            code=[Linear.forward],
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
            code=[type(activation).forward],
        ),
        Step(
            "down",
            "Write down what they say",
            [
                "A second matrix turns the neurons into a vector of the stream's kind again: each "
                "neuron has a vector of its own and adds it as loudly as it speaks.",
            ],
            [f"feed-forward = {'GELU' if smooth else 'ReLU'}(u) W_down + b_down"],
            [("out", "(T, C)", dims(b.feed_forward))],
            code=[FeedForward.forward],
        ),
        residual_step(
            "residual-2",
            "the neurons",
            "what the neurons said",
            token,
            [
                ("stream h", b.middle[-1]),
                ("neurons add", b.feed_forward[-1]),
                ("sum y", b.output[-1]),
            ],
            b.output,
            "y = h + feed-forward",
            last=True,
        ),
    ]


def norm_step(
    id: str, token: str, before: Array, after: Array, all_after: Array, norm: LayerNorm
) -> Step:
    """Tell what a LayerNorm does with the vector of one token."""
    hat = (before - before.mean()) / np.sqrt(before.var() + norm.eps)
    rows = [("before", before), ("brought to size", hat), ("scaled, shifted", after)]
    again = id != "norm-1"
    prose = [
        "The same as before the first half, with a scale and a shift of its own."
        if again
        else "Before a block reads the stream, each vector is brought to a standard size: its mean "
        "becomes 0 and its spread 1. Then each of its numbers is multiplied by a learned scale"
        + ("" if norm.shift is None else " and moved by a learned shift")
        + ". The stream itself stays as it is; only the block's own copy changes."
    ]
    return Step(
        id,
        "Normalise again" if again else "Normalise",
        prose,
        [
            "x̂ = (x − mean) / √(variance + ε)",
            "y = scale · x̂" + ("" if norm.shift is None else " + shift"),
        ],
        [("out", "(T, C)", dims(all_after))],
        [
            Table(
                f"The vector of {token}",
                ["", "mean", "spread", *entry_names(len(before))],
                [
                    [name, number(float(x.mean())), number(float(x.std())), *entries(x)]
                    for name, x in rows
                ],
            )
        ],
        code=() if again else [LayerNorm.forward],
    )


def residual_step(
    id: str,
    who: str,
    what: str,
    token: str,
    rows: list[tuple[str, Array]],
    all_after: Array,
    formula: str,
    last: bool = False,
) -> Step:
    """Tell how a half of a block adds to the stream."""
    lengths = [float(np.linalg.norm(x)) for _, x in rows]
    prose = [
        f"Nothing is replaced: {what} is added to what was there. For {token}, a vector of length "
        f"{number(lengths[1])} is added to one of length {number(lengths[0])}."
    ]
    if last:
        prose.append("That was one block: look around, think, and add both to the stream.")
    return Step(
        id,
        f"Add {who} to the stream",
        prose,
        [formula],
        [("stream", "(T, C)", dims(all_after))],
        [
            Table(
                f"The stream at {token}",
                ["", "length", *entry_names(len(rows[0][1]))],
                [
                    [name, number(length), *entries(x)]
                    for (name, x), length in zip(rows, lengths, strict=True)
                ],
            )
        ],
        code=[TransformerBlock.forward] if last else (),
    )


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
                ["", *(quoted(p) for p in seen.pieces[-n:])],
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
        attention.attention_matrix(window(seen), 0, h),
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


def looks(seen: Trace, layer: int, h: int) -> list[str]:
    """Write what the last token looks at most in one head."""
    row = seen.blocks[layer].weights[h, -1]
    most = np.argsort(-row, kind="stable")[:3]
    cells = [f"{quoted(seen.pieces[j])} {percent(float(row[j]))}" for j in most]
    return cells + [""] * (3 - len(cells))


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
            "and each finds something else."
            if H > 1
            else "This block has one head; there is nothing to compare it with."
        ],
        shapes=[("heads", "H", str(H))],
        tables=[table],
        pictures=[
            Picture(
                attention.attention_heads(first),
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
