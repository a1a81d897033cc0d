"""Training for TensorBoard: each `Step` as events in a file that it shows."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from minigpt.training.loop import Step

TAGS = {
    "loss": "loss/training",
    "val_loss": "loss/validation",
    "loss_bits": "bits_per_character/training",
    "val_bits": "bits_per_character/validation",
    "learning_rate": "step/learning_rate",
    "gradient_norm": "step/gradient_norm",
    "tokens_per_second": "step/tokens_per_second",
}
"""What TensorBoard calls the numbers of a `Step`; before the slash, the group it shows them in."""


def find_writer() -> Any:
    """Return tensorboardX's SummaryWriter, or raise an ImportError that says how to install it."""
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        raise ImportError(
            "event files need tensorboardX: pip install 'minigpt-numpy[tensorboard]'"
        ) from None
    return SummaryWriter


class EventFile:
    """Writes each `Step` for TensorBoard. Use it in a `with` block.

    Parameters
    ----------
    folder : where the file, events.out.tfevents.…, is made: the run folder.
    start : how many steps were done before. What an earlier file has of later ones TensorBoard
        then leaves out: the run went back to where it was saved.

    Raises
    ------
    ImportError
        If tensorboardX is not installed; it says how to install it.

    Examples
    --------
    >>> with EventFile("runs/demo") as events:
    ...     for step in run.steps():
    ...         events.show(step)
    """

    def __init__(self, folder: str | Path, start: int = 0) -> None:
        # A name that nobody can foresee: in a stranger's folder it cannot be a link already.
        self._writer = find_writer()(
            str(folder), purge_step=start + 1, filename_suffix=f".{secrets.token_hex(8)}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()

    def show(self, step: Step) -> None:
        """Write the numbers of a step, and its sample where it has one."""
        for name, tag in TAGS.items():
            value = getattr(step, name)
            if value is not None:
                self._writer.add_scalar(tag, value, step.number)
        if step.sample is not None:
            # TensorBoard reads texts as Markdown, which leaves lines set in by four spaces alone.
            text = "    " + step.sample.replace("\n", "\n    ")
            self._writer.add_text("sample", text, step.number)
        if step.val_loss is not None:
            self._writer.flush()
