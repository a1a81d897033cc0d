"""In a notebook: the loss as a picture that grows while the loop runs.

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

EVERY = 0.5
"""Seconds between two pictures at least: drawing shall not take the time that training needs."""


def watch(steps: Iterable[Step], floor: float | None = None) -> Generator[Step]:
    """Yield `steps` as they come, and show how the loss falls.

    In a notebook (Jupyter, VS Code, Colab) it is one picture that is drawn anew, at most twice a
    second, and once more in the end. Elsewhere each evaluation is a line on stderr.

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
    finally:  # also when the loop is left early
        shown.end()


def in_notebook() -> bool:
    """Return whether what is displayed can be more than text."""
    ipython: Any = sys.modules.get("IPython")  # else nobody has started it
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")  # a terminal has none


class _Lines:
    """Says each evaluation on stderr."""

    def __init__(self, floor: float | None) -> None:
        self.floor = floor

    def add(self, step: Step) -> None:
        if step.val_bits is not None:
            from minigpt.show.display import losses

            print(f"step {step.number}: {losses(step, self.floor)}", file=sys.stderr)

    def end(self) -> None:
        pass


class _Picture(_Lines):
    """Keeps one picture in the output of the cell up to date."""

    def __init__(self, floor: float | None) -> None:
        super().__init__(floor)
        self.steps: list[Step] = []
        self.drawn = -math.inf
        self.handle: Any = None

    def add(self, step: Step) -> None:
        self.steps.append(step)
        if time.monotonic() - self.drawn >= EVERY:
            self._draw()

    def end(self) -> None:
        if self.steps:
            self._draw()

    def _draw(self) -> None:
        from minigpt.show.figures.loss_svg import loss_svg

        shown: Any = import_module("IPython.display")
        # As HTML: it is shown as it is everywhere, and nothing has to be loaded for it.
        picture = shown.HTML(loss_svg(self.steps, self.floor))
        if self.handle is None:
            self.handle = shown.display(picture, display_id=True)
        else:
            self.handle.update(picture)
        self.drawn = time.monotonic()
