"""Trace a model: run it once, and record what each layer receives and returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.checks import unknown
from minigpt.core.checks_arrays import check_ids, unmasked
from minigpt.core.checks_model import check_text
from minigpt.core.functional import Array, cross_entropy_backward
from minigpt.core.layers import TransformerBlock
from minigpt.inside.activations import Activations, BlockActivations, Target, Trace
from minigpt.inside.pieces import vocabulary_of
from minigpt.inside.tap import Tap, shadow
from minigpt.support.checked import checked

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.text.tokenizers import Tokenizer


@checked
def trace(
    model: miniGPT,
    text: str | Sequence[int] | Array,
    tokenizer: Tokenizer | None = None,
    target: Target | None = None,
) -> Trace:
    """Run `model` once on a text, without dropout, and keep all that it computes.

    The model itself stays as it was: its gradients, its mode, and what it keeps of its latest
    forward pass. The head_writes and scores take most of the memory, H · T · (T + C) numbers a
    block.

    Parameters
    ----------
    model : miniGPT
    text : a text, or its ids (T,). Of one longer than the context the last max_len tokens count;
        `Trace.n_dropped` says how many were left out.
    tokenizer : cuts the text, and tells the pieces that ids stand for; without one, ids are shown.
    target : for the backward pass too: the number whose gradient is wanted.

    Raises
    ------
    ValueError, TypeError
        If there is no token, an id or the target is out of range, or a text has no tokenizer.

    Examples
    --------
    >>> seen = trace(model, "my dear goose", tokenizer)
    >>> print(seen)
    >>> seen.blocks[0].weights.shape
    (4, 3, 3)
    """
    vocabulary = vocabulary_of(tokenizer, model.vocab_size)
    ids, n_dropped = _read(model, text, tokenizer)
    if target is not None:
        target = _check(target, model.vocab_size, len(ids))
    other, gradient = shadow(model).eval(), None
    with Tap(other) as tap:
        other.forward(ids[None])
        activations = _forward(tap, other)
        if target is not None:
            other.backward(_start(activations, target))
            gradient = _backward(tap, other)
    return Trace(
        **vars(activations),
        ids=ids,
        vocabulary=vocabulary,
        n_dropped=n_dropped,
        target=target,
        gradient=gradient,
    )


def _read(model: miniGPT, text: Any, tokenizer: Tokenizer | None) -> tuple[Array, int]:
    if isinstance(text, str):
        if tokenizer is None:
            raise ValueError("a text needs its tokenizer, as in trace(model, text, tokenizer)")
        text = tokenizer.encode(text)
    ids = unmasked(text)
    if ids.ndim != 1 or ids.size == 0:
        raise ValueError(
            f"a trace needs one text with at least one token, got ids of the shape {ids.shape}"
        )
    n_dropped = max(0, len(ids) - model.max_len)
    check_ids(ids, model.vocab_size)
    return check_text(ids[None, n_dropped:], model.vocab_size, model.max_len)[0], n_dropped


def _check(target: Target, vocab_size: int, length: int) -> Target:
    token, position, of = target
    check_ids(token, vocab_size, "the target's token")
    if not -length <= position < length:
        raise ValueError(
            f"the target's position must be from {-length} to {length - 1}, got {position}"
        )
    if of not in ("logit", "surprise"):
        raise ValueError(unknown("kind of target", of, ("logit", "surprise")))
    return Target(int(token), int(position) % length, of)


def _forward(tap: Tap, model: miniGPT) -> Activations:
    """Read off the forward pass that `tap` has recorded."""
    final_norm = tap.out_of("final_norm")[0]
    return Activations(
        token_embedding=tap.out_of("token_embedding")[0],
        position_embedding=model.position_embedding.weight[: len(final_norm)].copy(),
        embedding=tap.out_of("dropout")[0],
        blocks=[_block(tap, f"blocks.{i}", block) for i, block in enumerate(model.blocks)],
        final_norm=final_norm,
        logits=tap.out_of("head")[0],
    )


def _block(tap: Tap, path: str, block: TransformerBlock) -> BlockActivations:
    def out_of(name: str) -> Array:
        return tap.out_of(f"{path}.{name}")[0]

    attention, C = block.attention, block.attention.projection.weight.shape[1]
    q, k, v, scores, weights, *_ = (array[0] for array in attention.kept[:5])
    gathered = tap.into(f"{path}.attention.projection")[0]
    heads = gathered.reshape(len(gathered), attention.n_heads, -1).swapaxes(0, 1)
    # The model never computes this one: it multiplies all heads by W_o at once.
    head_writes = heads @ attention.projection.weight.reshape(attention.n_heads, -1, C)
    return BlockActivations(
        input=tap.into(path)[0],
        norm_1=out_of("norm_1"),
        q=q,
        k=k,
        v=v,
        scores=scores,
        weights=weights,
        heads=heads,
        head_writes=head_writes,
        attention=out_of("attention"),
        middle=tap.into(f"{path}.norm_2")[0],
        norm_2=out_of("norm_2"),
        up=out_of("feed_forward.up"),
        neurons=out_of("feed_forward.activation"),
        feed_forward=out_of("feed_forward"),
        output=tap.out_of(path)[0],
    )


def _start(activations: Activations, target: Target) -> Array:
    """Return the gradient of the target with respect to the logits, (1, T, V)."""
    dlogits = np.zeros_like(activations.logits)
    if target.of == "logit":
        dlogits[target.position, target.token] = 1
    else:
        here = activations.logits[target.position]
        dlogits[target.position] = cross_entropy_backward(here[None], np.array([target.token]))
    return dlogits[None]


def _backward(tap: Tap, model: miniGPT) -> Activations:
    """Read off the backward pass that `tap` has recorded."""
    dx = tap.sent_on("dropout")[0]
    return Activations(
        token_embedding=dx,
        position_embedding=dx,
        embedding=dx,
        blocks=[_block_backward(tap, i, model) for i in range(model.n_layers)],
        final_norm=tap.arrived("final_norm")[0],
        logits=tap.arrived("head")[0],
    )


def _block_backward(tap: Tap, i: int, model: miniGPT) -> BlockActivations:
    path = f"blocks.{i}"

    def arrived(name: str) -> Array:
        return tap.arrived(f"{path}.{name}")[0]

    nth = model.n_layers - 1 - i  # the backward pass meets the last block first
    (d_weights, _), d_scores = tap.kernel("softmax_backward")[nth]
    (d_heads, _), (dq, dk, dv) = tap.kernel("attention_backward")[nth]
    d_middle, H = arrived("attention"), model.n_heads
    return BlockActivations(
        input=tap.sent_on(path)[0],
        norm_1=arrived("norm_1"),
        q=dq[0],
        k=dk[0],
        v=dv[0],
        scores=d_scores[0],
        weights=d_weights[0],
        heads=d_heads[0],
        head_writes=np.broadcast_to(d_middle, (H, *d_middle.shape)),  # a sum: the same for all
        attention=d_middle,
        middle=d_middle,
        norm_2=arrived("norm_2"),
        up=arrived("feed_forward.up"),
        neurons=arrived("feed_forward.activation"),
        feed_forward=arrived("feed_forward"),
        output=tap.arrived(path)[0],
    )
