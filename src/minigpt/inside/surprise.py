"""How much each token of a text surprised the model."""

from __future__ import annotations

import numpy as np

from minigpt.core.functional import Array, softmax
from minigpt.inside.activations import Trace
from minigpt.support.checked import checked


@checked
def surprise(trace: Trace) -> Array:
    """Return −log p of every token after the first, float64 (T − 1,), in nats.

    Their mean is the loss of the text.
    """
    probabilities = softmax(trace.logits[:-1].astype(float))
    with np.errstate(divide="ignore"):  # −log 0 is ∞
        return -np.log(probabilities[np.arange(len(trace.ids) - 1), trace.ids[1:]])
