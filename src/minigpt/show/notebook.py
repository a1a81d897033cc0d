"""Draw the loss in a notebook while the training loop runs.

>>> from minigpt.show.notebook import watch
>>> for step in watch(train(model, dataset, settings, tokenizer), dataset.floor):
...     pass
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Generator, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigpt.training.loop import Step

REDRAW_SECONDS = 0.5
"""Minimum seconds between two drawings, so that drawing does not slow training down."""


def watch(steps: Iterable[Step], floor: float | None = None) -> Generator[Step]:
    """Yield `steps` as they come, and show how the loss falls.

    In a notebook (Jupyter, VS Code, Colab), a picture is redrawn at most twice a second, and once
    more at the end. Elsewhere, each evaluation is a line on stderr.

    Parameters
    ----------
    steps : from `minigpt.train`, or the `steps` of a run.
    floor : the lowest possible loss in bits per character, such as `dataset.floor`.
    """
    shown = _Picture(floor) if in_notebook() else _Lines(floor)
    try:
        for step in steps:
            shown.add(step)
            yield step
    finally:  # also if the loop ends early
        shown.end()


def in_notebook() -> bool:
    """Return whether this runs in a notebook, which can display more than text."""
    ipython: Any = sys.modules.get("IPython")  # a notebook has imported it
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")  # a terminal has none


class _Lines:
    """Prints each evaluation on stderr."""

    def __init__(self, floor: float | None) -> None:
        self.floor = floor

    def add(self, step: Step) -> None:
        if step.val_bits is not None:
            from minigpt.show.display import losses

            print(f"step {step.number}: {losses(step, self.floor)}", file=sys.stderr)

    def end(self) -> None:
        pass


class _Picture(_Lines):
    """Redraws one picture in the output of the cell."""

    def __init__(self, floor: float | None) -> None:
        super().__init__(floor)
        self.steps: list[Step] = []
        self.drawn = -math.inf
        self.handle: Any = None

    def add(self, step: Step) -> None:
        self.steps.append(step)
        if time.monotonic() - self.drawn >= REDRAW_SECONDS:
            self._draw()

    def end(self) -> None:
        if self.steps:
            self._draw()

    def _draw(self) -> None:
        from minigpt.show.figures.loss_svg import loss_svg

        shown: Any = import_module("IPython.display")
        # SVG in HTML: every notebook shows it, and it loads nothing.
        picture = shown.HTML(loss_svg(self.steps, self.floor))
        if self.handle is None:
            self.handle = shown.display(picture, display_id=True)
        else:
            self.handle.update(picture)
        self.drawn = time.monotonic()
