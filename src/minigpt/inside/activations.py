"""What a trace holds: every array from the ids to the logits, and optionally their gradients.

Shapes: T time, C = `d_model`, H heads, D = C / H, F = `d_ff`, V vocabulary. A trace is of one text,
so no array has a batch axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np

from minigpt.core.checks import check_position, check_sizes
from minigpt.core.functional import Array, softmax
from minigpt.inside.pieces import ids_without_text
from minigpt.support.brief import brief
from minigpt.support.checked import checked
from minigpt.support.displayed import as_html
from minigpt.support.wording import counted

if TYPE_CHECKING:
    from minigpt.core.sampling import Sampling


class Target(NamedTuple):
    """The number to differentiate: a logit or a surprise.

    Attributes
    ----------
    token : an id.
    position : the position after which the token is predicted; −1 is the last.
    of : "logit" for its score, or "surprise" for −log of its probability, which is the loss if
        this token comes next.
    """

    token: int
    position: int = -1
    of: str = "surprise"


@dataclass(frozen=True, eq=False)
class BlockActivations:
    """What a `TransformerBlock` computes, in this order; in a gradient, ∂(target) / ∂(each).

    Attributes
    ----------
    input : (T, C), the residual stream before the block.
    norm_1 : (T, C), the input normalised.
    q, k, v : (H, T, D), queries (not yet divided by √D), keys and values.
    scores : (H, T, T), q kᵀ / √D; −∞ where a key lies in the query's future.
    weights : (H, T, T), the softmax of the scores: row t says what token t attends to.
    heads : (H, T, D), what each head gathers, weights · v.
    head_writes : (H, T, C), what each head adds to the stream: `heads` times its rows of W_o.
    attention : (T, C), the sum of head_writes, plus the bias of the projection.
    middle : (T, C), the stream between the two halves, input + attention.
    norm_2 : (T, C), `middle` normalised.
    up : (T, F), the neurons of the feed-forward layer before the activation function.
    neurons : (T, F), the neurons after the activation function.
    feed_forward : (T, C), what the neurons add to the stream.
    output : (T, C), the stream after the block, middle + feed_forward.
    """

    input: Array
    norm_1: Array
    q: Array
    k: Array
    v: Array
    scores: Array
    weights: Array
    heads: Array
    head_writes: Array
    attention: Array
    middle: Array
    norm_2: Array
    up: Array
    neurons: Array
    feed_forward: Array
    output: Array

    __repr__ = brief


@dataclass(frozen=True, eq=False)
class Activations:
    """What a `miniGPT` computes, in this order; in a gradient, ∂(target) / ∂(each).

    Attributes
    ----------
    token_embedding, position_embedding : (T, C), the vectors of the tokens and positions.
    embedding : (T, C), their sum, the start of the residual stream.
    blocks : the `BlockActivations` of each block.
    final_norm : (T, C), the output of the last block normalised.
    logits : (T, V); row t scores what comes after token t.
    """

    token_embedding: Array
    position_embedding: Array
    embedding: Array
    blocks: list[BlockActivations]
    final_norm: Array
    logits: Array

    __repr__ = brief

    @property
    def stream(self) -> Array:
        """The residual stream (2 n_layers + 1, T, C): at the start, and after each addition."""
        steps = [self.embedding]
        for block in self.blocks:
            steps += [block.middle, block.output]
        return np.stack(steps)


@dataclass(frozen=True, eq=False, repr=False)
class Trace(Activations):
    """All that a model computes on one text. `print` describes the forward pass in words.

    Attributes
    ----------
    ids : int (T,), the tokens.
    vocabulary : the piece of text of each of the V ids.
    n_dropped : number of tokens at the beginning that did not fit the context and were left out.
    target : the `Target` that was differentiated, or None.
    gradient : the gradient of the target with respect to every activation, or None.

    `Activations` and `BlockActivations` describe the activations.
    """

    ids: Array
    vocabulary: Sequence[str]
    n_dropped: int = 0
    target: Target | None = None
    gradient: Activations | None = None

    # `trace_file` adds these two, and `trace_in_words` adds `__str__`.
    save: ClassVar[Callable[..., None]]
    load: ClassVar[Callable[..., Self]]

    @property
    def pieces(self) -> list[str]:
        """The text, token by token."""
        return [self.vocabulary[i] for i in self.ids]

    @property
    def weights(self) -> Array:
        """The attention weights of all heads, (n_layers, H, T, T)."""
        return np.stack([block.weights for block in self.blocks])

    @checked
    def probabilities(self, position: int = -1) -> Array:
        """Return the probabilities (V,) of the token after `position`."""
        position = check_position(position, len(self.ids))
        return softmax(self.logits[position].astype(float))

    @property
    def drawable(self) -> Array:
        """Which ids may be drawn as the next token, bool (V,): all that belong to a token."""
        found = np.ones(len(self.vocabulary), dtype=bool)
        found[ids_without_text(self.vocabulary)] = False
        return found

    @checked
    def drawn(self, sampling: Sampling, position: int = -1, penalise: bool = False) -> Array:
        """Return the probability (V,) that `sampling` draws each token after `position`.

        With `penalise`, its repetition penalty applies to the tokens up to `position`.
        """
        position = check_position(position, len(self.ids))
        logits = np.where(self.drawable, self.logits[position], -np.inf)
        seen = np.zeros(len(logits), dtype=bool)
        if penalise:
            seen[self.ids[: position + 1]] = True
        return sampling.probabilities(logits[None], seen[None])[0]

    @checked
    def top(self, n: int = 10, position: int = -1) -> Iterator[tuple[int, str, float]]:
        """Yield (id, piece, probability) of the `n` likeliest tokens after `position`."""
        check_sizes(n=n)
        probabilities = self.probabilities(position)
        for i in np.argsort(-probabilities, kind="stable")[:n]:
            yield int(i), self.vocabulary[i], float(probabilities[i])

    def __repr__(self) -> str:
        text = "".join(self.pieces)
        shown = text if len(text) <= 40 else text[:39] + "…"
        size = f"{counted(len(self.ids), 'token')}, {counted(len(self.blocks), 'block')}"
        return f"Trace({size}, {shown!r})"

    _repr_html_ = as_html
