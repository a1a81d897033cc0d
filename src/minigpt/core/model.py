"""miniGPT: the whole model, from token ids to scores for the next token, in reading order."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np

from minigpt.core.checks import check_sizes, rng_of
from minigpt.core.checks_arrays import check_targets
from minigpt.core.checks_model import check_batch_ids, check_dtype, check_has_loss
from minigpt.core.functional import Array, cross_entropy, cross_entropy_backward
from minigpt.core.kernels import kernel
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

if TYPE_CHECKING:
    from minigpt.core.cache import KVCache


class miniGPT(Layer):
    """A decoder-only Transformer with the architecture of GPT-2.

        x = token_embedding[ids] + position_embedding[0 … T−1]
        x = block(x)                        n_layers times
        logits = head(final_norm(x))        scores for the token that comes after each position

    Parameters
    ----------
    vocab_size : number of token ids (V).
    max_len : the longest text the model can read, in tokens; the number of learned positions.
    d_model : length of a token's vector (C), a multiple of n_heads.
    n_heads : attention heads in each block (H).
    n_layers : number of blocks.
    d_ff : length of the vector inside a feed-forward layer; 4 · d_model if None.
    activation : "gelu" (tanh form, as in GPT-2) or "relu".
    bias : False leaves out the biases of Linear and the shifts of LayerNorm. The head has no bias.
    tie_weights : True makes the head use the token embedding's weights, as in GPT-2.
    dropout : probability of dropping an entry of embeddings, attention weights and residuals.
    seed : a whole number (or NumPy Generator), for the same weights and dropout each time.
    dtype : "float32", or "float64" to check gradients.

    Initial weights are as in GPT-2: normal with standard deviation 0.02; for the two projections in
    each block that add to the residual stream, 0.02 / √(2 · n_layers). Biases are 0, scales 1.
    Source: Radford et al., 2019, section 2.3, and the code OpenAI released with it.
    """

    def __init__(
        self, vocab_size: int, max_len: int, d_model: int, n_heads: int, n_layers: int,
        d_ff: int | None = None, activation: str = "gelu", bias: bool = True,
        tie_weights: bool = False, dropout: float = 0.0,
        seed: int | np.random.Generator | None = None, dtype: DType = np.float32,
    ) -> None:  # fmt: skip
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
        for block in self.blocks:  # the two projections onto the residual stream
            block.attention.projection.weight *= (2 * n_layers) ** -0.5
            block.feed_forward.down.weight *= (2 * n_layers) ** -0.5
        self.final_norm = LayerNorm(d_model, bias, dtype=dtype)
        self.head = Linear(d_model, vocab_size, bias=False, seed=rng, dtype=dtype)
        self.tie()

    generate: Callable[..., Array]  # attached to the class by `core.generation` and `folders`
    save_pretrained: Callable[..., None]
    from_pretrained: ClassVar[Callable[..., Self]]

    def forward(
        self, ids: Any, targets: Any = None, cache: list[KVCache] | None = None
    ) -> tuple[Array, float | None]:
        """Return scores for the next token at each position and, if `targets` are given, the loss.

        Parameters
        ----------
        ids : int (B, T), with 1 ≤ T ≤ max_len.
        targets : int (B, T), the id that really comes next at each position.
        cache : from `minigpt.core.generation.new_cache`; `ids` then continue the text it holds.

        Returns
        -------
        logits : (B, T, V). The scores at position t depend only on the tokens 0 … t.
        loss : mean cross-entropy in nats per token, or None without targets.
        """
        logits = self.head.forward(self.hidden(ids, cache))  # (B, T, V)
        if targets is not None:
            targets = check_targets(logits.shape, targets)
        self.kept = logits, targets
        return logits, None if targets is None else cross_entropy(logits, targets)

    def hidden(self, ids: Any, cache: list[KVCache] | None = None) -> Array:
        """Return the input of the head (B, T, C): a vector for each position."""
        self.kept = None, None
        room = self.max_len - (cache[0].length if cache else 0)
        ids = check_batch_ids(ids, self.vocab_size, room)
        positions = cache[0].next_positions(ids.shape[1]) if cache else None
        x = self.position_embedding.forward(self.token_embedding.forward(ids), positions)
        x = self.dropout.forward(x)  # (B, T, C)
        for i, block in enumerate(self.blocks):
            x = block.forward(x, cache[i] if cache else None)
        return self.final_norm.forward(x)

    def backward(self, dlogits: Array | None = None) -> None:
        """Write the gradient of the latest loss with respect to every parameter.

        To use another loss, pass `dlogits` (B, T, V), its gradient with respect to the logits.
        """
        if dlogits is None:
            dlogits = cross_entropy_backward(*check_has_loss(vars(self).get("kept")))
        self.hidden_backward(self.head.backward(dlogits))

    def hidden_backward(self, dx: Array) -> None:
        """Write all gradients below the head, from dx (B, T, C) for the result of `hidden`."""
        dx = self.final_norm.backward(dx)
        for block in reversed(self.blocks):
            dx = block.backward(dx)
        dx = self.position_embedding.backward(self.dropout.backward(dx))
        self.token_embedding.backward(dx, add=self.tie_weights)

    def learn(self, ids: Any, targets: Any, share: float = 1.0) -> float:
        """Return the loss and write all gradients: forward and backward pass of a training step.

        The logits are not returned, so they need not all exist at once. Loss and gradients are
        multiplied by `share`, the share of the whole batch that these rows make up.
        """
        loss, d_hidden = head_loss(self.head, self.hidden(ids), targets, share)
        self.hidden_backward(d_hidden)
        return loss

    def tie(self) -> None:
        """If weights are tied, make the head use the token embedding's arrays.

        x = W[ids] and logits = hidden Wᵀ both depend on W, so dW is the sum of two gradients. The
        head's backward pass comes first and writes (hiddenᵀ dlogits)ᵀ; then the embedding adds.
        """
        if self.tie_weights:
            self.head.parameter_names = ()  # the head has no parameters of its own
            self.head.weight = self.token_embedding.weight.T
            d_weight = self.token_embedding.d_weight
            self.head.d_weight = None if d_weight is None else d_weight.T

    @cached_property
    def flat(self) -> Flat:
        """All parameters in one array, and all gradients in another: see `Flat`."""
        return lay_flat(self)

    def params(self) -> dict[str, Array]:
        """Return name → parameter, live: writing into an array changes the model."""
        _ = self.flat  # moves the parameters, which are views from then on
        return super().params()

    def grads(self) -> dict[str, Array]:
        """Return name → gradient from the latest `backward`; zeros where none is computed."""
        _ = self.flat
        return super().grads()

    def __getstate__(self) -> dict[str, Any]:
        # Copying or pickling turns views into separate arrays: the copy creates `flat` anew.
        return {name: value for name, value in super().__getstate__().items() if name != "flat"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.tie()


@kernel
def head_loss(head: Linear, hidden: Array, targets: Any, share: float = 1.0) -> tuple[float, Array]:
    """Return the loss and its gradient with respect to `hidden`, the input of the head (B, T, C).

    Write the gradient of the head's weight. All three are multiplied by `share`.
    """
    logits = head.forward(hidden)
    d_logits = share * cross_entropy_backward(logits, targets)
    return share * cross_entropy(logits, targets), head.backward(d_logits)


class Flat(NamedTuple):
    """The parameters of a model in one array (n,), their gradients in another; matrices first.

    The layers hold views of their parts, so change these arrays in place: `flat.params[...] = …`.
    Then an optimizer step, a clip or a sum over threads is one line. Parameters whose gradient is
    None are not included.
    """

    params: Array
    grads: Array
    n_matrix_params: int  # entries [0:n] belong to matrices; only they decay
    places: dict[str, slice]  # name → the part of both arrays that belongs to this parameter


def lay_flat(model: miniGPT, params: Array | None = None) -> Flat:
    """Move parameters and gradients of a model into flat arrays; its layers get views of them.

    If `params`, the flat parameters of an equal model, is given, both models share their weights,
    while each has its own gradients.
    """
    trained = [slot for slot in model.slots() if getattr(slot[1], "d_" + slot[2]) is not None]
    slots = sorted(trained, key=lambda slot: getattr(slot[1], slot[2]).ndim < 2)
    values = [getattr(owner, name) for _, owner, name in slots]
    if params is None:
        params = np.concatenate([value.reshape(-1) for value in values])
    grads = np.concatenate([getattr(owner, "d_" + name).reshape(-1) for _, owner, name in slots])
    places, start = {}, 0
    for (path, owner, name), value in zip(slots, values, strict=True):
        part = places[path] = slice(start, start + value.size)
        setattr(owner, name, params[part].reshape(value.shape))
        setattr(owner, "d_" + name, grads[part].reshape(value.shape))
        start += value.size
    model.tie()
    return Flat(params, grads, sum(v.size for v in values if v.ndim >= 2), places)
