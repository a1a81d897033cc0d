"""What each step and each head adds to a logit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.inside import Attribution, Trace, attribute
from minigpt.show.figures.marks import SIGNED, label
from minigpt.show.figures.style import GREY, PALETTE, figure
from minigpt.support.checked import checked

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from minigpt.core.model import miniGPT


@checked
def attribution(
    model: miniGPT,
    trace: Trace,
    token: int | None = None,
    position: int = -1,
    against: int | None = None,
) -> go.Figure:
    """Show the parts of a logit: step by step up to their sum, and head by head.

    See `minigpt.inside.attribute` for the parameters.
    """
    found = attribute(model, trace, token, position, against)
    rival = "" if against is None else f" minus that of “{label(trace.vocabulary[against])}”"
    piece = label(trace.vocabulary[found.token])
    made = figure(
        f"Who wrote the logit {found.logit:.2f} of “{piece}”{rival}?",
        f"after “{label(trace.pieces[found.position])}”; what each step adds directly, with the "
        "scale of the final norm held fixed",
        rows=2,
        row_heights=[0.6, 0.4],
        vertical_spacing=0.25,
        subplot_titles=["step by step", "attention, head by head"],
    )
    _add_steps(made, found)
    _add_heads(made, found)
    return made.update_layout(height=620 + 18 * len(found.heads), showlegend=False)


def _add_steps(made: go.Figure, found: Attribution) -> None:
    names = ["token", "position"]
    values = list(found.embeddings)
    for i, (heads, bias) in enumerate(zip(found.heads, found.biases, strict=True)):
        names += [f"attention {i}", f"feed-forward {i}"]
        values += [heads.sum() + bias, found.feed_forward[i]]
    names += ["norm's shift", "logit"]
    values += [found.shift, 0.0]
    made.add_waterfall(
        x=names,
        y=[float(value) for value in values],
        measure=["relative"] * (len(names) - 1) + ["total"],
        increasing={"marker": {"color": PALETTE[0]}},
        decreasing={"marker": {"color": PALETTE[1]}},
        totals={"marker": {"color": GREY}},
        connector={"line": {"color": GREY, "width": 1}},
        hovertemplate="%{x}: %{delta:+.2f}, so far %{y:.2f}<extra></extra>",
        row=1,
        col=1,
    )
    made.update_yaxes(title_text="logit", row=1, col=1)


def _add_heads(made: go.Figure, found: Attribution) -> None:
    largest = float(np.abs(found.heads).max()) or 1.0
    L, H = found.heads.shape
    made.add_heatmap(
        z=found.heads,
        zmin=-largest,
        zmax=largest,
        colorscale=SIGNED,
        texttemplate="%{z:+.2f}",
        hovertemplate="head %{x} of block %{y}: %{z:+.2f}<extra></extra>",
        colorbar={"title": {"text": "logit"}, "thickness": 12, "len": 0.35, "y": 0.17},
        xgap=2,
        ygap=2,
        row=2,
        col=1,
    )
    made.update_xaxes(tickvals=list(range(H)), title_text="head", showgrid=False, row=2, col=1)
    made.update_yaxes(
        tickvals=list(range(L)),
        title_text="block",
        showgrid=False,
        autorange="reversed",
        row=2,
        col=1,
    )
