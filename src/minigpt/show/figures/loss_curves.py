"""Loss curves of one or more runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from minigpt.runs.history import History, short_names
from minigpt.runs.metrics import Floats
from minigpt.show.figures.style import GREY, PALETTE, figure
from minigpt.support.brief import brief
from minigpt.support.checked import checked
from minigpt.support.wording import spelling_note

if TYPE_CHECKING:
    import plotly.graph_objects as go

BITS, NATS = "bits per character", "nats per token"
UNKNOWN_AS_ONE = "an unknown word counts as one token"
CURVE_POINTS = 4000
"""Maximum number of points of a line; a screen has fewer columns."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The losses of a run, in the unit in which runs are compared.

    Attributes
    ----------
    name, color : name and colour of the run.
    step : int64 array (N,), steps done.
    loss, smooth : float64 arrays (N,), the training loss and its moving mean.
    validation : float64 array (N,), the validation loss; NaN at steps without an evaluation.
    floor : the lowest possible loss, if it is known in this unit.
    unknown : how unknown words count in the loss; "" if there are none.
    history : the history of the run.
    """

    name: str
    color: str
    step: NDArray[np.int64]
    loss: Floats
    smooth: Floats
    validation: Floats
    floor: float | None
    unknown: str
    history: History

    __repr__ = brief


@checked
def curves(histories: Sequence[History]) -> tuple[list[Curve], str]:
    """Return the losses of runs in one common unit, and the name of the unit.

    The unit is bits per character, in which runs with different tokenizers can be compared. It is
    nats per token if a run has no evaluation yet. A training loss is converted like the validation
    loss: with the tokens per character and the cost of unknown words in the validation text.

    Raises
    ------
    ValueError
        If no run has done a step.
    """
    if not any(history.metrics.number.size for history in histories):
        where = " ".join(str(history.folder) for history in histories)
        raise ValueError(f"no step is done in {where or 'no runs'}: there is nothing to draw yet")
    begun = [history for history in histories if history.metrics.number.size]
    scales = [history.metrics.bits_per_nat for history in begun]
    unit = NATS if None in scales else BITS
    made = []
    for i, (history, name, scale) in enumerate(zip(begun, short_names(begun), scales, strict=True)):
        metrics = history.metrics
        factor, shift = (1.0, 0.0) if unit == NATS or scale is None else (scale, metrics.spelling)
        loss = metrics.loss * factor + shift
        made.append(
            Curve(
                name,
                PALETTE[i % len(PALETTE)],
                metrics.number,
                loss,
                metrics.smooth_loss * factor + shift,
                metrics.val_loss * factor + shift,
                history.floor if unit == BITS else None,
                spelling_note(shift) or (UNKNOWN_AS_ONE if metrics.spelling else ""),
                history,
            )
        )
    return made, unit


def shared_floor(drawn: Sequence[Curve]) -> float | None:
    """Return the lowest possible loss, or None if the curves do not share one."""
    floors = {curve.floor for curve in drawn}
    return floors.pop() if len(floors) == 1 else None


@checked
def loss_curves(histories: Sequence[History]) -> go.Figure:
    """Draw the losses of runs, and below them their learning rates and gradient norms.

    Parameters
    ----------
    histories : the histories of one or more runs; runs without a step are left out.

    Returns
    -------
    A Plotly figure. In the first panel, each run has a faint line (the loss of each step), a strong
    line (its moving mean) and dots (validation losses). A dashed line is the lowest possible loss,
    if all runs share it.
    """
    drawn, unit = curves(histories)
    floor = shared_floor(drawn)
    known = [f"{curve.name} {curve.floor:.3f}" for curve in drawn if curve.floor is not None]
    unknown = "".join(f" {c.name}: {c.unknown}." for c in drawn if c.unknown)
    lowest = "Dashed: lowest possible." if floor else f"Lowest possible: {', '.join(known)}."
    made = figure(
        "Loss while training",
        "Line: training (faint: each step). Dots: validation."
        + (f" {lowest}" if known else "")
        + unknown,
        rows=3,
        shared_xaxes=True,
        vertical_spacing=0.04,
        row_heights=[0.64, 0.18, 0.18],
    )
    for curve in drawn:
        _add_losses(made, curve)
        metrics = curve.history.metrics
        _add_line(made, 2, curve, metrics.learning_rate, "%{y:.2e}")
        _add_line(made, 3, curve, metrics.gradient_norm, "%{y:.3f}")
    ends = [min(int(c.step[0]) for c in drawn), max(int(c.step[-1]) for c in drawn)]
    if floor is not None:
        made.add_scatter(
            **{"x": ends, "y": [floor, floor], "mode": "lines", "name": f"floor {floor:.3f}"},
            line={"color": GREY, "dash": "dash", "width": 2},
            hoverinfo="skip",
        )
    for row, title in enumerate((unit, "learning rate", "gradient norm"), 1):
        made.update_yaxes(title_text=title.replace(" ", "<br>") if row > 1 else title, row=row)
    made.update_xaxes(title_text="step", row=3)
    return made.update_layout(hovermode="x")


def _add_losses(made: go.Figure, curve: Curve) -> None:
    line = {"color": curve.color, "width": 1, "simplify": False}
    x, y = thin(curve.step, curve.loss)
    _add(made, 1, curve, x, y, line=line, opacity=0.3, hoverinfo="skip")
    x, y = thin(curve.step, curve.smooth)
    _add(
        *(made, 1, curve, x, y),
        line=line | {"width": 2.5},
        showlegend=True,
        hovertemplate=f"{curve.name}, training %{{y:.3f}}<extra></extra>",
    )
    measured = np.isfinite(curve.validation)
    _add(
        *(made, 1, curve, curve.step[measured], curve.validation[measured]),
        mode="markers",
        marker={"color": curve.color, "size": 8, "line": {"color": GREY, "width": 1}},
        hovertemplate=f"{curve.name}, validation %{{y:.3f}}<extra></extra>",
    )


def _add_line(made: go.Figure, row: int, curve: Curve, values: Floats, form: str) -> None:
    x, y = thin(curve.step, values)
    template = f"{curve.name} {form}<extra></extra>"
    line = {"color": curve.color, "width": 1.5, "simplify": False}
    _add(made, row, curve, x, y, line=line, hovertemplate=template)


def _add(made: go.Figure, row: int, curve: Curve, x: Any, y: Any, **how: Any) -> None:
    style = {"mode": "lines", "name": curve.name, "legendgroup": curve.name, "showlegend": False}
    made.add_scatter(x=x, y=y, row=row, col=1, **(style | how))


def thin(
    x: NDArray[np.int64], y: Floats, most: int = CURVE_POINTS
) -> tuple[NDArray[np.int64], Floats]:
    """Return fewer points of a long line, which looks the same: minima and maxima are kept."""
    if len(x) <= most:
        return x, y
    keep = set()
    for places in np.array_split(np.arange(len(x)), most // 2):
        known = places[np.isfinite(y[places])]
        places = known if known.size else places[:1]
        keep |= {int(places[y[places].argmin()]), int(places[y[places].argmax()])}
    kept = np.array(sorted(keep))
    return x[kept], y[kept]
