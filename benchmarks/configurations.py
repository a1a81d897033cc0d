"""The four sizes that are measured, and how many operations one step of each takes.

Counting operations (Chowdhery et al., "PaLM", 2022, appendix B). A product with a matrix of n
weights takes 2n operations a token. The backward pass takes two such products where the forward
pass takes one, as it needs the gradients of both factors. That makes

    6 · N · tokens

for the N weights that take part in matrix products: of each block the 4 d² of attention and the
2 · d · d_ff = 8 d² of the feed-forward layer, and the V · d of the head, whether it has weights of
its own or those of the embedding. Embeddings are looked up, not multiplied.

Attention multiplies activations as well: every query with T keys, and every row of T weights with
the values, 2 · T · d operations each, so 4 · T · d a token in each layer, and three times that with
the backward pass:

    12 · n_layers · d · T · tokens

By convention that counts all T keys for every query. The causal mask needs only half of them, on
average, and who skips the other half does less than is counted: the figure with half of the
attention is given beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from minigpt import miniGPT


@dataclass(frozen=True)
class Configuration:
    """A model and a batch.

    Attributes
    ----------
    n_layers, n_heads, d_model, T, batch, V : as everywhere in miniGPT.
    tied : whether the head has the weights of the token embedding.
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
        """Tokens in a step."""
        return self.batch * self.T

    @property
    def matrix_weights(self) -> int:
        """Weights that take part in matrix products (N)."""
        return 12 * self.n_layers * self.d_model**2 + self.V * self.d_model

    @property
    def attention_flops(self) -> int:
        """Operations of a step between activations, as if there were no causal mask."""
        return 12 * self.n_layers * self.d_model * self.T * self.tokens

    @property
    def flops(self) -> int:
        """Operations of a step by convention."""
        return 6 * self.matrix_weights * self.tokens + self.attention_flops

    @property
    def needed_flops(self) -> int:
        """Operations of a step that the causal mask leaves: half of the attention."""
        return self.flops - self.attention_flops // 2

    def model(self, **options: Any) -> miniGPT:
        """Return the model."""
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
