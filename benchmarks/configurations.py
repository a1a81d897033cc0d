"""The four sizes that are measured, and the number of operations in one step of each.

How operations are counted (Chowdhery et al., "PaLM", 2022, appendix B): a product with a matrix of
n weights takes 2n operations per token. The backward pass takes two such products for each of the
forward pass, because it needs the gradients of both factors. That makes

    6 · N · tokens

operations for the N weights that take part in matrix products: 4 d² in the attention and
2 · d · d_ff = 8 d² in the feed-forward layer of each block, and V · d in the head, whether it has
its own weights or those of the embedding. Embeddings are looked up, not multiplied.

Attention also multiplies activations: every query with T keys, and every row of T weights with the
values. Each takes 2 · T · d operations, so a layer takes 4 · T · d per token, and three times as
many with the backward pass:

    12 · n_layers · d · T · tokens

By convention, all T keys count for every query. With the causal mask, on average only half of them
are needed, and an implementation that skips the other half does less work than is counted. So the
tables also show a figure that counts half of the attention.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from minigpt import miniGPT


@dataclass(frozen=True)
class Configuration:
    """The sizes of a model and of a batch.

    Attributes
    ----------
    n_layers, n_heads, d_model, T, batch, V : as everywhere in miniGPT.
    tied : whether the head uses the weights of the token embedding.
    """

    name: str
    n_layers: int
    n_heads: int
    d_model: int
    T: int
    batch: int
    V: int
    tied: bool = False

    @property
    def tokens(self) -> int:
        """Number of tokens in a step."""
        return self.batch * self.T

    @property
    def matrix_weights(self) -> int:
        """Number of weights that take part in matrix products (N)."""
        return 12 * self.n_layers * self.d_model**2 + self.V * self.d_model

    @property
    def attention_flops(self) -> int:
        """Operations of a step between activations, without a causal mask."""
        return 12 * self.n_layers * self.d_model * self.T * self.tokens

    @property
    def flops(self) -> int:
        """Operations of a step, counted by convention."""
        return 6 * self.matrix_weights * self.tokens + self.attention_flops

    @property
    def needed_flops(self) -> int:
        """Operations of a step with half of the attention, as the causal mask needs."""
        return self.flops - self.attention_flops // 2

    def model(self, **options: Any) -> miniGPT:
        """Return a new model of this size."""
        sizes = (self.V, self.T, self.d_model, self.n_heads, self.n_layers)
        return miniGPT(*sizes, tie_weights=self.tied, seed=0, **options)

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.n_layers} layers, {self.n_heads} heads, d {self.d_model}, "
            f"T {self.T}, batch {self.batch}, V {self.V:,}"
        )


S = Configuration("S", n_layers=4, n_heads=4, d_model=128, T=64, batch=12, V=65)
M = Configuration("M", n_layers=6, n_heads=6, d_model=384, T=256, batch=8, V=65)
L = Configuration("L", n_layers=12, n_heads=12, d_model=768, T=64, batch=4, V=50257, tied=True)
X = replace(L, name="X", T=1024, batch=1)

TINY = Configuration("tiny", n_layers=1, n_heads=2, d_model=16, T=16, batch=4, V=128, tied=True)


ALL = {c.name: c for c in (S, M, L, X)}
