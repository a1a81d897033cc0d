"""Draw the loss in a notebook while the training loop runs.

>>> from minigpt.show.notebook import watch
>>> for step in watch(train(model, dataset, settings, tokenizer), dataset.floor):
...     pass
"""

from __future__ import annotations

import base64
import importlib.util
import math
import sys
import time
from collections.abc import Generator, Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigpt.training.loop import Step

REDRAW_SECONDS = 0.5
"""Minimum seconds between two drawings."""
MAX_DRAWING_SHARE = 0.05
"""Maximum share of the time for drawing, so that it does not slow training down."""


def watch(steps: Iterable[Step], floor: float | None = None) -> Generator[Step]:
    """Yield each of `steps`, and show how the loss falls.

    In a notebook (Jupyter, VS Code, Colab), a picture is redrawn at most twice a second, and once
    more at the end. This needs Matplotlib. Without it, and outside a notebook, each evaluation is
    a line on stderr.

    Parameters
    ----------
    steps : from `minigpt.train`, or the `steps` of a run.
    floor : the lowest possible loss in bits per character, such as `dataset.floor`.
    """
    shown = _Lines(floor)
    if in_notebook():
        if importlib.util.find_spec("matplotlib") is not None:
            shown = _Picture(floor)
        else:
            print("to see the loss as a picture, install matplotlib", file=sys.stderr)
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
        self.next_draw = -math.inf
        self.handle: Any = None
        for module in ("matplotlib.figure", "matplotlib.backends.backend_agg"):
            import_module(module)  # slow the first time, which must not count as drawing

    def add(self, step: Step) -> None:
        self.steps.append(step)
        if (start := time.monotonic()) >= self.next_draw:
            self._draw()
            end = time.monotonic()
            self.next_draw = end + max(REDRAW_SECONDS, (end - start) / MAX_DRAWING_SHARE)

    def end(self) -> None:
        if self.steps:
            self._draw()

    def _draw(self) -> None:
        from minigpt.show.figures.loss_picture import describe, loss_png

        said = describe(self.steps, self.floor)
        png = base64.b64encode(loss_png(self.steps, self.floor)).decode()
        output = {"image/png": png, "text/plain": said}
        how: Any = {"raw": True, "metadata": {"image/png": {"alt": said}}}
        if self.handle is None:
            shown: Any = import_module("IPython.display")
            self.handle = shown.display(output, display_id=True, **how)
        else:
            self.handle.update(output, **how)
