"""The same layers and model in PyTorch, by its own modules and autograd: the reference.

The modules are called as ours are, so that a weight is found by its name. LayerNorm's scale and
shift are `weight` and `bias` there, and the weights of `nn.Linear` are stored transposed.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from minigpt.core.layers import Layer

ACTIVATIONS = {"gelu": lambda: nn.GELU(approximate="tanh"), "relu": nn.ReLU}


class Positions(nn.Embedding):
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(torch.arange(x.shape[-2]))


class Attention(nn.Module):
    def __init__(self, d_model: int, n_heads: int, bias: bool) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model, bias)
        self.projection = nn.Linear(d_model, d_model, bias)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
            for part in self.qkv(x).chunk(3, dim=-1)
        )
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.projection(heads.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, d_model: int, d_ff: int, activation: str, bias: bool) -> None:
        super().__init__()
        self.up = nn.Linear(d_model, d_ff, bias)
        self.activation = ACTIVATIONS[activation]()
        self.down = nn.Linear(d_ff, d_model, bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.activation(self.up(x)))


class Block(nn.Module):
    def __init__(self, d_model: int, n_heads: int, d_ff: int, activation: str, bias: bool) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(d_model, bias=bias)
        self.attention = Attention(d_model, n_heads, bias)
        self.norm_2 = nn.LayerNorm(d_model, bias=bias)
        self.feed_forward = FeedForward(d_model, d_ff, activation, bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm_1(x))
        return x + self.feed_forward(self.norm_2(x))


class GPT(nn.Module):
    """The reference for a `miniGPT`, with a copy of its weights."""

    def __init__(self, ours) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(ours.vocab_size, ours.d_model)
        self.position_embedding = Positions(ours.max_len, ours.d_model)
        self.blocks = nn.ModuleList(
            Block(ours.d_model, ours.n_heads, ours.d_ff, ours.activation, ours.bias)
            for _ in range(ours.n_layers)
        )
        self.final_norm = nn.LayerNorm(ours.d_model, bias=ours.bias)
        self.head = nn.Linear(ours.d_model, ours.vocab_size, bias=False)
        if ours.tie_weights:
            self.head.weight = self.token_embedding.weight
        copy_weights(ours, self)

    def forward(self, ids: np.ndarray, targets: np.ndarray) -> tuple[Tensor, Tensor]:
        x = self.position_embedding(self.token_embedding(torch.tensor(ids)))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.final_norm(x))
        return logits, F.cross_entropy(logits.flatten(0, 1), torch.tensor(targets).flatten())


def copy_weights(ours: Layer, theirs: nn.Module) -> None:
    """Return `theirs` the weights of `ours`, in their dtype; each has what the other has."""
    named = dict(theirs.named_parameters())
    for name, values in as_in_torch(ours.params(), theirs).items():
        parameter = named.pop(name)
        assert parameter.shape == values.shape
        parameter.data = torch.tensor(values)
    assert not named


def gradients(theirs: nn.Module) -> dict[str, np.ndarray]:
    """Return name → gradient, as the latest backward pass wrote it."""
    return {name: parameter.grad.numpy() for name, parameter in theirs.named_parameters()}


def as_in_torch(arrays: dict[str, np.ndarray], theirs: nn.Module) -> dict[str, np.ndarray]:
    """Return arrays that go by our names the names and shapes they have in `theirs`."""
    renamed = {}
    for name, array in arrays.items():
        path, _, leaf = name.rpartition(".")
        leaf = {"scale": "weight", "shift": "bias"}.get(leaf, leaf)
        transposed = isinstance(theirs.get_submodule(path), nn.Linear) and leaf == "weight"
        renamed[f"{path}.{leaf}".lstrip(".")] = array.T.copy() if transposed else array.copy()
    return renamed
