"""Rich displays in a notebook: a class says that it has one, `minigpt.show` draws it.

A class that is displayed has `_repr_html_ = as_html`. It need not import what draws it: `show_with`
is called from above.
"""

from collections.abc import Callable
from typing import Any

_render: Callable[[Any], str | None] | None = None


def show_with(render: Callable[[Any], str | None]) -> None:
    """Use `render` to turn objects into HTML."""
    global _render
    _render = render


def as_html(displayed: Any) -> str | None:
    """Return the object as HTML, for a notebook; None for its plain repr."""
    return None if _render is None else _render(displayed)
