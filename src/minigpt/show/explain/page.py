"""Turn steps into one HTML page that needs no network.

The template escapes all texts, so that no token can become a tag. A content security policy allows
only the two scripts of the page, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
import html
import inspect
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from minigpt.show.html import coloured

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from markupsafe import Markup


@dataclass(frozen=True)
class Table:
    """A table of texts. The first cell of each row is its heading."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A figure, how to read it, and its numbers for readers who cannot see it.

    Attributes
    ----------
    figure : from `minigpt.show.figures`; its title becomes the heading of the caption.
    caption : how to read the figure.
    numbers : what the figure shows, or the most important part.
    width : minimum width in pixels; on a narrower screen the figure scrolls.
    name : a heading to use instead of the figure's title.
    """

    figure: go.Figure
    caption: str
    numbers: Table
    width: int = 0
    name: str = ""

    @property
    def title(self) -> str:
        """The heading of the caption, as plain text."""
        return self.name or html.unescape(self.figure.layout.title.text)

    @property
    def data(self) -> str:
        """The figure as JSON, without its title. Plotly escapes `<`, so no text ends the script."""
        import plotly.graph_objects as go

        bare = go.Figure(self.figure)
        bare.update_layout(title={"text": "", "subtitle": {"text": ""}}, height=self.height)
        bare.update_layout(margin={"t": self._top, "b": 40})
        return str(bare.to_json())

    @property
    def height(self) -> int:
        """The height in pixels without the title, reserved until the figure is drawn."""
        return int(self.figure.layout.height or 430) - 110 + self._top

    @property
    def _top(self) -> int:
        """The pixels above the axes, for a legend or for headings of panels."""
        return 70 if self.figure.layout.annotations else 30


@dataclass(frozen=True)
class Step:
    """One step of the computation.

    Attributes
    ----------
    id, title : the anchor of the step in the page, and its heading.
    prose : the paragraphs.
    formula : the lines of the formula.
    shapes : (name, shape in letters, shape in numbers) of arrays.
    tables, pictures : numbers of the explained text.
    pieces : tokens to show as coloured cells.
    code : our functions that compute the step.
    """

    id: str
    title: str
    prose: Sequence[str]
    formula: Sequence[str] = ()
    shapes: Sequence[tuple[str, str, str]] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    pieces: Sequence[str] = ()
    code: Sequence[Callable[..., Any]] = ()


@dataclass(frozen=True)
class Part:
    """Steps under one heading."""

    id: str
    title: str
    steps: Sequence[Step]


def render(title: str, lead: Sequence[str], parts: Sequence[Part]) -> str:
    """Return the whole page, plotly.js included.

    Raises
    ------
    ImportError
        If Plotly or Jinja is not installed; the message says how to install them.
    """
    check_extra()
    from jinja2 import Environment
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    files = resources.files("minigpt.show.explain")
    style, script, template = (
        files.joinpath(name).read_text(encoding="utf-8")
        for name in ("page.css", "page.js", "page.html")
    )
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"source": source, "tokens": coloured, "formula": formula}
    scripts = [get_plotlyjs(), script]
    return environment.from_string(template).render(
        title=title,
        lead=lead,
        parts=parts,
        style=Markup(style),
        scripts=[Markup(text) for text in scripts],  # ours, and hashed below
        policy=policy(scripts),
    )


def check_extra() -> None:
    """Raise an ImportError that says what to install, unless Plotly and Jinja are there."""
    if not (find_spec("plotly") and find_spec("jinja2")):
        raise ImportError("the page needs Plotly and Jinja: pip install 'minigpt-numpy[plot]'")


def policy(scripts: Sequence[str]) -> str:
    """Return a content security policy that allows these scripts and no network request."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def formula(line: str) -> Markup:
    """Return a line as HTML, with subscripts for what follows an underscore: x_t or id_{t+1}."""
    from markupsafe import Markup, escape

    subscripted = re.sub(r"_(?:\{([^}]*)\}|(\w+))", r"<sub>\1\2</sub>", str(escape(line)))
    return Markup(subscripted)


def source(function: Callable[..., Any]) -> dict[str, str]:
    """Return the name, the file and the lines of one of our functions."""
    return {
        "name": function.__qualname__,
        "file": function.__module__.replace(".", "/") + ".py",
        "lines": textwrap.dedent(inspect.getsource(function)).rstrip(),
    }
