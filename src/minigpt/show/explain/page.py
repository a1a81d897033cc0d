"""From steps to one HTML page that needs no network.

All texts are plain: the template escapes each, so that no token can become a tag. A content
security policy allows the two scripts of the page by their hashes and nothing else.
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
    """A few numbers. The first cell of each row is its heading."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A figure, how to read it, and its numbers for who cannot see it.

    Attributes
    ----------
    figure : from `minigpt.show.figures`; its title becomes the heading of the caption.
    caption : how to read it.
    numbers : what it shows, or the most of it.
    width : the fewest pixels it needs; on a narrow screen it scrolls by itself.
    name : a heading in place of the figure's title.
    """

    figure: go.Figure
    caption: str
    numbers: Table
    width: int = 0
    name: str = ""

    @property
    def title(self) -> str:
        """What it shows, as plain text."""
        return self.name or html.unescape(self.figure.layout.title.text)

    @property
    def data(self) -> str:
        """The figure as JSON, without its title; Plotly writes `<` as a number, so none ends it."""
        import plotly.graph_objects as go

        bare = go.Figure(self.figure)
        bare.update_layout(title={"text": "", "subtitle": {"text": ""}}, height=self.height)
        bare.update_layout(margin={"t": self._top, "b": 40})
        return str(bare.to_json())

    @property
    def height(self) -> int:
        """The pixels it takes without its title, kept free until it is drawn."""
        return int(self.figure.layout.height or 430) - 110 + self._top

    @property
    def _top(self) -> int:
        """The pixels above it for a legend, or for headings of panels."""
        return 70 if self.figure.layout.annotations else 30


@dataclass(frozen=True)
class Step:
    """One step of the computation.

    Attributes
    ----------
    id, title : its address in the page, and its name.
    prose : paragraphs.
    formula : lines of it.
    shapes : (what, its shape in letters, its shape in numbers).
    tables, pictures : of this text.
    pieces : tokens to be shown as coloured cells.
    code : functions of ours that do it.
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
    """Some steps under one heading."""

    id: str
    title: str
    steps: Sequence[Step]


def render(title: str, lead: Sequence[str], parts: Sequence[Part]) -> str:
    """Return the whole page, plotly.js included.

    Raises
    ------
    ImportError
        If Plotly or Jinja is not installed; it says how to install them.
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
    """Raise an ImportError that says what to do unless Plotly and Jinja are installed."""
    if not (find_spec("plotly") and find_spec("jinja2")):
        raise ImportError("the page needs Plotly and Jinja: pip install 'minigpt-numpy[plot]'")


def policy(scripts: Sequence[str]) -> str:
    """Return the content security policy of a page with these scripts: nothing is ever fetched."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def formula(line: str) -> Markup:
    """Lower what stands after a low line: x_t, or id_{t+1}."""
    from markupsafe import Markup, escape

    lowered = re.sub(r"_(?:\{([^}]*)\}|(\w+))", r"<sub>\1\2</sub>", str(escape(line)))
    return Markup(lowered)


def source(function: Callable[..., Any]) -> dict[str, str]:
    """Return the name, the file and the lines of one of our functions."""
    return {
        "name": function.__qualname__,
        "file": function.__module__.replace(".", "/") + ".py",
        "lines": textwrap.dedent(inspect.getsource(function)).rstrip(),
    }
