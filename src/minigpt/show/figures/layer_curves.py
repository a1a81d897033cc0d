"""How each layer learns: the length of its gradient, and how far steps move its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.runs.layer_metrics import LayerHistory
from minigpt.runs.metrics import Floats
from minigpt.show.figures.style import GREY, figure
from minigpt.support.checked import checked

if TYPE_CHECKING:
    import plotly.graph_objects as go

TYPICAL_UPDATE_RATIO = 1e-3
"""Rule of thumb: ‖Δw‖ / ‖w‖ of a step of Adam when training goes well."""


@checked
def gradient_norms(history: LayerHistory) -> go.Figure:
    """Draw the length of each layer's gradient over the steps, on a logarithmic axis."""
    made = _lines(
        history,
        history.gradient,
        "Gradients, layer by layer",
        "darker: closer to the input; dotted: feed-forward; far below the others: learns little",
    )
    return made.update_yaxes(title_text="gradient norm")


@checked
def update_ratios(history: LayerHistory) -> go.Figure:
    """Draw ‖Δw‖ / ‖w‖ of each layer's matrices over the steps, on a logarithmic axis."""
    made = _lines(
        history,
        history.ratio,
        "How far a step moves the weights",
        "‖Δw‖ / ‖w‖ of each layer's matrices; dashed: 1/1000, a rule of thumb",
    )
    made.add_hline(y=TYPICAL_UPDATE_RATIO, line={"color": GREY, "dash": "dash", "width": 2})
    return made.update_yaxes(title_text="update ÷ weights")


def _lines(history: LayerHistory, values: Floats, title: str, subtitle: str) -> go.Figure:
    """Draw a line for each layer: dotted for feed-forward, otherwise solid, coloured by depth."""
    from plotly.colors import sample_colorscale

    if not history.number.size:
        raise ValueError("layers.jsonl is missing or empty: nothing was measured yet")
    made = figure(title, subtitle)
    colours = sample_colorscale("Viridis", np.linspace(0.2, 0.85, len(history.layers)).tolist())
    for i, layer in enumerate(history.layers):
        if np.isnan(values[:, i]).all():  # a tied head has no weights of its own
            continue
        dash = "dot" if layer.endswith("feed-forward") else "solid"
        made.add_scatter(
            x=history.number,
            y=np.where(values[:, i] > 0, values[:, i], np.nan),  # 0 has no logarithm
            mode="lines",
            name=layer,
            line={"color": colours[i], "width": 2.2, "dash": dash},
            hovertemplate=f"{layer} %{{y:.3g}}<extra></extra>",
        )
    made.update_yaxes(type="log", exponentformat="power", dtick=1)
    made.update_xaxes(title_text="step")
    legend = {"orientation": "v", "y": 1, "yanchor": "top", "x": 1.02, "traceorder": "reversed"}
    return made.update_layout(hovermode="x", legend=legend, margin={"r": 170})
