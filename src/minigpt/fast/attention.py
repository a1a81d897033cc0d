"""The heart of attention, from queries, keys and values to what each head gathers, and back.

`Attention` is the formula as it stands. `BlockedAttention` gives the same numbers for a long text,
without the half of the work that the causal mask would hide.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minigpt.core.functional import Array, causal_mask, softmax, softmax_backward
from minigpt.fast.threads import share_out

if TYPE_CHECKING:
    from minigpt.core.layers import Dropout

BLOCK = 64
"""Queries in a block. Much smaller ones make matrix products slow, much larger ones skip less."""


class Attention:
    """Let every query gather the values of the keys it matches, up to its own position.

        S = q kᵀ,   S_ij = −∞ for j > i     scores; the causal mask hides the future
        A = softmax(S)                      attention weights: each row sums to 1
        o = A v

    Backward, with do = ∂L/∂o:

        dA = do vᵀ        dv = Aᵀ do        dS = softmax_backward(dA, A)
        dq = dS k         dk = dSᵀ q

    A masked score has A = 0, and so dS = 0: nothing flows back from the future either.

    Shapes: q, o (B, H, T, D), q divided by √D already; k, v (B, H, K, D), the queries being the
    last T of the K positions; S, A (B, H, T, K). mask, if given in place of the causal mask: bool
    (B, 1, T, K), True where a query must not look. `backward` is for K = T.
    Source: Vaswani et al., 2017, section 3.2.1.
    """

    def __init__(self, dropout: Dropout) -> None:
        self.dropout = dropout

    def forward(self, q: Array, k: Array, v: Array, mask: Array | None = None) -> Array:
        """Give o."""
        self.q, self.k, self.v = q, k, v
        T, K = q.shape[2], k.shape[2]
        scores = q @ k.swapaxes(-1, -2)
        if T > 1 or mask is not None:  # the last token may look at all
            np.copyto(scores, -np.inf, where=causal_mask(T, K) if mask is None else mask)
        self.weights = softmax(scores)
        self.dropped_weights = self.dropout.forward(self.weights)
        return self.dropped_weights @ v

    def backward(self, do: Array) -> tuple[Array, Array, Array]:
        """Give dq, dk and dv."""
        d_weights = self.dropout.backward(do @ self.v.swapaxes(-1, -2))
        d_scores = softmax_backward(d_weights, self.weights)
        dq = d_scores @ self.k
        dk = d_scores.swapaxes(-1, -2) @ self.q
        return dq, dk, self.dropped_weights.swapaxes(-1, -2) @ do


class Block(NamedTuple):
    """What the backward pass needs of a block of queries: see `BlockedAttention`."""

    heads: slice
    queries: slice
    log_sums: Array  # (B, heads, queries, 1), log Σ_j exp(S_ij)
    dropout_mask: Array | None


class BlockedAttention(Attention):
    """The same in blocks of queries, each of which sees the keys up to its own end only.

    Of the square of T × T scores almost half are masked; that much less is multiplied,
    exponentiated, and taken back again. At T = 256 it takes two thirds of the time, at
    T = 1024 less than half.

    No weights are kept. To make those of a block again takes one product and one exp, as the sums
    are known: A_ij = exp(S_ij − log Σ_j exp(S_ij)). At T = 1024 and D = 64, they would be the
    largest thing that a layer keeps.

    The sum in softmax_backward, Σ_j dA_ij A_ij, is here taken before the dot product with v: as
    o = A v, it is Σ_j (do_i · v_j) A_ij = do_i · o_i, with dropout too, and D long in place of T.
    Source: Dao et al., "FlashAttention", 2022, section 3.1.
    """

    def forward(self, q: Array, k: Array, v: Array, mask: Array | None = None) -> Array:
        """Give o; with no mask but the causal one."""
        self.q, self.k, self.v = q, k, v
        B, H, T, D = q.shape
        self.o = np.empty((B, T, H, D), q.dtype).swapaxes(1, 2)  # heads side by side in memory
        at_random = self.dropout.training and self.dropout.p > 0
        self.seeds = self.dropout.rng.integers(2**63, size=H) if at_random else np.zeros(H, int)
        self.parts = share_out(self._heads, H, B * H * T * k.shape[2])
        return self.o

    def _heads(self, heads: slice) -> list[Block]:
        rng = np.random.default_rng(self.seeds[heads])  # each thread draws by itself
        dropout = type(self.dropout)(self.dropout.p, rng).train(self.dropout.training)
        blocks = []
        for start in range(0, self.q.shape[2], BLOCK):
            queries = slice(start, min(start + BLOCK, self.q.shape[2]))
            scores, seen = self._scores(heads, queries)
            largest = scores.max(axis=-1, keepdims=True)
            scores -= largest
            weights = np.exp(scores, out=scores)
            sums = weights.sum(axis=-1, keepdims=True)
            weights /= sums
            o = dropout.forward(weights) @ self.v[:, heads, seen]
            self.o[:, heads, queries] = o
            blocks.append(Block(heads, queries, largest + np.log(sums), dropout.mask))
        return blocks

    def _scores(self, heads: slice, queries: slice) -> tuple[Array, slice]:
        """Give S of a block, and the keys it sees."""
        before = self.k.shape[2] - self.q.shape[2]  # keys that stand before the first query
        seen = slice(0, before + queries.stop)
        n = queries.stop - queries.start
        scores = self.q[:, heads, queries] @ self.k[:, heads, seen].swapaxes(-1, -2)
        np.copyto(scores[..., -n:], -np.inf, where=causal_mask(n, n))
        return scores, seen

    def _weights(self, block: Block) -> tuple[Array, slice]:
        """Give A of a block, and the keys it sees."""
        scores, seen = self._scores(block.heads, block.queries)
        scores -= block.log_sums
        return np.exp(scores, out=scores), seen

    def backward(self, do: Array) -> tuple[Array, Array, Array]:
        """Give dq, dk and dv."""
        sums = np.vecdot(do, self.o)[..., None]
        dq = np.empty(self.q.shape, do.dtype)
        dk, dv = np.zeros_like(dq), np.zeros_like(dq)

        def parts_backward(parts: slice) -> None:
            for block in itertools.chain(*self.parts[parts]):
                here = np.s_[:, block.heads, block.queries]
                weights, seen = self._weights(block)
                there = np.s_[:, block.heads, seen]
                d_scores = do[here] @ self.v[there].swapaxes(-1, -2)
                dropped = weights
                if block.dropout_mask is not None:
                    dropped = self.dropout.scale_kept(weights, block.dropout_mask)
                    d_scores = self.dropout.scale_kept(d_scores, block.dropout_mask)
                dv[there] += dropped.swapaxes(-1, -2) @ do[here]
                d_scores -= sums[here]
                d_scores *= weights
                dq[here] = d_scores @ self.k[there]
                dk[there] += d_scores.swapaxes(-1, -2) @ self.q[here]

        share_out(parts_backward, len(self.parts), do[..., 0].size * do.shape[2])
        return dq, dk, dv

    @property
    def weights(self) -> Array:  # type: ignore[override]
        """A, put together from its blocks."""
        B, H, T, _ = self.q.shape
        weights = np.zeros((B, H, T, self.k.shape[2]), self.q.dtype)
        for block in itertools.chain(*self.parts):
            part, seen = self._weights(block)
            weights[:, block.heads, block.queries, seen] = part
        return weights
