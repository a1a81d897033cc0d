"""What tokens attend to: one head as a matrix or as arcs, or all heads side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.checks import check_index, check_position
from minigpt.core.functional import Array
from minigpt.inside import Trace
from minigpt.show.figures.marks import SHARES, labels, ticks
from minigpt.show.figures.style import GREY, PALETTE, figure
from minigpt.support.checked import checked
from minigpt.support.wording import percent

if TYPE_CHECKING:
    import plotly.graph_objects as go


@checked
def attention_matrix(trace: Trace, layer: int, head: int) -> go.Figure:
    """Show the attention weights of one head: a row for each query, a column for each key."""
    weights = _without_future(_weights(trace, layer, head))
    pieces = labels(trace.pieces)
    hover = [[f"“{row}” looks at “{column}”" for column in pieces] for row in pieces]
    made = figure(
        f"Attention of head {head} in block {layer}",
        "each row sums to 100 %; cells in a token's future are empty",
    )
    what = "%{text}: %{z:.1%}<extra></extra>"
    made.add_heatmap(z=weights, text=hover, hovertemplate=what, **_scale(weights))
    made.update_xaxes(title_text="token looked at (key)", tickangle=-60, **ticks(trace.pieces))
    made.update_yaxes(
        title_text="token that looks (query)", autorange="reversed", **ticks(trace.pieces)
    )
    return made.update_layout(height=max(420, 250 + 14 * min(50, len(pieces))))


@checked
def attention_arcs(
    trace: Trace, layer: int, head: int, position: int | None = None, threshold: float = 0.1
) -> go.Figure:
    """Draw arcs from tokens back to the tokens they attend to; a wider arc is a larger weight.

    Parameters
    ----------
    trace, layer, head : the head to draw, on the text of the trace.
    position : the token whose arcs are drawn; None draws the arcs of all tokens.
    threshold : the smallest weight that is drawn.
    """
    weights = _weights(trace, layer, head)
    T = len(weights)
    queries = range(T) if position is None else [check_position(position, T)]
    made = figure(
        f"What head {head} in block {layer} looks at",
        f"arcs go from a token back to the tokens it attends to with at least {threshold:.0%}",
    )
    pieces = labels(trace.pieces)
    for query in queries:
        for key in np.flatnonzero(weights[query, : query + 1] >= threshold):
            _add_arc(made, query, int(key), float(weights[query, key]), pieces)
    made.add_scatter(
        x=list(range(T)),
        y=[0] * T,
        mode="markers",
        marker={"color": GREY, "size": 6},
        hovertext=pieces,
        hoverinfo="text",
    )
    made.update_xaxes(range=[-0.7, T - 0.3], tickangle=-60, **ticks(trace.pieces))
    made.update_yaxes(visible=False)
    return made.update_layout(showlegend=False, height=420, hovermode="closest")


def _add_arc(made: go.Figure, query: int, key: int, weight: float, pieces: list[str]) -> None:
    """Draw half an ellipse, or a small loop if a token attends to itself."""
    if key == query:
        turn = np.linspace(-np.pi / 2, 1.5 * np.pi, 17)
        x, y = query + 0.25 * np.cos(turn), 0.3 + 0.3 * np.sin(turn)
    else:
        turn = np.linspace(0, np.pi, 25)
        x = (query + key) / 2 + (query - key) / 2 * np.cos(turn)
        y = (query - key) ** 0.7 * np.sin(turn)
    made.add_scatter(
        x=x,
        y=y,
        mode="lines",
        line={"width": 1 + 6 * weight, "color": PALETTE[query % len(PALETTE)]},
        opacity=0.35 + 0.65 * weight,
        hovertext=f"“{pieces[query]}” looks at “{pieces[key]}”: {percent(weight, 1)}",
        hoverinfo="text",
    )


@checked
def attention_heads(trace: Trace) -> go.Figure:
    """Show all heads as small matrices, with one row of matrices for each block."""
    weights = _without_future(trace.weights)
    L, H, T, _ = weights.shape
    edge = T + max(1, T // 12)  # with a gap between matrices
    picture = np.full((L * edge, H * edge), np.nan, np.float32)
    places = np.zeros((*picture.shape, 4), np.int16)
    where = np.moveaxis(np.indices(weights.shape), 0, -1)
    for layer, head in np.ndindex(L, H):
        rows, columns = slice(layer * edge, layer * edge + T), slice(head * edge, head * edge + T)
        picture[rows, columns] = weights[layer, head]
        places[rows, columns] = where[layer, head]
    made = figure(
        f"All {L * H} heads" if L * H > 1 else "The only head",
        "in each matrix, a row is a token that looks, a column one it looks at; brighter is more",
    )
    made.add_heatmap(
        z=picture,
        customdata=places,
        hovertemplate="block %{customdata[0]}, head %{customdata[1]}: token %{customdata[2]} "
        "looks at token %{customdata[3]}: %{z:.1%}<extra></extra>",
        **_scale(weights),
    )
    middle = T / 2 - 0.5
    made.update_xaxes(
        tickvals=[h * edge + middle for h in range(H)],
        ticktext=[f"head {h}" for h in range(H)],
        showgrid=False,
    )
    made.update_yaxes(
        tickvals=[i * edge + middle for i in range(L)],
        ticktext=[f"block {i}" for i in range(L)],
        showgrid=False,
        autorange="reversed",
    )
    return made.update_layout(height=200 + 160 * L if L < 6 else 160 + 90 * L)


def _weights(trace: Trace, layer: int, head: int) -> Array:
    check_index(len(trace.blocks), layer=layer)
    check_index(len(trace.blocks[0].weights), head=head)
    return trace.blocks[layer].weights[head]


def _without_future(weights: Array) -> Array:
    """Return the weights with NaN where the key is in the query's future."""
    return np.where(np.tri(weights.shape[-1], dtype=bool), weights, np.nan)


def _scale(weights: Array) -> dict[str, Any]:
    """Return the colour settings of a heat map of weights."""
    return {
        "zmin": 0,
        "zmax": _brightest_weight(weights),
        "colorscale": SHARES,
        "hoverongaps": False,
        "colorbar": {"title": {"text": "weight"}, "tickformat": ".0%", "thickness": 12},
    }


def _brightest_weight(weights: Array) -> float:
    """Return the weight at which the colours end: a few larger ones do not darken all others."""
    return max(0.05, float(np.nanquantile(weights, 0.99)))
