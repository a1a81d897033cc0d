"""The learning rate over the course of training."""

import math

from minigpt.core.checks import check_amount, check_whole


def warmup_cosine(step: int, steps: int, warmup: int, peak: float, final: float) -> float:
    """Return the learning rate of a step: a linear rise to `peak`, then half a cosine to `final`.

    Parameters
    ----------
    step : number of the step, from 0 to steps − 1; at `steps` the rate has reached `final`.
    steps : number of steps of the whole training.
    warmup : number of steps of the rise. Steps start small while Adam's means are still rough.
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
