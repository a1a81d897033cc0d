"""Split a logit into the contributions of each head, feed-forward layer and embedding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.checks import check_position
from minigpt.core.checks_arrays import check_ids
from minigpt.core.functional import Array
from minigpt.inside.activations import Trace
from minigpt.support.brief import brief
from minigpt.support.checked import checked
from minigpt.support.displayed import as_html

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT


@dataclass(frozen=True)
class Attribution:
    """The parts of a logit; their sum is the logit.

    Attributes
    ----------
    token, position : the id of the logit, and the position after which it is predicted.
    against : the id whose logit is subtracted, or None.
    logit : the logit of `token`, minus the logit of `against` if there is one.
    embeddings : (2,), the parts of the token embedding and of the position embedding.
    heads : (n_layers, H), the part of each head.
    biases : (n_layers,), the part of each attention layer's output bias.
    feed_forward : (n_layers,), the part of each feed-forward layer.
    shift : the part of the final norm's shift.
    """

    token: int
    position: int
    against: int | None
    logit: float
    embeddings: Array
    heads: Array
    biases: Array
    feed_forward: Array
    shift: float

    __repr__ = brief

    _repr_html_ = as_html

    def parts(self) -> dict[str, float]:
        """Return name → part, in the order of the computation."""
        parts = dict(zip(("token embedding", "position embedding"), self.embeddings, strict=True))
        for i, heads in enumerate(self.heads):
            parts |= {f"head {i}.{h}": part for h, part in enumerate(heads)}
            parts[f"attention {i}, bias"] = self.biases[i]
            parts[f"feed-forward {i}"] = self.feed_forward[i]
        parts["final norm, shift"] = self.shift
        return {name: float(part) for name, part in parts.items()}


@checked
def attribute(
    model: miniGPT,
    trace: Trace,
    token: int | None = None,
    position: int = -1,
    against: int | None = None,
) -> Attribution:
    """Split the logit of `token` after `position` among the parts that add to the stream.

    The stream is a sum, and the head is linear; only the final norm between them is not. With the
    variance in the norm held fixed, the norm is linear too, and the logit is a sum with one term
    for each part of the stream. A term is the direct contribution of its part, without its effect
    on later layers.

        logit = Σ_parts (part − mean(part)) / √(var(stream) + eps) · scale · w  +  shift · w

    Here w is the column of the head's weights for `token`.

    Parameters
    ----------
    model, trace : the model, and its trace of a text.
    token : an id; the likeliest if None.
    position : the position in the text after which the token is predicted.
    against : a second id, to see why the model prefers one token to the other. Then w is the
        difference of their two columns.

    Source: Elhage et al., "A Mathematical Framework for Transformer Circuits", 2021.
    """
    at = check_position(position, len(trace.ids))
    token = int(trace.logits[at].argmax()) if token is None else token
    check_ids([token, *([] if against is None else [against])], model.vocab_size)
    w = model.head.weight[:, token].astype(float)
    if against is not None:
        w -= model.head.weight[:, against]
    norm = model.final_norm
    stream = trace.blocks[-1].output[at].astype(float)
    direction = norm.scale * w / np.sqrt(stream.var() + norm.eps)

    def part(written: Array) -> Array:
        return (written - written.mean(axis=-1, keepdims=True)) @ direction

    zero = np.zeros(model.d_model)
    biases = [block.attention.projection.bias for block in model.blocks]
    return Attribution(
        token=token,
        position=at,
        against=against,
        logit=float(trace.final_norm[at] @ w),
        embeddings=part(np.stack([trace.token_embedding[at], trace.position_embedding[at]])),
        heads=part(np.stack([block.head_writes[:, at] for block in trace.blocks])),
        biases=part(np.stack([zero if bias is None else bias for bias in biases])),
        feed_forward=part(np.stack([block.feed_forward[at] for block in trace.blocks])),
        shift=0.0 if norm.shift is None else float(norm.shift @ w),
    )
