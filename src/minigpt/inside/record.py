"""Trace a model: run it once, and record what each layer receives and returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.checks import unknown
from minigpt.core.checks_arrays import check_ids, unmasked
from minigpt.core.checks_model import check_batch_ids
from minigpt.core.functional import Array, cross_entropy_backward
from minigpt.core.layers import TransformerBlock
from minigpt.inside.activations import Activations, BlockActivations, Target, Trace
from minigpt.inside.pieces import vocabulary_of
from minigpt.inside.tap import Tap, twin_with_gradients
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
    """Run `model` once on a text, without dropout, and return all that it computes.

    The model stays unchanged: its gradients, its mode, and what it keeps for its own backward pass.
    The head_writes and scores take most of the memory: H · T · (T + C) numbers per block.

    Parameters
    ----------
    model : miniGPT
    text : a text, or its ids (T,). A text longer than the context is cut to its last max_len
        tokens; `Trace.n_dropped` is the number of tokens left out.
    tokenizer : encodes the text and shows ids as pieces of text. Without one, ids are shown.
    target : the number to differentiate; the trace then includes the backward pass.

    Raises
    ------
    ValueError, TypeError
        If there is no token, an id or the target is out of range, or a text comes without a
        tokenizer.

    Examples
    --------
    >>> seen = trace(model, "my dear goose", tokenizer)
    >>> print(seen)
    >>> seen.blocks[0].weights.shape
    (4, 3, 3)
    """
    vocabulary = vocabulary_of(tokenizer, model.vocab_size)
    ids, n_dropped = _ids_in_context(model, text, tokenizer)
    if target is not None:
        target = _check_target(target, model.vocab_size, len(ids))
    twin, gradient = twin_with_gradients(model).eval(), None
    with Tap(twin) as tap:
        twin.forward(ids[None])
        activations = _activations(tap, twin)
        if target is not None:
            twin.backward(_d_logits(activations, target))
            gradient = _gradients(tap, twin)
    return Trace(
        **vars(activations),
        ids=ids,
        vocabulary=vocabulary,
        n_dropped=n_dropped,
        target=target,
        gradient=gradient,
    )


def _ids_in_context(model: miniGPT, text: Any, tokenizer: Tokenizer | None) -> tuple[Array, int]:
    """Return the last ids that fit the context, and the number of ids before them."""
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
    return check_batch_ids(ids[None, n_dropped:], model.vocab_size, model.max_len)[0], n_dropped


def _check_target(target: Target, vocab_size: int, length: int) -> Target:
    token, position, of = target
    check_ids(token, vocab_size, "the target's token")
    if not -length <= position < length:
        raise ValueError(
            f"the target's position must be from {-length} to {length - 1}, got {position}"
        )
    if of not in ("logit", "surprise"):
        raise ValueError(unknown("kind of target", of, ("logit", "surprise")))
    return Target(int(token), int(position) % length, of)


def _activations(tap: Tap, model: miniGPT) -> Activations:
    """Return the forward pass that `tap` has recorded."""
    final_norm = tap.y("final_norm")[0]
    return Activations(
        token_embedding=tap.y("token_embedding")[0],
        position_embedding=model.position_embedding.weight[: len(final_norm)].copy(),
        embedding=tap.y("dropout")[0],
        blocks=[_block_activations(tap, i, block) for i, block in enumerate(model.blocks)],
        final_norm=final_norm,
        logits=tap.y("head")[0],
    )


def _block_activations(tap: Tap, i: int, block: TransformerBlock) -> BlockActivations:
    path = f"blocks.{i}"

    def y(name: str) -> Array:
        return tap.y(f"{path}.{name}")[0]

    attention, C = block.attention, block.attention.projection.weight.shape[1]
    q, k, v, scores, weights, *_ = (array[0] for array in attention.kept[:5])
    gathered = tap.x(f"{path}.attention.projection")[0]
    heads = gathered.reshape(len(gathered), attention.n_heads, -1).swapaxes(0, 1)
    # The model itself never computes this: it multiplies all heads by W_o at once.
    head_writes = heads @ attention.projection.weight.reshape(attention.n_heads, -1, C)
    return BlockActivations(
        input=tap.x(path)[0],
        norm_1=y("norm_1"),
        q=q,
        k=k,
        v=v,
        scores=scores,
        weights=weights,
        heads=heads,
        head_writes=head_writes,
        attention=y("attention"),
        middle=tap.x(f"{path}.norm_2")[0],
        norm_2=y("norm_2"),
        up=y("feed_forward.up"),
        neurons=y("feed_forward.activation"),
        feed_forward=y("feed_forward"),
        output=tap.y(path)[0],
    )


def _d_logits(activations: Activations, target: Target) -> Array:
    """Return the gradient of the target with respect to the logits, (1, T, V)."""
    dlogits = np.zeros_like(activations.logits)
    if target.of == "logit":
        dlogits[target.position, target.token] = 1
    else:
        logits = activations.logits[target.position]
        dlogits[target.position] = cross_entropy_backward(logits[None], np.array([target.token]))
    return dlogits[None]


def _gradients(tap: Tap, model: miniGPT) -> Activations:
    """Return the backward pass that `tap` has recorded."""
    dx = tap.dx("dropout")[0]
    return Activations(
        token_embedding=dx,
        position_embedding=dx,
        embedding=dx,
        blocks=[_block_gradients(tap, i, model) for i in range(model.n_layers)],
        final_norm=tap.dy("final_norm")[0],
        logits=tap.dy("head")[0],
    )


def _block_gradients(tap: Tap, i: int, model: miniGPT) -> BlockActivations:
    path = f"blocks.{i}"

    def dy(name: str) -> Array:
        return tap.dy(f"{path}.{name}")[0]

    n = model.n_layers - 1 - i  # the backward pass begins with the last block
    (d_weights, _), d_scores = tap.kernel_calls("softmax_backward")[n]
    (d_heads, _), (dq, dk, dv) = tap.kernel_calls("attention_backward")[n]
    d_middle, H = dy("attention"), model.n_heads
    return BlockActivations(
        input=tap.dx(path)[0],
        norm_1=dy("norm_1"),
        q=dq[0],
        k=dk[0],
        v=dv[0],
        scores=d_scores[0],
        weights=d_weights[0],
        heads=d_heads[0],
        head_writes=np.broadcast_to(d_middle, (H, *d_middle.shape)),  # summed: the same for all
        attention=d_middle,
        middle=d_middle,
        norm_2=dy("norm_2"),
        up=dy("feed_forward.up"),
        neurons=dy("feed_forward.activation"),
        feed_forward=dy("feed_forward"),
        output=tap.dy(path)[0],
    )
