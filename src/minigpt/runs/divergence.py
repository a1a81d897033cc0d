"""When training goes astray: how that is seen, and how often it may start over."""

from __future__ import annotations

import math

from minigpt.support.wording import decimal
from minigpt.training.loop import Step, TrainingDiverged

MAX_SETBACKS = 3
"""So often a run goes back to its last checkpoint; then it stops."""

STEPS_AVERAGED = 20
"""About how many steps the usual loss looks back on."""


def usual_loss(usual: float | None, step: Step, spike: float | None, vocab_size: int) -> float:
    """Follow the loss by a running mean, and refuse one that is far above it.

    Parameters
    ----------
    usual : the mean before this step; None for the first.
    step : the newest step.
    spike : how far above the mean is too far, in units of ln(vocab_size), which is the loss of a
        model that knows nothing; None for no limit.
    vocab_size : tokens in the vocabulary.

    Returns
    -------
    The mean after this step.

    Raises
    ------
    TrainingDiverged
        If the loss is too far above the mean.
    """
    if usual is None:
        return step.loss
    if spike is not None and step.loss > usual + spike * math.log(vocab_size):
        raise TrainingDiverged(
            f"step {step.number}: the loss is {decimal(step.loss)}, far above the {decimal(usual)} "
            "it usually is. Try a lower learning rate or a longer warm-up; or, if the text is just "
            f"as uneven as that, a higher spike (now {spike:g}) or none"
        )
    return usual + (step.loss - usual) / STEPS_AVERAGED
