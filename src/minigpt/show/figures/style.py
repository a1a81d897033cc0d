"""The style of figures: colours, letters and lines that everybody can read, on light and on dark.

Backgrounds are transparent. Everything except data and hover texts is a grey with nearly the same
contrast on white and on black, so one figure suits light and dark pages and notebooks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Six colours that colour-blind people can tell apart, the strongest first.

Source: Okabe & Ito, "Color universal design", 2008, without black, which is invisible on a dark
background, and yellow, which is invisible on a light one.
"""
GREY = "#777777"
"""Colour of text, axes and all that is not data: contrast 4.5 : 1 on white, 4.7 : 1 on black."""
GRID = "rgba(128, 128, 128, 0.25)"
CLEAR = "rgba(0, 0, 0, 0)"


def figure(title: str = "", subtitle: str = "", **panels: Any) -> go.Figure:
    """Return an empty figure in this style.

    Parameters
    ----------
    title : what the figure shows.
    subtitle : how to read it, in smaller letters.
    panels : arguments of `plotly.subplots.make_subplots`, such as rows=2, for several panels.

    Raises
    ------
    ImportError
        If Plotly is not installed; the message says how to install it.
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
