"""What the model would predict after each block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigpt.inside import Trace, logit_lens
from minigpt.show.figures.marks import SHARES, label, labels, ticks
from minigpt.show.figures.style import figure
from minigpt.support.checked import checked

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from minigpt.core.model import miniGPT


@checked
def lens(model: miniGPT, trace: Trace, last: int = 16) -> go.Figure:
    """Show the likeliest next token after each block, for the `last` tokens of the text."""
    tokens, shares = logit_lens(model, trace, last)
    rows = ["embedding", *(f"block {i}" for i in range(len(trace.blocks)))]
    pieces = trace.pieces[-last:]
    answers = [labels([trace.vocabulary[i] for i in row]) for row in tokens]
    hover = [
        [
            f"after “{label(p)}”, {name} answers “{answer}”"
            for p, answer in zip(pieces, row, strict=True)
        ]
        for name, row in zip(rows, answers, strict=True)
    ]
    made = figure(
        "What each layer would answer",
        "final norm and head, applied to the residual stream after each block; colour: how sure",
    )
    made.add_heatmap(
        z=shares,
        zmin=0,
        zmax=1,
        colorscale=SHARES,
        text=answers,
        texttemplate="%{text}",
        textfont={"size": 11},
        customdata=hover,
        hovertemplate="%{customdata}: %{z:.1%}<extra></extra>",
        colorbar={"title": {"text": "probability"}, "tickformat": ".0%", "thickness": 12},
        xgap=2,
        ygap=2,
    )
    made.update_xaxes(title_text="the text", tickangle=-60, **ticks(pieces))
    made.update_yaxes(tickvals=list(range(len(rows))), ticktext=rows, showgrid=False)
    return made.update_layout(height=240 + 36 * len(rows))
