"""A trace in words: the forward pass step by step, with shapes and a few numbers."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator

import numpy as np

from minigpt.core.functional import Array
from minigpt.inside.activations import BlockActivations, Trace
from minigpt.inside.pieces import visible
from minigpt.support.checked import checked
from minigpt.support.wording import counted, percent

MAX_LISTED = 6
"""Tokens or heads that are listed; the others are only counted."""


@checked
def walk(trace: Trace, width: int | None = None) -> str:
    """Describe what the model did, in the order of the computation.

    Parameters
    ----------
    trace : Trace
    width : columns of a line; if None, the width of the terminal, but at most 80.
    """
    width = width or min(80, shutil.get_terminal_size((80, 24)).columns)
    lines: list[str] = []
    for line in _steps(trace):
        indent = "    " if line.startswith(" ") else ""
        lines += textwrap.wrap(line, width, subsequent_indent=indent) or [""]
    return "\n".join(lines)


Trace.__str__ = walk  # type: ignore[method-assign, assignment]


def _steps(trace: Trace) -> Iterator[str]:
    yield from _tokens(trace)
    yield from _embedding(trace)
    for i, block in enumerate(trace.blocks):
        yield from _block(trace, i, block)
    yield from _answer(trace)
    if trace.gradient is not None:
        yield from _gradient(trace)


def _tokens(trace: Trace) -> Iterator[str]:
    T = len(trace.ids)
    yield f"TOKENS  ids {_shape(trace.ids)}"
    yield f"The text is cut into {counted(T, 'token')}. Each token has a number, its id."
    if trace.n_dropped:
        yield (
            f"The text is longer than the context: {counted(trace.n_dropped, 'token')} before "
            "these were left out."
        )
    shown = [f"{_quoted(trace.vocabulary[i])} {i}" for i in trace.ids[-2 * MAX_LISTED :]]
    more = f"… {T - len(shown)} before, " if len(shown) < T else ""
    yield "  " + more + ", ".join(shown)


def _embedding(trace: Trace) -> Iterator[str]:
    yield ""
    yield f"EMBEDDING  {_shape(trace.embedding)}"
    yield (
        "Each token becomes a vector: the sum of a vector learned for its id and a vector learned "
        "for its position. These vectors are the residual stream. Every later step adds to it."
    )
    yield f"  last token {_last(trace)}"
    yield f"  token vector     {_numbers(trace.token_embedding[-1])}"
    yield f"  position {len(trace.ids) - 1:<8}{_numbers(trace.position_embedding[-1])}"
    yield f"  sum              {_numbers(trace.embedding[-1])}"


def _block(trace: Trace, i: int, block: BlockActivations) -> Iterator[str]:
    H, _, D = block.q.shape
    yield ""
    yield f"BLOCK {i}  {_shape(block.input)}"
    if i == 0:
        yield (
            f"Attention, {counted(H, 'head')}: the vectors are normalised, and each head computes "
            f"queries, keys and values {_shape(block.q)} from them. Softmax turns the scores "
            f"q·k/√{D} {_shape(block.scores)} into weights; later tokens get the weight 0. Each "
            "token sums the values, multiplied by its weights."
        )
    for h in range(min(H, MAX_LISTED)):
        yield f"  head {h}: {_last(trace)} looks at {_looks(trace, block.weights[h, -1])}"
    if H > MAX_LISTED:
        yield f"  and {counted(H - MAX_LISTED, 'more head')}"
    yield f"  the heads add {_added(block.attention, block.input)}"
    if i == 0:
        yield (
            "Feed-forward: each vector is normalised again and goes through "
            f"{counted(block.up.shape[-1], 'neuron')} {_shape(block.up)}, independently of the "
            "other tokens."
        )
    strongest = int(block.neurons[-1].argmax())
    yield (
        f"  {percent(float((block.neurons[-1] > 0).mean()))} of the neurons are above 0; the "
        f"strongest is no. {strongest}, with {block.neurons[-1, strongest]:.2f}"
    )
    yield f"  the neurons add {_added(block.feed_forward, block.middle)}"


def _answer(trace: Trace) -> Iterator[str]:
    yield ""
    yield f"ANSWER  logits {_shape(trace.logits)}"
    yield (
        f"The vectors are normalised a last time {_shape(trace.final_norm)}. The head computes a "
        f"score, the logit, for each of {trace.logits.shape[-1]} tokens, and softmax turns the "
        f"logits into probabilities. After {_last(trace)}:"
    )
    for i, piece, probability in trace.top(MAX_LISTED):
        bar = "█" * round(20 * probability)
        logit = trace.logits[-1, i]
        yield f"  {percent(probability, 1):>6}  {_quoted(piece)}  (logit {logit:.2f}) {bar}"


def _gradient(trace: Trace) -> Iterator[str]:
    assert trace.gradient is not None
    assert trace.target is not None
    token, position, of = trace.target
    what = "the logit" if of == "logit" else "−log of the probability"
    yield ""
    yield "BACKWARD"
    yield (
        f"The gradient of {what} of {_quoted(trace.vocabulary[token])} after "
        f"{_quoted(trace.pieces[position])} (position {position}) with respect to the residual "
        "stream: its length at the tokens where it is longest, from the last step to the first."
    )
    names = ["the embedding"]
    for i in range(len(trace.blocks)):
        names += [f"attention {i}", f"feed-forward {i}"]
    lengths = np.linalg.norm(trace.gradient.stream, axis=-1)
    for name, row in reversed(list(zip(names, lengths, strict=True))):
        strongest = np.argsort(-row, kind="stable")[: MAX_LISTED // 2]
        longest = ", ".join(f"{_quoted(trace.pieces[t])} {row[t]:.2g}" for t in strongest)
        yield f"  after {name}: {longest}"


def _last(trace: Trace) -> str:
    return _quoted(trace.pieces[-1])


def _quoted(piece: str) -> str:
    return f"“{visible(piece)}”"


def _looks(trace: Trace, weights: Array) -> str:
    most = np.argsort(-weights, kind="stable")[:3]
    return ", ".join(f"{_quoted(trace.pieces[j])} {percent(float(weights[j]))}" for j in most)


def _added(written: Array, stream: Array) -> str:
    """Describe what is added to the stream at the last token, by lengths."""
    added, before = np.linalg.norm(written[-1]), np.linalg.norm(stream[-1])
    return f"a vector of length {added:.2f} to one of length {before:.2f}"


def _numbers(vector: Array) -> str:
    return " ".join(f"{x:+.2f}" for x in vector[:4]) + (" …" if len(vector) > 4 else "")


def _shape(array: Array) -> str:
    return "(" + ", ".join(map(str, array.shape)) + ("," if array.ndim == 1 else "") + ")"
