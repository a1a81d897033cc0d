"""Which heads attend to a relation that has a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minigpt.inside import HeadScores
from minigpt.show.figures.marks import SHARES
from minigpt.show.figures.style import figure
from minigpt.support.checked import checked
from minigpt.support.wording import percent

if TYPE_CHECKING:
    import plotly.graph_objects as go


MAX_NAMED_HEADS = 3
"""Number of heads named in the subtitle; the colours show the others."""


@checked
def heads(scores: HeadScores, threshold: float = 0.5) -> go.Figure:
    """Show what share of its attention each head spends on each relation, and name the strongest.

    Parameters
    ----------
    scores : from `minigpt.inside.head_scores`, or from `score_heads` on a text.
    threshold : the smallest score for which a head is named.
    """
    R, L, H = scores.values.shape
    found = sorted(scores.found(threshold), key=lambda head: -head[-1])
    named = [
        f"{layer}.{head} {name} {percent(score)}"
        for layer, head, name, score in found[:MAX_NAMED_HEADS]
    ]
    more = f"; and {len(found) - MAX_NAMED_HEADS} more" if len(found) > MAX_NAMED_HEADS else ""
    made = figure(
        "What heads attend to",
        f"block.head: {'; '.join(named)}{more}" if named else "no head stands out",
        rows=1,
        cols=R,
        subplot_titles=[name.replace(" of ", "<br>of ", 1) for name in scores.names],
        horizontal_spacing=0.04,
    )
    for panel, (name, values, even) in enumerate(
        zip(scores.names, scores.values, scores.even, strict=True), 1
    ):
        made.add_heatmap(
            z=values,
            coloraxis="coloraxis",
            texttemplate="%{z:.0%}",
            hovertemplate=f"block %{{y}}, head %{{x}}: {name} %{{z:.1%}}; uniform attention "
            f"would give {percent(float(even), 1)}<extra></extra>",
            xgap=2,
            ygap=2,
            row=1,
            col=panel,
        )
    made.update_annotations(font_size=12)
    made.update_xaxes(title_text="head", tickvals=list(range(H)), showgrid=False)
    made.update_yaxes(tickvals=list(range(L)), showgrid=False, autorange="reversed")
    made.update_yaxes(title_text="block", col=1)
    bar = {"title": {"text": "attention"}, "tickformat": ".0%", "thickness": 12}
    return made.update_layout(
        coloraxis={"colorscale": SHARES, "cmin": 0, "cmax": 1, "colorbar": bar},
        height=260 + 40 * L,
        margin={"t": 130},
    )
