"""A text cut into tokens, as strips of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from minigpt.inside import Trace
from minigpt.inside.pieces import vocabulary_of
from minigpt.show.figures.marks import Cells, add_strip, flow, label
from minigpt.show.figures.style import PALETTE, figure
from minigpt.support.checked import checked
from minigpt.support.wording import counted

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from minigpt.text.tokenizers import Tokenizer

LETTER_COLORS = ("white", "black", "black", "black", "black", "black")
"""The colour of letters that reads best on each colour of `PALETTE`."""


@checked
def tokens(trace: Trace) -> go.Figure:
    """Show the tokens of a text; equal tokens have the same colour."""
    n = len(trace.ids)
    dropped = f", after {trace.n_dropped} that did not fit" if trace.n_dropped else ""
    made = figure(
        f"The text as {n} token{'' if n == 1 else 's'}{dropped}",
        "a cell is a token; · is a space, ⏎ the end of a line; hover over a cell for its id",
    )
    cells = _draw(made, trace.pieces, trace.ids.tolist(), 1)
    return made.update_layout(height=170 + 30 * (max(cells.rows) + 1))


@checked
def showdown(tokenizers: dict[str, Tokenizer], text: str) -> go.Figure:
    """Show how each of several tokenizers cuts the same text.

    Parameters
    ----------
    tokenizers : tokenizers by name.
    text : at least one character.
    """
    if not text or not tokenizers:
        raise ValueError("a showdown needs at least one tokenizer, and a text that is not empty")
    ids = {name: tokenizer.encode(text) for name, tokenizer in tokenizers.items()}
    vocabularies = {name: vocabulary_of(t, t.vocab_size) for name, t in tokenizers.items()}
    pieces = {name: [vocabularies[name][i] for i in ids[name]] for name in ids}
    heights = [max(flow(parts).rows) + 1 for parts in pieces.values()]
    made = figure(
        f"{counted(len(text), 'character')}, cut by {counted(len(tokenizers), 'tokenizer')}",
        "fewer tokens: more text fits into the context; a larger vocabulary: more to learn",
        rows=len(ids),
        row_heights=heights,
        vertical_spacing=0.25 / len(ids),
        subplot_titles=[
            f"{name}: {counted(len(ids[name]), 'token')}, "
            f"{len(text) / len(ids[name]):.1f} characters each, vocabulary {t.vocab_size:,}"
            for name, t in tokenizers.items()
        ],
    )
    for panel, name in enumerate(ids, 1):
        _draw(made, pieces[name], ids[name], panel)
    made.update_annotations(x=0, xanchor="left")
    return made.update_layout(height=150 + 50 * len(ids) + 30 * sum(heights))


def _draw(made: go.Figure, pieces: Sequence[str], ids: Sequence[int], panel: int) -> Cells:
    cells, colours = flow(pieces), _colours(ids)
    hover = [
        f"token {t}: “{label(piece)}”, id {i}"
        for t, (piece, i) in enumerate(zip(pieces, ids, strict=True))
    ]
    marker = {"color": [PALETTE[c] for c in colours]}
    add_strip(made, pieces, cells, hover, marker, [LETTER_COLORS[c] for c in colours], panel)
    return cells


def _colours(ids: Sequence[int]) -> list[int]:
    """Return a colour number for each id; the first six distinct ids get different ones."""
    order: dict[int, int] = {}
    return [order.setdefault(i, len(order)) % len(PALETTE) for i in ids]
