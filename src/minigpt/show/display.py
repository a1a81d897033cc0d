"""Show a training run while it runs: a live display in a terminal, plain lines in a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from minigpt.support.processes import can_start_threads
from minigpt.support.terminal import Clock, console, visible
from minigpt.support.wording import counted, decimal, spelling_note

if TYPE_CHECKING:
    from minigpt.training.loop import Step


class TrainingDisplay:
    """Shows each `Step` on stderr. Use it in a `with` block.

    Parameters
    ----------
    steps : number of steps of the whole training.
    floor : lowest possible loss in bits per character, if known.
    """

    def __init__(self, steps: int, floor: float | None = None) -> None:
        self.steps = steps
        self.floor = floor
        self.evaluated: Step | None = None
        self.clock = Clock()
        self.console = console(stderr=True)
        self.progress = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TimeRemainingColumn(),
            console=self.console,
            expand=True,
        )
        self.task = self.progress.add_task("", total=steps)
        self.live = Live(
            console=self.console, refresh_per_second=8, auto_refresh=can_start_threads()
        )

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def show(self, step: Step) -> None:
        """Show a step, with its evaluation and its sample if it has them."""
        pace = f"gradient {decimal(step.gradient_norm)}, {step.tokens_per_second:,.0f} tokens/s"
        line = f"step {step.number:>{len(str(self.steps))}}/{self.steps}, "
        line += losses(step, self.floor)
        if step.val_loss is not None:
            if not self.console.is_terminal:
                both = f"{decimal(step.loss, 3)} and {decimal(step.val_loss, 3)} nats/token"
                line += f", {both}, {pace}"
            self.console.print(Text(line), soft_wrap=True)
            self.evaluated = step
            self.clock.restart()
        elif not self.console.is_terminal and self.clock.is_due():
            self.console.print(Text(f"{line}, {pace}"), soft_wrap=True)
        if step.sample is not None:
            self.show_sample(step.sample, f"a sample after {counted(step.number, 'step')}")
        self.progress.update(self.task, completed=step.number)
        status = Text(f"{losses(step, self.floor, self.evaluated)}\n{pace}", style="dim")
        self.live.update(Group(self.progress, status))

    def show_sample(self, text: str, title: str) -> None:
        """Print a text below a heading, without breaking its lines."""
        self.console.print(Text(f"──── {title} ────", style="dim"))
        self.console.print(Text(visible(text.strip("\n"))), soft_wrap=True)


def losses(step: Step, floor: float | None, evaluated: Step | None = None) -> str:
    """Return the training loss and the latest validation loss as text, in one unit.

    Parameters
    ----------
    step : the step.
    floor : lowest possible loss in bits per character, if known.
    evaluated : the latest step with an evaluation, in case `step` has none.
    """
    evaluated = evaluated if step.val_bits is None else step
    if step.loss_bits is None:
        return f"training {decimal(step.loss, 3)} nats/token"
    training = f"training {decimal(step.loss_bits, 3)}"
    if evaluated is None or evaluated.val_bits is None:
        return f"{training} bits/char"
    bits = against_floor(evaluated.val_bits, floor, evaluated.spelling_bits)
    return f"{training}, validation {bits}"


def against_floor(
    bits: float, floor: float | None, spelling: float | None = None, unit: str = " bits/char"
) -> str:
    """Return a loss in bits per character as text, compared with the lowest possible loss.

    Parameters
    ----------
    bits : the loss.
    floor : lowest possible loss, if known.
    spelling : the part of the loss that spells unknown words, if any.
    unit : text after the number.
    """
    notes = []
    if floor is not None:
        over = f"{bits / floor - 1:+.0%}" if bits < 10 * floor else f"{bits / floor:.3g} times it"
        notes.append(f"floor {floor:.3f}, {over}")
    if spelling:
        notes.append(spelling_note(spelling))
    return f"{decimal(bits, 3)}{unit}" + (f" ({'; '.join(notes)})" if notes else "")
