"""The learning rate over the course of training."""

import math

from minigpt.core.checks import check_amount, check_whole


def warmup_cosine(step: int, steps: int, warmup: int, peak: float, final: float) -> float:
    """Return the learning rate of a step: a straight rise to `peak`, then half a cosine to `final`.

    Parameters
    ----------
    step : from 0 to steps − 1; at `steps` the cosine has come to its end.
    steps : length of the whole training.
    warmup : length of the rise, in steps. Steps start small while Adam's means are still rough.
    peak, final : the highest and the last learning rate.

    Source: Loshchilov & Hutter, "SGDR", 2017, section 3, without restarts.
    """
    check_whole(step=step, steps=steps, warmup=warmup)
    check_amount(peak=peak, final=final)
    if not 0 <= step <= steps or warmup < 0:
        raise ValueError(
            f"step must be from 0 to steps, and warmup at least 0, got step {step} of {steps} "
            f"and warmup {warmup}"
        )
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(1, steps - warmup)
    return final + (peak - final) * 0.5 * (1 + math.cos(math.pi * progress))
