"""Take a trace: run a model layer by layer, and write down what each gives and keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.checks import check_ids, check_text, unknown, unmasked
from minigpt.core.functional import Array, causal_mask, softmax, softmax_backward
from minigpt.core.layers import AnyLayer, Layer, TransformerBlock, twin
from minigpt.inside.activations import Activations, BlockActivations, Target, Trace
from minigpt.inside.pieces import vocabulary_of
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
    other = shadow(model).eval()
    activations = _forward(other, ids)
    gradient = None if target is None else _backward(other, activations, target)
    return Trace(
        **vars(activations),
        ids=ids,
        vocabulary=vocabulary,
        n_dropped=n_dropped,
        target=target,
        gradient=gradient,
    )


def shadow(layer: AnyLayer) -> AnyLayer:
    """Give a layer that shares the weights of `layer`, and nothing that a pass through it leaves.

    It is a `twin` whose gradients are arrays of their own; their memory is not taken until
    `backward` writes them.
    """
    other = twin(layer)
    _separate_gradients(other)
    return other


def _separate_gradients(layer: Layer) -> None:
    for name, value in vars(layer).items():
        if name.startswith("d_") and isinstance(value, np.ndarray):
            setattr(layer, name, np.empty_like(value))
    for _, child in layer.children():
        _separate_gradients(child)


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


# ── forward: the steps of miniGPT.forward and TransformerBlock.forward ──


def _forward(model: miniGPT, ids: Array) -> Activations:
    tokens = model.token_embedding.forward(ids[None])
    x = embedding = model.position_embedding.forward(tokens)
    blocks = []
    for block in model.blocks:
        blocks.append(_block_forward(block, x))
        x = blocks[-1].output[None]
    final_norm = model.final_norm.forward(x)
    return Activations(
        token_embedding=tokens[0],
        position_embedding=model.position_embedding.weight[: len(ids)].copy(),
        embedding=embedding[0],
        blocks=blocks,
        final_norm=final_norm[0],
        logits=model.head.forward(final_norm)[0],
    )


def _block_forward(block: TransformerBlock, x: Array) -> BlockActivations:
    attention, feed_forward = block.attention, block.feed_forward
    norm_1 = block.norm_1.forward(x)
    attended = attention.forward(norm_1)
    middle = x + attended
    norm_2 = block.norm_2.forward(middle)
    up = feed_forward.up.forward(norm_2)
    neurons = feed_forward.activation.forward(up)
    thought = feed_forward.down.forward(neurons)

    core = attention.core  # its q is divided by √D already
    T, C = x.shape[1:]
    scores = core.q[0] @ core.k[0].swapaxes(-1, -2)
    scores[:, causal_mask(T, T)] = -np.inf
    heads = attention.projection.x[0].reshape(T, attention.n_heads, -1).swapaxes(0, 1)
    rows = attention.projection.weight.reshape(attention.n_heads, -1, C)  # of W_o, by head
    return BlockActivations(
        input=x[0],
        norm_1=norm_1[0],
        q=core.q[0] / attention.scale,
        k=core.k[0],
        v=core.v[0],
        scores=scores,
        weights=core.weights[0],
        heads=heads,
        head_writes=heads @ rows,
        attention=attended[0],
        middle=middle[0],
        norm_2=norm_2[0],
        up=up[0],
        neurons=neurons[0],
        feed_forward=thought[0],
        output=(middle + thought)[0],
    )


# ── backward: the steps of miniGPT.backward and its layers, from the last to the first ──


def _backward(model: miniGPT, activations: Activations, target: Target) -> Activations:
    dlogits = np.zeros_like(activations.logits)
    if target.of == "logit":
        dlogits[target.position, target.token] = 1
    else:  # −log softmax, as in functional.cross_entropy_backward
        dlogits[target.position] = softmax(activations.logits[target.position])
        dlogits[target.position, target.token] -= 1
    d_final_norm = model.head.backward(dlogits[None])
    dx = model.final_norm.backward(d_final_norm)
    blocks = []
    for block, kept in zip(reversed(model.blocks), reversed(activations.blocks), strict=True):
        blocks.append(_block_backward(block, kept, dx))
        dx = blocks[-1].input[None]
    return Activations(
        token_embedding=dx[0],
        position_embedding=dx[0],
        embedding=dx[0],
        blocks=blocks[::-1],
        final_norm=d_final_norm[0],
        logits=dlogits,
    )


def _block_backward(block: TransformerBlock, kept: BlockActivations, dy: Array) -> BlockActivations:
    attention, feed_forward = block.attention, block.feed_forward
    d_neurons = feed_forward.down.backward(dy)
    d_up = feed_forward.activation.backward(d_neurons)
    d_norm_2 = feed_forward.up.backward(d_up)
    d_middle = dy + block.norm_2.backward(d_norm_2)

    H, T, C = kept.head_writes.shape
    d_heads = attention.projection.backward(d_middle).reshape(1, T, H, -1).swapaxes(1, 2)
    d_weights = d_heads[0] @ kept.v.swapaxes(-1, -2)
    dq, dk, dv = attention.core.backward(d_heads)
    dq = dq * attention.scale
    d_qkv = np.stack([dq, dk, dv]).transpose(1, 3, 0, 2, 4)  # (1, T, 3, H, D)
    d_norm_1 = attention.qkv.backward(d_qkv.reshape(1, T, 3 * C))
    return BlockActivations(
        input=(d_middle + block.norm_1.backward(d_norm_1))[0],
        norm_1=d_norm_1[0],
        q=dq[0],
        k=dk[0],
        v=dv[0],
        scores=softmax_backward(d_weights, kept.weights),
        weights=d_weights,
        heads=d_heads[0],
        head_writes=np.broadcast_to(d_middle, kept.head_writes.shape),  # a sum: the same for all
        attention=d_middle[0],
        middle=d_middle[0],
        norm_2=d_norm_2[0],
        up=d_up[0],
        neurons=d_neurons[0],
        feed_forward=dy[0],
        output=dy[0],
    )
