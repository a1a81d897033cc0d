"""Event files for TensorBoard: the numbers and samples of each `Step`."""

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
"""Field of a `Step` → its tag in TensorBoard; the part before the slash is the group of charts."""


def find_writer() -> Any:
    """Return tensorboardX's SummaryWriter; without it, raise ImportError with instructions."""
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
    folder : the run folder, in which the file events.out.tfevents.… is created.
    start : number of steps done before. TensorBoard hides later steps of earlier files: the run
        has returned to a checkpoint before them.

    Raises
    ------
    ImportError
        If tensorboardX is not installed; the message says how to install it.

    Examples
    --------
    >>> with EventFile("runs/demo") as events:
    ...     for step in run.steps():
    ...         events.show(step)
    """

    def __init__(self, folder: str | Path, start: int = 0) -> None:
        # A random name: a stranger's folder cannot already have a link of this name.
        self._writer = find_writer()(
            str(folder), purge_step=start + 1, filename_suffix=f".{secrets.token_hex(8)}"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()

    def show(self, step: Step) -> None:
        """Write the numbers of a step, and its sample if it has one."""
        for name, tag in TAGS.items():
            value = getattr(step, name)
            if value is not None:
                self._writer.add_scalar(tag, value, step.number)
        if step.sample is not None:
            # TensorBoard renders Markdown; lines indented by four spaces are shown as they are.
            text = "    " + step.sample.replace("\n", "\n    ")
            self._writer.add_text("sample", text, step.number)
        if step.val_loss is not None:
            self._writer.flush()
