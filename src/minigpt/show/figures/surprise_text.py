"""Where in a text the model is surprised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.inside import Trace
from minigpt.inside import surprise as measure
from minigpt.show.figures.marks import SHARES, add_strip, flow, ink_on, label
from minigpt.show.figures.style import figure
from minigpt.support.checked import checked
from minigpt.support.wording import percent

if TYPE_CHECKING:
    import plotly.graph_objects as go

BRIGHTEST_SURPRISE = 8.0
"""The surprise in nats, a chance of 1 in 3000, from which all are coloured alike."""


@checked
def surprise(trace: Trace) -> go.Figure:
    """Colour the tokens of a text of at least two by −log of the probability they had."""
    nats = measure(trace)
    if not nats.size:
        raise ValueError("the first token surprises nobody: the text needs at least two")
    made = figure(
        f"Where the model is surprised: {nats.mean():.2f} nats a token on average",
        "dark was expected, bright was not; the first token has nothing before it",
    )
    shown = np.append(0.0, np.minimum(nats, BRIGHTEST_SURPRISE))
    hover = [f"“{label(trace.pieces[0])}” comes first: nothing predicts it"]
    for t, cost in enumerate(nats):
        likeliest = trace.vocabulary[trace.logits[t].argmax()]
        probability = trace.probabilities(t).max()
        hover.append(
            f"“{label(trace.pieces[t + 1])}” had {percent(float(np.exp(-cost)), 2)}: "
            f"{cost:.2f} nats<br>"
            f"expected most: “{label(likeliest)}” {percent(probability, 1)}"
        )
    cells = flow(trace.pieces)
    marker = {
        "color": shown,
        "colorscale": SHARES,
        "cmin": 0,
        "cmax": BRIGHTEST_SURPRISE,
        "colorbar": {"title": {"text": "nats"}, "thickness": 12},
    }
    add_strip(made, trace.pieces, cells, hover, marker, ink_on(shown, 0, BRIGHTEST_SURPRISE))
    return made.update_layout(height=max(260, 170 + 30 * (max(cells.rows) + 1)))
