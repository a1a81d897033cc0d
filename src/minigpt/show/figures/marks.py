"""Tokens in figures: their labels, on axes and in strips of coloured cells."""

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
"""Colours from low to high, which differ in lightness too. Source: Nuñez et al., 2018."""
SIGNED = "RdBu"
"""Colours for numbers below 0 (red) and above 0 (blue), pale near 0."""
TEXT_COLUMNS = 72


def label(piece: str) -> str:
    """Return a piece escaped for Plotly, which reads < and & as HTML."""
    return html.escape(visible(piece), quote=False)


def labels(pieces: Sequence[str]) -> list[str]:
    """Return the label of each piece."""
    return [label(piece) for piece in pieces]


def ticks(pieces: Sequence[str]) -> dict[str, Any]:
    """Return the settings of an axis with tokens: at most 50 labels, always with the last token."""
    step = 1 + len(pieces) // 50
    first = (len(pieces) - 1) % step
    return {
        "tickvals": list(range(first, len(pieces), step)),
        "ticktext": labels(pieces[first::step]),
        "showgrid": False,
    }


class Cells(NamedTuple):
    """The places of a text's pieces: column, width in characters, and row from the top."""

    starts: list[int]
    widths: list[int]
    rows: list[int]

    def __repr__(self) -> str:
        return brief(self)


def flow(pieces: Sequence[str], columns: int = TEXT_COLUMNS, first_row: int = 0) -> Cells:
    """Place pieces one after another; begin a new row if a row is full or a line ends."""
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
    """Draw `pieces` in `cells`; `marker` has the colours of cells, `ink` those of letters."""
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
    """Return the colour of letters on `SHARES`: white on its dark lower half, otherwise black."""
    return ["white" if 2 * value < low + high else "black" for value in values]
