"""Attention over a long text in blocks of queries. A block uses only the keys up to its own end.

Almost half of the T × T scores are masked. The blocks skip most of these, in the forward and in the
backward pass. At T = 256 this takes two thirds of the time, at T = 1024 less than half.

The weights are not kept: at T = 1024 and D = 64, they would be the largest array kept by a layer.
The backward pass computes those of a block again with one matrix product and one exp, because the
sums are known: A_ij = exp(S_ij − log Σ_j exp(S_ij)).

The sum in softmax_backward, Σ_j dA_ij A_ij, has a shorter form. Since o = A v, also with dropout,
it is Σ_j (do_i · v_j) A_ij = do_i · o_i: a sum of D terms instead of T.
Source: Dao et al., "FlashAttention", 2022, section 3.1.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np

from minigpt.core.functional import Array, causal_mask, drop, dropout_mask
from minigpt.core.kernels import PLAIN
from minigpt.fast.threads import share_out

BLOCK_LENGTH = 64
"""Queries in a block. Much smaller blocks make matrix products slow; much larger ones skip less."""


class Block(NamedTuple):
    """What the backward pass needs to know about a block of queries."""

    heads: slice
    queries: slice
    log_sums: Array  # (B, heads, queries, 1), log Σ_j exp(S_ij)
    dropout_mask: Array | None


class BlockedAttentionKept(NamedTuple):
    """What the fast `attention` keeps; `parts` has a list of blocks for each thread."""

    q: Array  # divided by √D
    k: Array
    v: Array
    o: Array
    parts: list[list[Block]]
    p: float

    @property
    def weights(self) -> Array:
        """The attention weights A (B, H, T, K), computed again from the blocks."""
        weights = np.zeros((*self.q.shape[:3], self.k.shape[2]), self.q.dtype)
        for block in itertools.chain(*self.parts):
            part, seen = _weights(self, block)
            weights[:, block.heads, block.queries, seen] = part
        return weights


def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    p: float = 0.0,
    rng: np.random.Generator | None = None,
) -> tuple[Array, Any]:
    """Return o and what to keep: see `functional.attention`. Short texts use the plain form."""
    B, H, T, D = q.shape
    if mask is not None or T <= 2 * BLOCK_LENGTH:
        return PLAIN["attention"](q, k, v, mask, p, rng)
    q = q * (1 / math.sqrt(D))
    o = np.empty((B, T, H, D), q.dtype).swapaxes(1, 2)  # heads side by side in memory
    seeds = rng.integers(2**63, size=H) if p > 0 and rng is not None else None

    def blocks_of(heads: slice) -> list[Block]:
        rng = None if seeds is None else np.random.default_rng(seeds[heads])  # one for each thread
        blocks = []
        for start in range(0, T, BLOCK_LENGTH):
            queries = slice(start, min(start + BLOCK_LENGTH, T))
            scores, seen = _scores(q, k, heads, queries)
            largest = scores.max(axis=-1, keepdims=True)
            scores -= largest
            weights = np.exp(scores, out=scores)
            sums = weights.sum(axis=-1, keepdims=True)
            weights /= sums
            kept = dropout_mask(weights, p, rng)
            o[:, heads, queries] = drop(weights, kept, p) @ v[:, heads, seen]
            blocks.append(Block(heads, queries, largest + np.log(sums), kept))
        return blocks

    return o, BlockedAttentionKept(q, k, v, o, share_out(blocks_of, H, B * H * T * k.shape[2]), p)


def attention_backward(do: Array, kept: Any) -> tuple[Array, Array, Array]:
    """Return dq, dk and dv: see `functional.attention_backward`."""
    if not isinstance(kept, BlockedAttentionKept):
        return PLAIN["attention_backward"](do, kept)
    sums = np.vecdot(do, kept.o)[..., None]
    dq = np.empty_like(kept.q)
    dk, dv = (np.zeros(x.shape, dq.dtype) for x in (kept.k, kept.v))

    def parts_backward(parts: slice) -> None:
        for block in itertools.chain(*kept.parts[parts]):
            weights, seen = _weights(kept, block)
            here, there = np.s_[:, block.heads, block.queries], np.s_[:, block.heads, seen]
            d_weights = do[here] @ kept.v[there].swapaxes(-1, -2)
            dropped = drop(weights, block.dropout_mask, kept.p)
            d_scores = drop(d_weights, block.dropout_mask, kept.p)
            dv[there] += dropped.swapaxes(-1, -2) @ do[here]
            d_scores -= sums[here]
            d_scores *= weights
            dq[here] = d_scores @ kept.k[there]
            dk[there] += d_scores.swapaxes(-1, -2) @ kept.q[here]

    share_out(parts_backward, len(kept.parts), do[..., 0].size * kept.k.shape[2])
    dq *= 1 / math.sqrt(dq.shape[-1])
    return dq, dk, dv


def _scores(q: Array, k: Array, heads: slice, queries: slice) -> tuple[Array, slice]:
    """Return the scores S of a block, and the slice of keys it sees."""
    before = k.shape[2] - q.shape[2]  # number of keys before the first query
    seen = slice(0, before + queries.stop)
    n = queries.stop - queries.start
    scores = q[:, heads, queries] @ k[:, heads, seen].swapaxes(-1, -2)
    np.copyto(scores[..., -n:], -np.inf, where=causal_mask(n, n))
    return scores, seen


def _weights(kept: BlockedAttentionKept, block: Block) -> tuple[Array, slice]:
    """Return the weights A of a block, and the slice of keys it sees."""
    scores, seen = _scores(kept.q, kept.k, block.heads, block.queries)
    scores -= block.log_sums
    return np.exp(scores, out=scores), seen
