"""Tokens in figures: how they are written, on axes and as strips of coloured cells."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from minigpt.core.functional import Array
from minigpt.inside.pieces import visible
from minigpt.show.figures.style import CLEAR
from minigpt.support.brief import brief

if TYPE_CHECKING:
    import plotly.graph_objects as go

SHARES = "Cividis"
"""Colours from little to much: lightness alone tells them apart. Source: Nuñez et al., 2018."""
SIGNED = "RdBu"
"""Colours from below 0 (red) to above (blue), pale between."""
TEXT_COLUMNS = 72


def label(piece: str) -> str:
    """Write a piece so that a figure shows it as it is: Plotly takes < and & for HTML."""
    return html.escape(visible(piece), quote=False)


def labels(pieces: Sequence[str]) -> list[str]:
    """Write all pieces so."""
    return [label(piece) for piece in pieces]


def ticks(pieces: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of an axis with tokens; of many, the last and every n-th before."""
    step = 1 + len(pieces) // 50
    first = (len(pieces) - 1) % step
    return {
        "tickvals": list(range(first, len(pieces), step)),
        "ticktext": labels(pieces[first::step]),
        "showgrid": False,
    }


class Cells(NamedTuple):
    """Where the pieces of a text stand: in rows from the top, each as wide as it is long."""

    starts: list[int]
    widths: list[int]
    rows: list[int]

    def __repr__(self) -> str:
        return brief(self)


def flow(pieces: Sequence[str], columns: int = TEXT_COLUMNS, first_row: int = 0) -> Cells:
    """Set pieces one after another, and a new row where it is full or a line ends."""
    cells, x, row = Cells([], [], []), 0, first_row
    for piece in pieces:
        width = max(2, len(visible(piece)) + 1)
        if x and x + width > columns:
            x, row = 0, row + 1
        cells.starts.append(x)
        cells.widths.append(width)
        cells.rows.append(row)
        x += width
        if "\n" in piece:
            x, row = 0, row + 1
    return cells


def add_strip(
    figure: go.Figure,
    pieces: Sequence[str],
    cells: Cells,
    hover: Sequence[str],
    marker: dict[str, Any],
    ink: Sequence[str],
    panel: int = 1,
) -> None:
    """Draw pieces in cells, coloured by `marker`, written in `ink`."""
    figure.add_bar(
        orientation="h",
        base=cells.starts,
        x=cells.widths,
        y=cells.rows,
        width=0.9,
        text=labels(pieces),
        textfont={"family": "monospace", "color": list(ink)},
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        hovertext=list(hover),
        hoverinfo="text",
        marker={"line": {"width": 1, "color": CLEAR}, **marker},
        showlegend=False,
        row=panel,
        col=1,
    )
    n_rows = max(cells.rows) + 1
    figure.update_xaxes(visible=False, range=[0, TEXT_COLUMNS], row=panel, col=1)
    figure.update_yaxes(
        showticklabels=False, showgrid=False, range=[n_rows - 0.5, -0.5], row=panel, col=1
    )
    figure.update_layout(uniformtext={"minsize": 8, "mode": "show"}, barmode="overlay")


def ink_on(values: Array, low: float, high: float) -> list[str]:
    """Choose white on the dark lower half of `SHARES`, black on the upper."""
    return ["white" if 2 * value < low + high else "black" for value in values]
