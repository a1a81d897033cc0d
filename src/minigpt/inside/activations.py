"""What a trace holds: every array between the ids and the logits, and perhaps their gradients.

Shapes: T time, C = `d_model`, H heads, D = C / H, F = `d_ff`, V vocabulary. There is one text, so
no array has a batch axis.
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
    """The one number whose gradient is asked for.

    Attributes
    ----------
    token : an id.
    position : where it is predicted; −1 is after the last token.
    of : "logit" for its score, or "surprise" for −log of its probability, the loss if it came.
    """

    token: int
    position: int = -1
    of: str = "surprise"


@dataclass(frozen=True, eq=False)
class BlockActivations:
    """What a `TransformerBlock` computes, in this order; of a gradient, ∂(target) / ∂(each).

    Attributes
    ----------
    input : (T, C), the residual stream as it comes in.
    norm_1 : (T, C), the input normalised.
    q, k, v : (H, T, D), queries (not divided by √D yet), keys and values.
    scores : (H, T, T), q kᵀ / √D; −∞ where a key lies in the query's future.
    weights : (H, T, T), their softmax: row t says what token t attends to.
    heads : (H, T, D), what each head has gathered, weights · v.
    head_writes : (H, T, C), what each head adds to the stream: `heads` times its rows of W_o.
    attention : (T, C), the sum of head_writes, plus the bias of the projection.
    middle : (T, C), the stream between the two halves, input + attention.
    norm_2 : (T, C), the middle normalised.
    up : (T, F), the neurons of the feed-forward layer before their activation function.
    neurons : (T, F), and after it.
    feed_forward : (T, C), what they add to the stream.
    output : (T, C), the stream as it leaves, middle + feed_forward.
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
    """What a `miniGPT` computes, in this order; of a gradient, ∂(target) / ∂(each).

    Attributes
    ----------
    token_embedding, position_embedding : (T, C), the vectors of the tokens and of their places.
    embedding : (T, C), their sum, with which the residual stream begins.
    blocks : `BlockActivations` of each block.
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
        """The residual stream (2 n_layers + 1, T, C): the embedding, then after each addition."""
        steps = [self.embedding]
        for block in self.blocks:
            steps += [block.middle, block.output]
        return np.stack(steps)


@dataclass(frozen=True, eq=False, repr=False)
class Trace(Activations):
    """All that a model computes on one text. `print` it for a walk through the forward pass.

    Attributes
    ----------
    ids : int (T,), the tokens.
    vocabulary : the piece of text that each of the V ids stands for.
    n_dropped : how many tokens at the beginning did not fit the context and were left out.
    target : whose gradient was asked for, or None.
    gradient : that of `target` with respect to every activation, or None.

    The activations themselves are described at `Activations` and `BlockActivations`.
    """

    ids: Array
    vocabulary: Sequence[str]
    n_dropped: int = 0
    target: Target | None = None
    gradient: Activations | None = None

    # These two, and `__str__`, are attached by `trace_file` and `trace_in_words`.
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
        """Return the probability (V,) of each token to come after that at `position`."""
        position = check_position(position, len(self.ids))
        return softmax(self.logits[position].astype(float))

    @property
    def drawable(self) -> Array:
        """Which ids may be drawn as the next token, bool (V,): all but those that no token has."""
        found = np.ones(len(self.vocabulary), dtype=bool)
        found[ids_without_text(self.vocabulary)] = False
        return found

    @checked
    def drawn(self, sampling: Sampling, position: int = -1, penalise: bool = False) -> Array:
        """Return the probability (V,) with which `sampling` draws each token after `position`.

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
        """Yield (id, piece, probability) of the `n` likeliest to come after `position`."""
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
