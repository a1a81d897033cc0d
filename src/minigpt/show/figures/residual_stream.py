"""The length of the residual stream, and what each step adds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.checks import check_position
from minigpt.core.functional import Array
from minigpt.inside import Trace
from minigpt.show.figures.marks import label
from minigpt.show.figures.style import GREY, PALETTE, figure
from minigpt.support.checked import checked

if TYPE_CHECKING:
    import plotly.graph_objects as go


@checked
def stream(trace: Trace, position: int | None = None) -> go.Figure:
    """Show the length of the residual stream after each step, and of the vector the step added.

    Parameters
    ----------
    trace : Trace
    position : the token to show; None shows the mean over all tokens.
    """
    if position is not None:
        position = check_position(position, len(trace.ids))
    L = len(trace.blocks)
    whose = "all tokens, on average" if position is None else f"“{label(trace.pieces[position])}”"
    made = figure(
        f"The residual stream of {whose}",
        "bars: length of the vector that each step adds; line: length of the stream after the step",
    )
    added = {
        "embedding": ([0], [trace.embedding]),
        "attention": (range(1, 2 * L, 2), [block.attention for block in trace.blocks]),
        "feed-forward": (range(2, 2 * L + 1, 2), [block.feed_forward for block in trace.blocks]),
    }
    for (name, (steps, vectors)), colour in zip(added.items(), PALETTE, strict=False):
        made.add_bar(
            x=list(steps),
            y=[_length(x, position) for x in vectors],
            name=name,
            marker_color=colour,
            hovertemplate=f"{name} adds a vector of length %{{y:.2f}}<extra></extra>",
        )
    made.add_scatter(
        x=list(range(2 * L + 1)),
        y=[_length(x, position) for x in trace.stream],
        name="the stream",
        mode="lines+markers",
        line_color=GREY,
        hovertemplate="the stream now has length %{y:.2f}<extra></extra>",
    )
    names = ["embedding"]
    for i in range(L):
        names += [f"attention {i}", f"feed-forward {i}"]
    made.update_xaxes(tickvals=list(range(2 * L + 1)), ticktext=names, showgrid=False)
    made.update_yaxes(title_text="length of the vector", rangemode="tozero")
    return made.update_layout(height=430)


def _length(vectors: Array, position: int | None) -> float:
    lengths = np.linalg.norm(vectors, axis=-1)
    return float(lengths.mean() if position is None else lengths[position])
