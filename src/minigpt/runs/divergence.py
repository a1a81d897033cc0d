"""How diverging training is detected, and how often a run may return to a checkpoint."""

from __future__ import annotations

import math

from minigpt.support.wording import decimal
from minigpt.training.loop import Step, TrainingDiverged

MAX_SETBACKS = 3
"""Number of times that a run returns to a checkpoint before it stops."""

STEPS_AVERAGED = 20
"""Number of steps that the running mean of the loss averages over, about."""


def usual_loss(usual: float | None, step: Step, spike: float | None, vocab_size: int) -> float:
    """Update the running mean of the loss; raise if the new loss is far above it.

    Parameters
    ----------
    usual : the mean before this step; None at the first step.
    step : the newest step.
    spike : the largest distance above the mean, in units of ln(vocab_size), which is the loss of
        a model that knows nothing; None for no limit.
    vocab_size : number of tokens in the vocabulary.

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
            "of the steps before. Try a lower learning rate or a longer warm-up; or, if the text "
            f"itself is so uneven, a higher spike (now {spike:g}) or none"
        )
    return usual + (step.loss - usual) / STEPS_AVERAGED
