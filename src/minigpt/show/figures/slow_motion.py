"""One training step in slow motion: the batch, the gradients on their way down, the update."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.checks import check_index
from minigpt.inside.pieces import vocabulary_of
from minigpt.inside.slow_step import SlowStep
from minigpt.show.figures.marks import SHARES, add_strip, flow, ink_on, label
from minigpt.show.figures.style import GREY, PALETTE, figure
from minigpt.support.checked import checked

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from minigpt.text.tokenizers import Tokenizer

BRIGHTEST_LOSS = 8.0
"""The loss in nats that has the brightest colour; larger ones have the same."""


@checked
def slow_step(step: SlowStep, tokenizer: Tokenizer | None = None, row: int = 0) -> go.Figure:
    """Show the stages of a training step from top to bottom: forward, backward, update.

    Parameters
    ----------
    step : see `minigpt.inside.slow_step.slow_step`.
    tokenizer : shows tokens as text; without it, their ids are shown.
    row : the text of the batch to show.
    """
    check_index(len(step.x), row=row)
    cells_high = _cell_rows(step, tokenizer, row)
    made = figure(
        f"One training step: the loss on its batch goes from {step.loss:.3f} "
        f"to {step.loss_after:.3f} nats",
        _describe_clipping(step),
        rows=3,
        row_heights=[30 * cells_high, 24 * len(step.stations), 20 * len(step.changes)],
        vertical_spacing=0.09,
        subplot_titles=(
            f"1  Forward: text {row + 1} of {len(step.x)}, coloured by the loss at each next token",
            "2  Backward: length of the gradient that reaches each layer, from the head down",
            "3  Update: the parameters that change most, from the dot to the diamond",
        ),
    )
    _add_losses(made, step, tokenizer, row)
    _add_gradients(made, step)
    _add_changes(made, step)
    made.update_annotations(x=0, xanchor="left", font_size=14)
    height = 330 + 30 * cells_high + 24 * len(step.stations) + 20 * len(step.changes)
    return made.update_layout(height=height, showlegend=False, hovermode="closest")


def _describe_clipping(step: SlowStep) -> str:
    if step.gradient_norm <= step.clip:
        what = f"at most {step.clip:g}, so it is not clipped"
    else:
        what = f"clipped to {step.clip:g}"
    return (
        f"the gradient has length {step.gradient_norm:.3f}, {what}; "
        f"learning rate {step.learning_rate:.2e}"
    )


def _pieces(step: SlowStep, tokenizer: Tokenizer | None, row: int) -> list[str]:
    """Return the target tokens, whose losses are shown."""
    vocabulary = vocabulary_of(tokenizer, step.stations[-1].shape[-1])
    return [vocabulary[i] for i in step.y[row]]


def _cell_rows(step: SlowStep, tokenizer: Tokenizer | None, row: int) -> int:
    return max(flow(_pieces(step, tokenizer, row)).rows) + 1


def _add_losses(made: go.Figure, step: SlowStep, tokenizer: Tokenizer | None, row: int) -> None:
    pieces = _pieces(step, tokenizer, row)
    shown = np.minimum(step.losses[row], BRIGHTEST_LOSS)
    hover = [
        f"“{label(piece)}”: {before:.2f} nats before the update, {after:.2f} after"
        for piece, before, after in zip(
            pieces, step.losses[row], step.losses_after[row], strict=True
        )
    ]
    marker = {"color": shown, "colorscale": SHARES, "cmin": 0, "cmax": BRIGHTEST_LOSS}
    add_strip(made, pieces, flow(pieces), hover, marker, ink_on(shown, 0, BRIGHTEST_LOSS))


def _add_gradients(made: go.Figure, step: SlowStep) -> None:
    stations = step.stations
    hover = []
    for station in stations:
        inside = "<br>".join(f"{name}: {norm:.3g}" for name, norm in station.parameters.items())
        hover.append(
            f"{station.name}: output {station.shape}, length {station.norm:.3g}<br>"
            f"gradients of its parameters:<br>{inside or 'none'}"
        )
    made.add_bar(
        orientation="h",
        x=[station.gradient for station in stations],
        y=[station.name for station in stations],
        text=["" if s.gradient is None else f" {s.gradient:.2g}" for s in stations],
        textposition="outside",
        textfont={"color": GREY},
        cliponaxis=False,
        hovertext=hover,
        hoverinfo="text",
        marker={"color": PALETTE[0]},
        row=2,
        col=1,
    )
    made.update_xaxes(rangemode="tozero", row=2)
    made.update_yaxes(showgrid=False, row=2)


def _add_changes(made: go.Figure, step: SlowStep) -> None:
    changes = step.changes
    rows = [f"{change.name}{list(change.index)}" for change in changes]
    x, y = [], []
    for name, change in zip(rows, changes, strict=True):
        x += [change.before, change.after, None]
        y += [name, name, None]
    made.add_scatter(
        x=x, y=y, mode="lines", line={"color": GREY, "width": 2}, hoverinfo="skip", row=3, col=1
    )
    hover = [
        f"{name}<br>{change.before:.6g} → {change.after:.6g}, gradient {change.gradient:.3g}"
        for name, change in zip(rows, changes, strict=True)
    ]
    for values, symbol, colour in (
        ([change.before for change in changes], "circle", PALETTE[0]),
        ([change.after for change in changes], "diamond", PALETTE[1]),
    ):
        made.add_scatter(
            x=values,
            y=rows,
            mode="markers",
            marker={"symbol": symbol, "color": colour, "size": 8},
            hovertext=hover,
            hoverinfo="text",
            row=3,
            col=1,
        )
    made.update_yaxes(autorange="reversed", tickfont={"size": 11}, row=3)
