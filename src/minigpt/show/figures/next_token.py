"""The probabilities of the next token, before and after sampling settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.checks import check_sizes
from minigpt.core.sampling import Sampling
from minigpt.inside import Trace
from minigpt.show.figures.marks import label
from minigpt.show.figures.style import CLEAR, GREY, PALETTE, figure
from minigpt.support.checked import checked
from minigpt.support.wording import percent

if TYPE_CHECKING:
    import plotly.graph_objects as go


@checked
def next_token(
    trace: Trace, sampling: Sampling | None = None, n: int = 12, position: int = -1
) -> go.Figure:
    """Show the likeliest next tokens: their probability in the model, and when sampling.

    Parameters
    ----------
    trace : Trace
    sampling : temperature, top_k, top_p and so on; bars of excluded tokens are hollow.
    n : number of tokens to show.
    position : the token of the text after which the next one is predicted.
    """
    check_sizes(n=n)
    sampling = sampling or Sampling()
    drawn = trace.drawn(sampling, position, penalise=True)
    best = list(trace.top(n, position))
    names = [label(piece) for _, piece, _ in best]
    by_model = [probability for _, _, probability in best]
    by_sampling = [float(drawn[i]) for i, _, _ in best]
    rest = 1 - sum(by_sampling)
    made = figure(
        f"What comes after “{label(trace.pieces[position])}”?",
        f"{_settings(sampling)}: {np.count_nonzero(drawn):,} of {len(drawn):,} tokens can be "
        f"drawn; {percent(max(rest, 0), 1)} go to tokens not shown",
    )
    hover = [
        f"“{name}”: the model says {percent(p, 2)}, "
        + (f"drawn with {percent(q, 2)}" if q else "never drawn")
        for name, p, q in zip(names, by_model, by_sampling, strict=True)
    ]
    y = list(range(len(best)))
    common = {"orientation": "h", "y": y, "hovertext": hover, "hoverinfo": "text"}
    made.add_bar(x=by_sampling, name="drawn with", marker_color=PALETTE[0], **common)
    made.add_bar(
        x=by_model,
        name="the model's",
        marker={"color": CLEAR, "line": {"color": GREY, "width": 1.5}},
        **common,
    )
    made.update_xaxes(title_text="probability", tickformat=".0%", rangemode="tozero")
    made.update_yaxes(tickvals=y, ticktext=names, autorange="reversed", showgrid=False)
    return made.update_layout(barmode="overlay", height=190 + 22 * len(best))


def _settings(sampling: Sampling) -> str:
    if sampling.temperature == 0:
        return "temperature 0, always the likeliest"
    parts = [f"temperature {sampling.temperature:g}"]
    for name in ("top_k", "top_p", "min_p"):
        value = getattr(sampling, name)
        if value is not None:
            parts.append(f"{name.replace('_', '-')} {value:g}")
    if sampling.repetition_penalty != 1:
        parts.append(f"repetition penalty {sampling.repetition_penalty:g}")
    return ", ".join(parts)
