"""miniGPT: token ids in, scores for the next token out; the whole model in reading order."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from minigpt.core.checks import check_dtype, check_sizes, check_targets, check_text, rng_of
from minigpt.core.flat import LAYING, Flat, lay_flat
from minigpt.core.functional import Array, cross_entropy, cross_entropy_backward
from minigpt.core.generation import generate
from minigpt.core.layers import (
    Dropout,
    DType,
    Embedding,
    Layer,
    LayerNorm,
    Linear,
    PositionalEncoding,
    TransformerBlock,
)
from minigpt.show.summary import about, summary, summary_html
from minigpt.support.checked import checked

if TYPE_CHECKING:
    from minigpt.core.cache import KVCache
    from minigpt.text.tokenizers import Tokenizer


class miniGPT(Layer):
    """A decoder-only Transformer with the architecture of GPT-2.

        x = token_embedding[ids] + position_embedding[0 … T−1]
        x = block(x)                        n_layers times
        logits = head(final_norm(x))        scores for the token that comes after each position

    All its parameters lie in one flat array, `flat.params`, all gradients in another,
    `flat.grads`, and every layer holds views of its part: see `minigpt.core.flat`.

    Parameters
    ----------
    vocab_size : number of token ids (V).
    max_len : the longest text it can see, in tokens; the number of learned positions.
    d_model : length of a token's vector (C), a multiple of n_heads.
    n_heads : attention heads in each block (H).
    n_layers : number of blocks.
    d_ff : length in the middle of a feed-forward layer; 4 · d_model if None.
    activation : "gelu" (tanh form, as in GPT-2) or "relu".
    bias : False leaves out the biases of Linear and the shifts of LayerNorm. The head has none.
    tie_weights : True makes the head use the token embedding's weights, as in GPT-2.
    dropout : probability for embeddings, attention weights and residuals while training.
    seed : a whole number (or NumPy Generator) for the same weights and dropout each time.
    dtype : "float32", or "float64" for proofs.

    Notes
    -----
    Weights start as GPT-2's: normal with standard deviation 0.02, that of the two projections in
    each block that add to the residual stream divided by √(2 · n_layers), biases 0, scales 1.
    Source: Radford et al., 2019, section 2.3, and the code OpenAI released with it.
    """

    @checked
    def __init__(
        self,
        vocab_size: int,
        max_len: int,
        d_model: int,
        n_heads: int,
        n_layers: int,
        d_ff: int | None = None,
        activation: str = "gelu",
        bias: bool = True,
        tie_weights: bool = False,
        dropout: float = 0.0,
        seed: int | np.random.Generator | None = None,
        dtype: DType = np.float32,
    ) -> None:
        check_sizes(vocab_size=vocab_size, max_len=max_len, d_model=d_model, n_layers=n_layers)
        self.dtype = check_dtype(dtype)
        self.vocab_size, self.max_len, self.d_model = vocab_size, max_len, d_model
        self.n_heads, self.n_layers = n_heads, n_layers
        self.d_ff = 4 * d_model if d_ff is None else d_ff
        self.activation, self.bias, self.tie_weights = activation, bias, tie_weights

        self.rng = rng = rng_of(seed)
        self.token_embedding = Embedding(vocab_size, d_model, seed=rng, dtype=dtype)
        self.position_embedding = PositionalEncoding(max_len, d_model, seed=rng, dtype=dtype)
        self.dropout = Dropout(dropout, rng)
        self.blocks = [
            TransformerBlock(d_model, n_heads, self.d_ff, activation, bias, dropout, rng, dtype)
            for _ in range(n_layers)
        ]
        for block in self.blocks:  # the two that add to the residual stream start smaller
            block.attention.projection.weight *= (2 * n_layers) ** -0.5
            block.feed_forward.down.weight *= (2 * n_layers) ** -0.5
        self.final_norm = LayerNorm(d_model, bias, dtype=dtype)
        self.head = Linear(d_model, vocab_size, bias=False, seed=rng, dtype=dtype)
        self.tie()

        self.generation_config: dict[str, Any] = {}  # of the folder it was opened from
        self.logits: Array | None = None
        self.targets: Array | None = None

    def forward(
        self, ids: Any, targets: Any = None, cache: list[KVCache] | None = None
    ) -> tuple[Array, float | None]:
        """Score what comes next at every position; with targets, say how wrong that was.

        Parameters
        ----------
        ids : int (B, T), with 1 ≤ T ≤ max_len.
        targets : int (B, T), the id that really comes next at each position.
        cache : from `minigpt.core.cache.new_cache`; `ids` then continue the tokens it has seen.

        Returns
        -------
        logits : (B, T, V). Row t has seen the tokens 0 … t and no other.
        loss : mean cross-entropy in nats per token, or None without targets.
        """
        logits = self.logits = self.head.forward(self.hidden(ids, cache))  # (B, T, V)
        if targets is None:
            return logits, None
        targets = self.targets = check_targets(logits.shape, targets)
        return logits, cross_entropy(logits, targets)

    def hidden(self, ids: Any, cache: list[KVCache] | None = None) -> Array:
        """Give what the head makes scores of: a vector (C,) for each position, (B, T, C)."""
        self.logits = self.targets = None
        ids = check_text(ids, self.vocab_size, self.max_len - (cache[0].length if cache else 0))
        positions = cache[0].next_positions(ids.shape[1]) if cache else None
        x = self.position_embedding.forward(self.token_embedding.forward(ids), positions)
        x = self.dropout.forward(x)  # (B, T, C)
        for i, block in enumerate(self.blocks):
            x = block.forward(x, cache[i] if cache else None)
        return self.final_norm.forward(x)

    def backward(self, dlogits: Array | None = None) -> None:
        """Write the gradient of the latest loss with respect to every parameter not frozen.

        `dlogits` (B, T, V), if given, is that of another loss with respect to the latest logits.
        """
        if dlogits is None:
            if self.logits is None or self.targets is None:
                raise RuntimeError("backward() needs a loss: call forward(ids, targets=...) first")
            dlogits = cross_entropy_backward(self.logits, self.targets)
        self.hidden_backward(self.head.backward(dlogits))

    def hidden_backward(self, dx: Array) -> None:
        """Go back from the gradient with respect to what `hidden` gave, (B, T, C)."""
        dx = self.final_norm.backward(dx)
        for block in reversed(self.blocks):
            if block.frozen:  # and all below it
                return
            dx = block.backward(dx)
        dx = self.position_embedding.backward(self.dropout.backward(dx))
        self.token_embedding.backward(dx, add=self.tie_weights)

    generate = generate

    @cached_property
    def flat(self) -> Flat:
        """All that learns, in one array, and its gradients in another: see `minigpt.core.flat`."""
        with LAYING:  # two threads that ask at once get the same
            return vars(self).get("flat") or self.bind()

    def bind(self, params: Array | None = None) -> Flat:
        """Lay all that learns flat, or share the flat `params` of a model built alike."""
        flat = lay_flat(self, params)
        self.tie()
        self.flat = flat
        return flat

    def tie(self) -> None:
        """Let a tied head use the token embedding's arrays: it writes, the embedding adds."""
        if self.tie_weights:
            self.head.parameter_names = ()  # none of its own
            self.head.weight = self.token_embedding.weight.T
            if not self.token_embedding.frozen:
                self.head.d_weight = self.token_embedding.d_weight.T

    def params(self) -> dict[str, Array]:
        """Give name → parameter, live: writing into an array changes the model."""
        return dict(self.flat.named_params)

    def grads(self) -> dict[str, Array]:
        """Give name → gradient, as the latest `backward` wrote it."""
        return dict(self.flat.named_grads)

    def save_pretrained(self, folder: str | Path, tokenizer: Tokenizer | None = None) -> None:
        """Write a Hugging Face GPT-2 folder: see `minigpt.folders.pretrained.save_pretrained`."""
        from minigpt.folders.pretrained import save_pretrained

        save_pretrained(self, folder, tokenizer)

    @classmethod
    def from_pretrained(cls, folder: str | Path, dtype: DType = np.float32) -> Self:
        """Read a Hugging Face GPT-2 folder: see `minigpt.folders.pretrained.load_pretrained`."""
        from minigpt.folders.pretrained import load_pretrained

        return load_pretrained(folder, dtype, cls)

    def __getstate__(self) -> dict[str, Any]:
        # A copied or unpickled view is an array of its own: the copy lays them flat again.
        return {name: value for name, value in super().__getstate__().items() if name != "flat"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.tie()

    __repr__ = about
    __str__ = summary
    _repr_html_ = summary_html
