"""The heart of attention, from queries, keys and values to what each head gathers, and back.

`Attention` is the formula as it stands. `BlockedAttention` gives the same numbers for a long text,
without the half of the work that the causal mask would hide.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minigpt.functional import Array, causal_mask, softmax, softmax_backward
from minigpt.parallel import share_out

if TYPE_CHECKING:
    from minigpt.layers import Dropout

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
    weights: Array  # (B, heads, queries, keys up to the end of the block)
    dropped_weights: Array
    dropout_mask: Array | None


class BlockedAttention(Attention):
    """The same in blocks of queries, each of which sees the keys up to its own end only.

    Of the square of T × T scores almost half are masked; that much less is multiplied,
    exponentiated, kept, and taken back again. At T = 256 it takes two thirds of the time, at
    T = 1024 less than half.

    The sum in softmax_backward, Σ_j dA_ij A_ij, is here taken before the dot product with v: as
    o = A v, it is Σ_j (do_i · v_j) A_ij = do_i · o_i, with dropout too, and D long in place of T.
    Source: Dao et al., "FlashAttention", 2022, section 3.1.
    """

    def forward(self, q: Array, k: Array, v: Array, mask: Array | None = None) -> Array:
        """Give o; with no mask but the causal one."""
        self.q, self.k, self.v = q, k, v
        self.o = np.empty(q.shape, q.dtype)
        at_random = self.dropout.training and self.dropout.p > 0  # draws in order, on one thread
        n_heads, n_scores = q.shape[1], q[..., 0].size * k.shape[2]
        if at_random:
            self.parts = [self._heads(slice(0, n_heads))]
        else:
            self.parts = share_out(self._heads, n_heads, n_scores)
        return self.o

    def _heads(self, heads: slice) -> list[Block]:
        q, k, v = self.q[:, heads], self.k[:, heads], self.v[:, heads]
        T = q.shape[2]
        before = k.shape[2] - T  # keys that stand before the first query
        blocks = []
        for start in range(0, T, BLOCK):
            queries = slice(start, min(start + BLOCK, T))
            n, end = queries.stop - start, before + queries.stop
            scores = q[:, :, queries] @ k[:, :, :end].swapaxes(-1, -2)
            np.copyto(scores[..., -n:], -np.inf, where=causal_mask(n, n))
            scores -= scores.max(axis=-1, keepdims=True)
            weights = np.exp(scores, out=scores)
            weights /= weights.sum(axis=-1, keepdims=True)
            dropped = self.dropout.forward(weights)
            self.o[:, heads, queries] = dropped @ v[:, :, :end]
            blocks.append(Block(heads, queries, weights, dropped, self.dropout.mask))
        return blocks

    def backward(self, do: Array) -> tuple[Array, Array, Array]:
        """Give dq, dk and dv."""
        self.do, self.sums = do, np.vecdot(do, self.o)[..., None]
        self.dq = np.empty(self.q.shape, do.dtype)
        self.dk, self.dv = np.zeros_like(self.dq), np.zeros_like(self.dq)
        n_scores = do[..., 0].size * do.shape[2]
        share_out(self._parts_backward, len(self.parts), n_scores)
        return self.dq, self.dk, self.dv

    def _parts_backward(self, parts: slice) -> None:
        for heads, queries, weights, dropped, mask in itertools.chain(*self.parts[parts]):
            seen = slice(0, queries.stop)
            do = self.do[:, heads, queries]
            d_scores = do @ self.v[:, heads, seen].swapaxes(-1, -2)
            if mask is not None:
                d_scores *= mask
            d_scores -= self.sums[:, heads, queries]
            d_scores *= weights
            self.dq[:, heads, queries] = d_scores @ self.k[:, heads, seen]
            self.dk[:, heads, seen] += d_scores.swapaxes(-1, -2) @ self.q[:, heads, queries]
            self.dv[:, heads, seen] += dropped.swapaxes(-1, -2) @ do

    @property
    def weights(self) -> Array:  # type: ignore[override]
        """A, put together from its blocks."""
        B, H, T, _ = self.q.shape
        weights = np.zeros((B, H, T, self.k.shape[2]), self.q.dtype)
        for block in itertools.chain(*self.parts):
            seen = block.weights.shape[-1]
            weights[:, block.heads, block.queries, :seen] = block.weights
        return weights
