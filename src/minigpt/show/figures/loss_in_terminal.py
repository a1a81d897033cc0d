"""Loss curves in a terminal, drawn with Braille characters: each is a block of 2 × 4 dots."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.runs.history import History
from minigpt.show.figures.loss_curves import Curve, curves, shared_floor
from minigpt.support.checked import checked
from minigpt.support.terminal import visible
from minigpt.support.wording import decimal

if TYPE_CHECKING:
    from rich.text import Text

BRAILLE_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bit of each dot in a Braille character, (4 rows, 2 columns); U+2800 has no dots."""
LABEL_COLUMNS = 8
"""Columns for the numbers on the vertical axis."""


@checked
def loss_text(histories: Sequence[History], width: int = 80, height: int = 20) -> Text:
    """Draw the losses of runs as text.

    Parameters
    ----------
    histories : the histories of one or more runs; runs without a step are left out.
    width, height : size of the picture in characters, at least 30 and 5; a legend follows below.

    Returns
    -------
    A rich Text. Lines are smoothed training losses, the letter of a run marks its validation
    losses, and a row of dashes is the lowest possible loss, if all runs share it.
    """
    from rich.text import Text

    drawn, unit = curves(histories)
    canvas = _Canvas(drawn, max(width, 30) - LABEL_COLUMNS, max(height, 5))
    picture = Text(f"{unit}\n", no_wrap=True)
    for row in range(canvas.height):
        value = decimal(canvas.value(row)) if row % 4 == 0 or row == canvas.height - 1 else ""
        label = value if len(value) < LABEL_COLUMNS else f"{canvas.value(row):.0e}"
        picture.append(f"{label:>{LABEL_COLUMNS - 2}} │")
        for character, color in zip(canvas.characters[row], canvas.colors[row], strict=True):
            picture.append(str(character), style=str(color))
        picture.append("\n")
    picture.append(" " * (LABEL_COLUMNS - 1) + "└" + "─" * canvas.width + "\n")
    first, last = (str(step) for step in canvas.steps)
    room = canvas.width - len(first)
    picture.append(f"{'':{LABEL_COLUMNS}}{first}{last + ' steps':>{room}}\n")
    for letter, curve in zip(_letters(len(drawn)), drawn, strict=True):
        picture.append(f"  {letter}  {visible(curve.name)}", style=curve.color)
        own = "" if curve.floor is None or canvas.floor else f", lowest possible {curve.floor:.3f}"
        picture.append(f"  {_last(curve)}{own}\n")
    if canvas.floor is not None:
        picture.append(f"  ╌  lowest possible loss: {canvas.floor:.3f}\n")
    return picture


def _letters(n: int) -> str:
    return (string.ascii_letters * (1 + n // 52))[:n]


def _last(curve: Curve) -> str:
    known = curve.validation[np.isfinite(curve.validation)]
    validation = f", validation {decimal(known[-1], 3)}" if known.size else ""
    unknown = f" ({curve.unknown})" if curve.unknown else ""
    return f"training {decimal(curve.smooth[-1], 3)}{validation}{unknown}"


class _Canvas:
    """The drawn curves: arrays (height, width) of characters and of their colours."""

    def __init__(self, drawn: Sequence[Curve], width: int, height: int) -> None:
        self.width, self.height = width, height
        self.floor = shared_floor(drawn)
        self.steps = min(c.step[0] for c in drawn), max(c.step[-1] for c in drawn)
        values = np.concatenate([np.append(c.smooth, c.validation) for c in drawn])
        values = values if self.floor is None else np.append(values, self.floor)
        known = values[np.isfinite(values)]
        self.low, self.high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        if self.low == self.high:
            self.high += max(1.0, abs(self.high))
        self.characters = np.full((height, width), " ")
        self.colors = np.full((height, width), "", dtype="<U9")
        if self.floor is not None:
            self.characters[self._dot(self.floor) // 4] = "╌"
        for curve in drawn:
            self._line(curve)
        for letter, curve in zip(_letters(len(drawn)), drawn, strict=True):
            self._points(letter, curve)

    def value(self, row: int) -> float:
        """Return the loss at the middle of a row of characters."""
        return float(self.high - (self.high - self.low) * row / (self.height - 1))

    def _dot(self, value: Any) -> Any:
        """Return the row of dots for `value`; the extremes are in the middle of characters."""
        row = (self.high - value) / (self.high - self.low) * (self.height - 1)
        return np.rint(row * 4 + 1.5).astype(int)

    def _column(self, step: Any) -> Any:
        first, last = self.steps
        return (step - first) / max(last - first, 1) * (self.width - 1)

    def _line(self, curve: Curve) -> None:
        known = np.isfinite(curve.smooth)
        if not known.any():
            return
        across = self._column(curve.step[known]) * 2
        places = np.arange(np.ceil(across[0]), np.floor(across[-1]) + 1)
        rows = self._dot(np.interp(places, across, curve.smooth[known]))
        before = rows[0] if rows.size else 0
        for x, y in zip(places.astype(int), rows, strict=True):
            step = 1 if y >= before else -1
            for dot in range(before + step if y != before else y, y + step, step):
                self._set(dot, x, curve.color)
            before = y

    def _set(self, y: int, x: int, color: str) -> None:
        cell = y // 4, x // 2
        code = ord(self.characters[cell])
        bits = code - 0x2800 if 0x2800 <= code <= 0x28FF else 0
        self.characters[cell] = chr(0x2800 + (bits | BRAILLE_DOTS[y % 4][x % 2]))
        self.colors[cell] = color

    def _points(self, letter: str, curve: Curve) -> None:
        for i in np.flatnonzero(np.isfinite(curve.validation)):
            row = self._dot(curve.validation[i]) // 4
            column = round(float(self._column(curve.step[i])))
            self.characters[row, column] = letter
            self.colors[row, column] = curve.color
