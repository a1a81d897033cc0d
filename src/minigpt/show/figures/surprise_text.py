"""The tokens of a text that surprise the model."""

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
"""The surprise in nats that has the brightest colour: a probability of 1 in 3000."""


@checked
def surprise(trace: Trace) -> go.Figure:
    """Colour each token by its surprise: −log of the probability that the model gave it."""
    nats = measure(trace)
    if not nats.size:
        raise ValueError("the text must have at least two tokens: the first is never predicted")
    made = figure(
        f"Where the model is surprised: {nats.mean():.2f} nats per token on average",
        "dark: expected; bright: not expected; nothing comes before the first token",
    )
    shown = np.append(0.0, np.minimum(nats, BRIGHTEST_SURPRISE))
    hover = [f"“{label(trace.pieces[0])}” comes first: nothing predicts it"]
    for t, cost in enumerate(nats):
        likeliest = trace.vocabulary[trace.logits[t].argmax()]
        probability = trace.probabilities(t).max()
        hover.append(
            f"“{label(trace.pieces[t + 1])}” had probability {percent(float(np.exp(-cost)), 2)}: "
            f"{cost:.2f} nats<br>"
            f"likeliest: “{label(likeliest)}”, {percent(probability, 1)}"
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
