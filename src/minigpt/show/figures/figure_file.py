"""Write a figure to a file: a web page that works offline, or a PNG."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

from minigpt.support.files import replacing, write_text

if TYPE_CHECKING:
    import plotly.graph_objects as go

FIGURE_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --text: #333; }}
@media (prefers-color-scheme: dark) {{ :root {{ --text: #ccc; }} }}
html, body {{ height: 100%; margin: 0; background: Canvas; }}
.js-plotly-plot text:not(.hoverlayer *) {{ fill: var(--text) !important; }}
</style>
</head>
<body>
{figure}
</body>
</html>
"""


def save_figure(figure: go.Figure, path: Path, title: str = "miniGPT") -> None:
    """Write `figure` to `path`: a self-contained page if it ends in .html, a picture if in .png.

    Raises
    ------
    ValueError
        If `path` has another ending.
    ImportError, RuntimeError
        If kaleido or a browser, which make a PNG, is missing; the message says how to install it.
    """
    check_ending(path)
    if path.suffix.lower() == ".html":
        write_text(path, page(figure, title))
    else:
        content = png(figure)
        with replacing(path) as temporary:
            temporary.write_bytes(content)


def check_ending(path: Path) -> None:
    """Raise unless `path` ends in .html or .png."""
    if path.suffix.lower() not in (".html", ".png"):
        raise ValueError(f"a figure must be an .html or .png file, got {str(path)!r}")


def page(figure: go.Figure, title: str) -> str:
    """Return an HTML page with `figure`, which fills the window, in its light or dark mode."""
    config = {"displaylogo": False, "responsive": True}
    inside = figure.to_html(
        full_html=False, include_plotlyjs=True, config=config, default_height="100vh"
    )
    return FIGURE_PAGE.format(title=html.escape(title), figure=inside)


def png(figure: go.Figure, width: int = 1000, height: int = 700, scale: int = 2) -> bytes:
    """Return `figure` on white as a PNG of width · scale by height · scale pixels."""
    try:
        import kaleido
        from kaleido import errors
    except ImportError:
        raise ImportError("a PNG needs kaleido: pip install 'minigpt-numpy[plot]'") from None
    from plotly.graph_objects import Figure

    on_white = Figure(figure).update_layout(paper_bgcolor="white", font_color="#333333")
    options = {"format": "png", "width": width, "height": height, "scale": scale}
    try:
        # With MathJax, the page that draws would load it from the network.
        return bytes(
            kaleido.calc_fig_sync(on_white.to_dict(), opts=options, kopts={"mathjax": False})
        )
    except (
        errors.ChromeNotFoundError,
        errors.BrowserFailedError,
        errors.BrowserClosedError,
        errors.KaleidoError,
    ) as error:
        raise RuntimeError(
            "a PNG is drawn by a browser, but no working browser was found: install Chrome or "
            "Chromium (Debian: apt install chromium), set BROWSER_PATH, or write .html instead"
        ) from error
