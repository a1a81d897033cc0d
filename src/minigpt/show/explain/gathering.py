"""Explain what attention gathers: in one head, in all heads, and combined."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from minigpt.show.explain.attention_drawn import by_share, last_tokens, most_attended, row_sums
from minigpt.show.explain.half_block import plus_bias
from minigpt.show.explain.page import Picture, Step, Table
from minigpt.show.explain.page_words import dims, entries, entry_names, n_shown, percent, quoted
from minigpt.show.figures import attention_maps as views
from minigpt.support.wording import counted

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.inside import Trace


def gather_step(seen: Trace, h: int) -> Step:
    """Explain what head `h` gathers."""
    b = seen.blocks[0]
    return Step(
        "gather",
        "Gather the values",
        [
            "Each token multiplies the values of the tokens it looks at by their shares, and adds "
            "them up. Only here does information move from one token to another.",
        ],
        ["o_t = Σ_j a_tj v_j"],
        [("gathered o", "(H, T, D)", dims(b.heads))],
        [_gathered(seen, h)],
    )


def _gathered(seen: Trace, h: int) -> Table:
    b = seen.blocks[0]
    order = by_share(b.weights[h, -1])
    rows = []
    n = n_shown(len(order), 4)
    for j in order[:n]:
        share = float(b.weights[h, -1, j])
        rows.append([f"{percent(share)} of {quoted(seen.pieces[j])}", *entries(share * b.v[h, j])])
    if rest := order[n:]:
        rows.append([f"{len(rest)} others", *entries(b.weights[h, -1, rest] @ b.v[h, rest])])
    rows.append(["sum o", *entries(b.heads[h, -1])])
    return Table(
        f"What {quoted(seen.pieces[-1])} gathers in head {h}",
        ["share of a value", *entry_names(b.v.shape[-1])],
        rows,
    )


def heads_step(seen: Trace) -> Step:
    """Explain what all heads of the block look at."""
    H = len(seen.blocks[0].weights)
    drawn = last_tokens(seen)
    drawn = dataclasses.replace(drawn, blocks=drawn.blocks[:1])
    token = quoted(seen.pieces[-1])
    table = Table(
        f"What {token} looks at most",
        ["head", "most", "second", "third"],
        [[f"head {h}", *most_attended(seen, 0, h)] for h in range(min(H, 12))],
    )
    return Step(
        "heads",
        "All heads of the block",
        [
            f"All {H} heads of the block do this in parallel. Each has its own matrices, so each "
            "can look for something different."
            if H > 1
            else "This block has only one head."
        ],
        shapes=[("heads", "H", str(H))],
        tables=[table],
        pictures=[
            Picture(
                views.attention_heads(drawn),
                "Each square is a head, drawn like the picture above: each row shows where one "
                f"token looks, and brighter means more. {row_sums(seen)}",
                table,
                width=480,
            )
        ]
        if H > 1
        else (),
    )


def projection_step(model: miniGPT, seen: Trace) -> Step:
    """Explain how the heads become one vector."""
    b = seen.blocks[0]
    (H, T, D), C = b.q.shape, b.input.shape[-1]
    return Step(
        "projection",
        "Combine the heads",
        [
            f"The outputs of {counted(H, 'head')}, {D} numbers each, are joined into one vector of "
            f"{H} × {D} = {C} numbers. One more learned matrix turns it into a vector that can be "
            "added to the stream. This vector is a sum with one part from each head, so we can "
            "see what each head adds.",
        ],
        [f"attention = [o of head 0, o of head 1, …] W_o{plus_bias(model, 'o')}"],
        [
            ("joined", "(T, H · D)", f"{T} × {H * D}"),
            ("out", "(T, C)", dims(b.attention)),
        ],
        [_written(model, seen)],
    )


def _written(model: miniGPT, seen: Trace) -> Table:
    b = seen.blocks[0]
    H, C = len(b.q), b.input.shape[-1]
    writes = b.head_writes[:, -1]
    n = n_shown(H)
    rows = [[f"head {h}", *entries(writes[h])] for h in range(n)]
    if n < H:
        rows.append([f"{H - n} other heads", *entries(writes[n:].sum(axis=0))])
    bias = model.blocks[0].attention.projection.bias
    if bias is not None:
        rows.append(["bias b", *entries(bias)])
    rows.append(["sum", *entries(b.attention[-1])])
    return Table(
        f"What attention adds for {quoted(seen.pieces[-1])}", ["from", *entry_names(C)], rows
    )
