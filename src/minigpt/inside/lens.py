"""The logit lens: what the model would answer if it ended after each block."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minigpt.core.checks import check_sizes
from minigpt.core.functional import Array
from minigpt.core.layers import twin
from minigpt.inside.activations import Trace
from minigpt.support.brief import brief
from minigpt.support.checked import checked
from minigpt.training.evaluation import MAX_LOGITS

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT


class Lens(NamedTuple):
    """The likeliest next token at every position, read from the stream after each block.

    Attributes
    ----------
    tokens : int (n_layers + 1, T), ids. Row 0 is read from the embedding; the last row is the
        model's own answer.
    probabilities : float64 (n_layers + 1, T), the probabilities of these tokens.
    """

    tokens: Array
    probabilities: Array

    def __repr__(self) -> str:
        return brief(self)


@checked
def logit_lens(model: miniGPT, trace: Trace, last: int | None = None) -> Lens:
    """Apply the final norm and the head to the residual stream after each block.

    Both were trained for the last block only, so early answers are a hint, not a fact.

    Parameters
    ----------
    model, trace : the model, and its trace of a text.
    last : number of tokens at the end of the text to include; all T if None.

    Source: nostalgebraist, "interpreting GPT: the logit lens", 2020.
    """
    if last is not None:
        check_sizes(last=last)
    first = 0 if last is None else max(0, len(trace.ids) - last)
    streams = [trace.embedding, *(block.output for block in trace.blocks)]
    states = np.concatenate([stream[first:] for stream in streams])  # ((n_layers + 1) · T, C)
    normed, head = twin(model.final_norm).forward(states), twin(model.head)
    tokens, probabilities = [], []
    n = max(1, MAX_LOGITS // model.vocab_size)
    for start in range(0, len(states), n):  # each reads the head's weights once
        logits = head.forward(normed[start : start + n])
        likeliest = logits.argmax(axis=-1)
        logits -= logits.max(axis=-1, keepdims=True)
        tokens.append(likeliest)
        probabilities.append(1 / np.exp(logits, out=logits).sum(axis=-1, dtype=float))
    shape = (len(streams), -1)
    return Lens(np.concatenate(tokens).reshape(shape), np.concatenate(probabilities).reshape(shape))
