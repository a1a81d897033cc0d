"""The logit lens: what the model would answer if it ended after each block."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minigpt.functional import Array, softmax
from minigpt.tracing import Trace
from minigpt.tracing.record import shadow

if TYPE_CHECKING:
    from minigpt.model import miniGPT


class Lens(NamedTuple):
    """The likeliest next token at every position, by the stream after each block.

    Attributes
    ----------
    tokens : int (n_layers + 1, T), their ids; row 0 is the embedding's, the last the model's own.
    probabilities : float64 (n_layers + 1, T), how likely they are held to be there.
    """

    tokens: Array
    probabilities: Array


def logit_lens(model: miniGPT, trace: Trace, last: int | None = None) -> Lens:
    """Put the final norm and the head on the residual stream after each block.

    Parameters
    ----------
    model, trace : the model, and its trace of a text.
    last : how many tokens at the end of the text to look at; all T if None.

    They were trained for the last one only, so that early answers are a hint, not a fact.
    Source: nostalgebraist, "interpreting GPT: the logit lens", 2020.
    """
    norm, head = shadow(model.final_norm), shadow(model.head)
    tokens, probabilities = [], []
    places = slice(None if last is None else max(0, len(trace.ids) - last), None)
    for stream in (trace.embedding, *(block.output for block in trace.blocks)):
        shares = softmax(head.forward(norm.forward(stream[places])).astype(float))  # (T, V)
        tokens.append(shares.argmax(axis=-1))
        probabilities.append(shares.max(axis=-1))
    return Lens(np.stack(tokens), np.stack(probabilities))
