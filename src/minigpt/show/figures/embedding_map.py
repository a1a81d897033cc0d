"""Maps of embeddings, along the two directions in which they differ most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.checks import check_sizes
from minigpt.inside import PCA, pca
from minigpt.inside.pieces import vocabulary_of
from minigpt.show.figures.marks import SHARES, label
from minigpt.show.figures.style import PALETTE, figure
from minigpt.support.checked import checked
from minigpt.support.wording import percent

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from minigpt.core.model import miniGPT
    from minigpt.text.tokenizers import Tokenizer


@checked
def embeddings(model: miniGPT, tokenizer: Tokenizer, n: int = 2000) -> go.Figure:
    """Show the vectors of the first `n` tokens; hovering over a point shows its token."""
    check_sizes(n=n)
    vectors = model.token_embedding.weight[:n]
    pieces = vocabulary_of(tokenizer, model.vocab_size)[:n]
    found = pca(vectors)
    made = figure(
        f"The embeddings of {len(vectors):,} tokens",
        f"the two of {model.d_model} directions in which they differ most (principal components)",
    )
    kinds = np.array([kind_of(piece) for piece in pieces])
    for kind, colour in zip(KINDS_OF_TOKENS, PALETTE, strict=False):
        members = np.flatnonzero(kinds == kind).tolist()
        made.add_scatter(
            x=found.points[members, 0],
            y=found.points[members, 1],
            mode="markers",
            name=kind,
            marker={"color": colour, "size": 6, "opacity": 0.7},
            hovertext=[f"“{label(pieces[i])}”, id {i}" for i in members],
            hoverinfo="text",
        )
    return show_axes(made, found)


@checked
def positions(model: miniGPT) -> go.Figure:
    """Show the position embeddings; a line joins neighbours."""
    found = pca(model.position_embedding.weight)
    n = len(found.points)
    made = figure(
        f"The embeddings of {n:,} positions",
        "joined in order; the model can hardly tell positions apart whose points are close",
    )
    made.add_scatter(
        x=found.points[:, 0],
        y=found.points[:, 1],
        mode="lines+markers",
        line={"color": "rgba(128, 128, 128, 0.5)", "width": 1},
        marker={
            "color": list(range(n)),
            "colorscale": SHARES,
            "size": 8,
            "line": {"width": 1, "color": "rgba(128, 128, 128, 0.8)"},
            "colorbar": {"title": {"text": "position"}, "thickness": 12},
        },
        hovertemplate="position %{marker.color}<extra></extra>",
        showlegend=False,
    )
    return show_axes(made, found)


KINDS_OF_TOKENS = ("word", "Name", "part of a word", "other")


def kind_of(piece: str) -> str:
    """Return the kind of a piece, by its leading space, capital letter and letters."""
    word = piece.strip(" ")
    if not word.isalpha():
        return "other"
    if word[0].isupper():
        return "Name"
    return "word" if piece.startswith(" ") else "part of a word"


def show_axes(made: go.Figure, found: PCA) -> go.Figure:
    """Label the axes with their share of the variance, and return the figure."""
    for axis, share, number in zip(
        (made.update_xaxes, made.update_yaxes), found.shares, ("first", "second"), strict=False
    ):
        axis(title_text=f"{number} component ({percent(float(share))} of the variance)")
    return made.update_layout(height=560, hovermode="closest")
