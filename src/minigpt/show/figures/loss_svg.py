"""The loss so far as a small picture in SVG: no JavaScript, so it can be drawn anew at any time."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from minigpt.runs.metrics import Floats, moving_mean
from minigpt.show.display import losses
from minigpt.show.figures.loss_curves import BITS, NATS, thin
from minigpt.show.figures.style import GREY, GRID, PALETTE

if TYPE_CHECKING:
    from minigpt.training.loop import Step

WIDTH, HEIGHT = 760, 320
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 34, 40
SVG_POINTS = 800


def loss_svg(steps: Sequence[Step], floor: float | None = None) -> str:
    """Draw the loss of at least one step as the text of an SVG.

    Parameters
    ----------
    steps : those so far.
    floor : the lowest possible loss in bits per character, where known.

    Returns
    -------
    Faint is the loss of each step, strong its moving mean, dots are validation, and dashed is
    what is possible; in bits per character as soon as there is an evaluation, else in nats per
    token.
    """
    number = np.array([step.number for step in steps])
    loss = np.array([step.loss for step in steps])
    measured = [step for step in steps if step.val_loss and step.val_bits]
    unit = NATS
    if measured:
        last = measured[-1]
        spelling = last.spelling_bits or 0.0
        unit, scale = BITS, ((last.val_bits or 0) - spelling) / (last.val_loss or 1)
        loss = loss * scale + spelling
    dots = [(step.number, step.val_bits or 0) for step in measured]
    shown_floor = floor if measured else None
    heights = [*loss, *(y for _, y in dots)]
    heights += [] if shown_floor is None else [shown_floor]
    axes = _Axes(number[0], number[-1], min(heights), max(heights))
    smooth = moving_mean(loss, 1 + len(loss) // 50)
    parts = [axes.grid(unit), axes.line(number, loss, "1", 0.35)]
    parts.append(axes.line(number, smooth, "2.5", 1))
    parts += [
        f'<circle cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="4" fill="{PALETTE[1]}"/>'
        for x, y in dots
    ]
    if shown_floor is not None:
        parts.append(axes.level(shown_floor))
    said = html.escape(_say(steps[-1], measured[-1] if measured else None, floor))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" role="img" aria-label="{said}" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{GREY}">'
        f'<text x="{LEFT}" y="20" font-size="14">{said}</text>{"".join(parts)}</svg>'
    )


def _say(step: Step, measured: Step | None, floor: float | None) -> str:
    said = losses(step, floor, measured)
    return f"step {step.number:,}: {said}, {step.tokens_per_second:,.0f} tokens/s"


class _Axes:
    """Where numbers stand in the picture."""

    def __init__(self, first: int, last: int, low: float, high: float) -> None:
        self.first, self.last = first, max(last, first + 1)
        room = 0.05 * (high - low) or 0.5
        self.low, self.high = low - 2 * room, high + room  # under the floor stands its name

    def x(self, step: float) -> float:
        """Return the place of a step, from the left."""
        return LEFT + (step - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return the place of a loss, from above."""
        return TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    def line(self, number: NDArray[np.int64], values: Floats, width: str, opacity: float) -> str:
        """Draw a curve."""
        points = " ".join(
            f"{self.x(x):.1f},{self.y(y):.1f}"
            for x, y in zip(*thin(number, values, SVG_POINTS), strict=True)
            if math.isfinite(y)
        )
        return (
            f'<polyline points="{points}" fill="none" stroke="{PALETTE[0]}" '
            f'stroke-width="{width}" stroke-linejoin="round" opacity="{opacity}"/>'
        )

    def level(self, value: float) -> str:
        """Draw the lowest possible loss."""
        y = self.y(value)
        return (
            f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{GREY}" stroke-width="2" '
            f'stroke-dasharray="8 5"/><text x="{WIDTH - RIGHT}" y="{y + 16:.1f}" '
            f'text-anchor="end">floor {value:.3f}</text>'
        )

    def grid(self, unit: str) -> str:
        """Draw lines and numbers, and name the axes."""
        parts = []
        for value in round_numbers(self.low, self.high, 7):
            y = self.y(value)
            parts.append(
                f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>'
                f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
            )
        for value in round_numbers(self.first, self.last, 8):
            if value == int(value):
                parts.append(
                    f'<text x="{self.x(value):.1f}" y="{HEIGHT - BOTTOM + 16}" '
                    f'text-anchor="middle">{value:,.0f}</text>'
                )
        middle = TOP + (HEIGHT - TOP - BOTTOM) / 2
        parts.append(
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">step'
            f'</text><text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">'
            f"{unit}</text>"
        )
        return "".join(parts)


def round_numbers(low: float, high: float, most: int) -> list[float]:
    """Choose at most about `most` numbers from `low` to `high`, multiples of 1, 2 or 5 · 10ⁿ."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    spacing = next(m * power for m in (1, 2, 5, 10) if (high - low) / (m * power) <= most)
    first = math.ceil(low / spacing)
    return [round(i * spacing, 12) for i in range(first, math.floor(high / spacing) + 1)]
