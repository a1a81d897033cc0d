"""How figures look: colours, type and lines that can be read by all, in light and in dark.

Backgrounds are transparent and all that is neither data nor hover is a grey of nearly the same
contrast against white and against black, so that one figure fits a page, or a notebook, of either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Colours for up to six things, which colour-blind people can tell apart; the strongest first.

Source: Okabe & Ito, "Color universal design", 2008, without black and yellow, of which one is not
seen on a dark background and the other not on a light one.
"""
GREY = "#777777"
"""For text, axes and what is not data: 4.5 : 1 against white, 4.7 : 1 against black."""
GRID = "rgba(128, 128, 128, 0.25)"
CLEAR = "rgba(0, 0, 0, 0)"


def figure(title: str = "", subtitle: str = "", **panels: Any) -> go.Figure:
    """Return an empty figure in this style.

    Parameters
    ----------
    title : what it shows.
    subtitle : how to read it, in smaller type.
    panels : arguments of `plotly.subplots.make_subplots`, such as rows=2, for several panels.

    Raises
    ------
    ImportError
        If Plotly is not installed; it says how to install it.
    """
    try:
        from plotly.graph_objects import layout
        from plotly.subplots import make_subplots
    except ImportError:
        raise ImportError("figures need Plotly: pip install 'minigpt-numpy[plot]'") from None
    axis = {
        "gridcolor": GRID,
        "linecolor": GREY,
        "zeroline": False,
        "automargin": True,
        "title": {"standoff": 8},
    }
    look = {
        "colorway": PALETTE,
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": GREY},
        "title": {"x": 0, "xref": "paper", "xanchor": "left", "font": {"size": 18}},
        "hoverlabel": {"bgcolor": "#222222", "font": {"color": "#eeeeee"}},
        "modebar": {"bgcolor": CLEAR, "color": GREY, "activecolor": GREY},
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        "margin": {"l": 60, "r": 20, "t": 110, "b": 50},
        "xaxis": axis,
        "yaxis": axis,
    }
    made: go.Figure = make_subplots(**panels)
    return made.update_layout(
        template=layout.Template(layout=look),
        title={"text": title, "subtitle": {"text": subtitle}},
    )
