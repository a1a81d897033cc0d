"""The loss so far as a PNG by Matplotlib: unlike a Plotly figure, a cell can replace it quickly."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minigpt.runs.metrics import moving_mean
from minigpt.show.display import losses
from minigpt.show.figures.loss_curves import BITS, NATS, thin
from minigpt.show.figures.style import GREY, PALETTE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minigpt.training.loop import Step


def loss_png(steps: Sequence[Step], floor: float | None = None) -> bytes:
    """Return `loss_picture` as the bytes of a PNG, 760 × 320 pixels, without a background."""
    content = io.BytesIO()
    loss_picture(steps, floor).savefig(content, format="png", transparent=True)
    return content.getvalue()


def loss_picture(steps: Sequence[Step], floor: float | None = None) -> Figure:
    """Draw the loss of at least one step.

    Parameters
    ----------
    steps : all steps so far.
    floor : the lowest possible loss in bits per character, if it is known.

    Returns
    -------
    A Matplotlib figure. The faint line is the loss of each step, the strong line is its moving
    mean, dots are validation losses, and the dashed line is the floor. The unit is bits per
    character if there is an evaluation, otherwise nats per token.
    """
    from matplotlib.figure import Figure  # not pyplot, which would keep the figure and show it

    number = np.array([step.number for step in steps])
    loss = np.array([step.loss for step in steps])
    measured = [step for step in steps if step.val_loss and step.val_bits]
    if measured:
        last = measured[-1]
        spelling = last.spelling_bits or 0.0
        loss = loss * (((last.val_bits or 0) - spelling) / (last.val_loss or 1)) + spelling
    picture = Figure(figsize=(7.6, 3.2), layout="constrained")
    axes = picture.add_subplot()
    smooth = moving_mean(loss, 1 + len(loss) // 50)
    axes.plot(*thin(number, loss), color=PALETTE[0], linewidth=1, alpha=0.35)
    axes.plot(*thin(number, smooth), color=PALETTE[0], linewidth=2.5)
    if measured:
        bits = [step.val_bits or 0 for step in measured]
        axes.plot([step.number for step in measured], bits, "o", color=PALETTE[1])
        if floor is not None:
            axes.axhline(floor, color=GREY, linewidth=2, linestyle="--", label=f"floor {floor:.3f}")
            axes.legend(loc="upper right", frameon=False, labelcolor=GREY)
    axes.set_title(describe(steps, floor), loc="left", fontsize=10, color=GREY)
    axes.set_xlabel("step", color=GREY)
    axes.locator_params("x", integer=True)
    axes.set_ylabel(BITS if measured else NATS, color=GREY)
    axes.tick_params(colors=GREY)
    axes.spines[:].set_visible(False)
    axes.grid(color=GREY, alpha=0.25)
    return picture


def describe(steps: Sequence[Step], floor: float | None = None) -> str:
    """Return the last step and its losses in one line, the title of the picture."""
    step = steps[-1]
    measured = [step for step in steps if step.val_loss and step.val_bits]
    said = losses(step, floor, measured[-1] if measured else None)
    return f"step {step.number:,}: {said}, {step.tokens_per_second:,.0f} tokens/s"
