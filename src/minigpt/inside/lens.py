"""The logit lens: what the model would answer if it ended after each block."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minigpt.core.checks import check_sizes
from minigpt.core.functional import Array
from minigpt.inside.activations import Trace
from minigpt.inside.tap import shadow
from minigpt.support.brief import brief
from minigpt.support.checked import checked
from minigpt.training.evaluation import MAX_LOGITS

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT


class Lens(NamedTuple):
    """The likeliest next token at every position, by the stream after each block.

    Attributes
    ----------
    tokens : int (n_layers + 1, T), their ids; row 0 is the embedding's, the last the model's own.
    probabilities : float64 (n_layers + 1, T), how likely they are held to be there.
    """

    tokens: Array
    probabilities: Array

    def __repr__(self) -> str:
        return brief(self)


@checked
def logit_lens(model: miniGPT, trace: Trace, last: int | None = None) -> Lens:
    """Put the final norm and the head on the residual stream after each block.

    Parameters
    ----------
    model, trace : the model, and its trace of a text.
    last : how many tokens at the end of the text to look at; all T if None.

    They were trained for the last one only, so that early answers are a hint, not a fact.
    Source: nostalgebraist, "interpreting GPT: the logit lens", 2020.
    """
    if last is not None:
        check_sizes(last=last)
    first = 0 if last is None else max(0, len(trace.ids) - last)
    streams = [trace.embedding, *(block.output for block in trace.blocks)]
    states = np.concatenate([stream[first:] for stream in streams])  # ((n_layers + 1) · T, C)
    normed, head = shadow(model.final_norm).forward(states), shadow(model.head)
    tokens, probabilities = [], []
    n = max(1, MAX_LOGITS // model.vocab_size)
    for start in range(0, len(states), n):  # the head's weights are read once for many rows
        logits = head.forward(normed[start : start + n])
        likeliest = logits.argmax(axis=-1)
        logits -= logits.max(axis=-1, keepdims=True)
        tokens.append(likeliest)
        probabilities.append(1 / np.exp(logits, out=logits).sum(axis=-1, dtype=float))
    shape = (len(streams), -1)
    return Lens(np.concatenate(tokens).reshape(shape), np.concatenate(probabilities).reshape(shape))
