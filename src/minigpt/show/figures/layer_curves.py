"""How each layer learns: its gradient, and how far steps move its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.runs.layer_metrics import LayerHistory
from minigpt.runs.metrics import Floats
from minigpt.show.figures.style import GREY, figure
from minigpt.support.checked import checked

if TYPE_CHECKING:
    import plotly.graph_objects as go

HEALTHY = 1e-3
"""A rule of thumb: the part of a matrix that a step of Adam changes when all goes well."""


@checked
def gradient_norms(history: LayerHistory) -> go.Figure:
    """Draw the length of the gradient of each layer over the steps, on a logarithmic axis."""
    made = _lines(
        history,
        history.gradient,
        "Gradients, layer by layer",
        "darker: nearer to the text; dotted: feed-forward; far below the others, little is learned",
    )
    return made.update_yaxes(title_text="gradient norm")


@checked
def update_ratios(history: LayerHistory) -> go.Figure:
    """Draw which part of each layer's matrices a step changes, ‖Δw‖ / ‖w‖, logarithmic too."""
    made = _lines(
        history,
        history.ratio,
        "How far a step moves the weights",
        "‖Δw‖ / ‖w‖ of each layer's matrices; dashed: a thousandth, the rule of thumb",
    )
    made.add_hline(y=HEALTHY, line={"color": GREY, "dash": "dash", "width": 2})
    return made.update_yaxes(title_text="update ÷ weights")


def _lines(history: LayerHistory, values: Floats, title: str, subtitle: str) -> go.Figure:
    """Draw a line a layer: full for attention, dotted for feed-forward, coloured by depth."""
    from plotly.colors import sample_colorscale

    if not history.number.size:
        raise ValueError("no layers.jsonl, or nothing in it: nothing was measured yet")
    made = figure(title, subtitle)
    colours = sample_colorscale("Viridis", np.linspace(0.2, 0.85, len(history.layers)).tolist())
    for i, layer in enumerate(history.layers):
        if np.isnan(values[:, i]).all():  # a tied head has no weights of its own
            continue
        dash = "dot" if layer.endswith("feed-forward") else "solid"
        made.add_scatter(
            x=history.number,
            y=np.where(values[:, i] > 0, values[:, i], np.nan),  # what is 0 has no logarithm
            mode="lines",
            name=layer,
            line={"color": colours[i], "width": 2.2, "dash": dash},
            hovertemplate=f"{layer} %{{y:.3g}}<extra></extra>",
        )
    made.update_yaxes(type="log", exponentformat="power", dtick=1)
    made.update_xaxes(title_text="step")
    legend = {"orientation": "v", "y": 1, "yanchor": "top", "x": 1.02, "traceorder": "reversed"}
    return made.update_layout(hovermode="x", legend=legend, margin={"r": 170})
