"""Rich displays in a notebook: a class declares that it has one, and `minigpt.show` draws it.

A class with a display has `_repr_html_ = as_html`. It does not import the code that draws it:
`minigpt.show` registers that code with `set_renderer`.
"""

from collections.abc import Callable
from typing import Any

_render: Callable[[Any], str | None] | None = None


def set_renderer(render: Callable[[Any], str | None]) -> None:
    """Register `render`, which turns objects into HTML."""
    global _render
    _render = render


def as_html(displayed: Any) -> str | None:
    """Return an object as HTML for a notebook, or None to show its plain repr."""
    return None if _render is None else _render(displayed)
