"""The peer: the same model in idiomatic PyTorch, with PyTorch's fast attention.

Modules have the same names as ours, so that weights can be copied by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.configurations import Configuration
from minigpt.core.functional import Array


class Attention(nn.Module):
    """Causal self-attention with one fused product for query, key and value."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.projection = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the layer, (B, T, C), for an input of the same shape."""
        B, T, C = x.shape
        q, k, v = (
            part.view(B, T, self.n_heads, -1).transpose(1, 2) for part in self.qkv(x).split(C, 2)
        )
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.projection(y.transpose(1, 2).reshape(B, T, C))


class FeedForward(nn.Module):
    """Two linear layers and GELU in its tanh form."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.up = nn.Linear(d_model, 4 * d_model)
        self.down = nn.Linear(4 * d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the layer, (B, T, C), for an input of the same shape."""
        return self.down(functional.gelu(self.up(x), approximate="tanh"))


class Block(nn.Module):
    """Attention and feed-forward layer, each after a norm and with a residual connection."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(d_model)
        self.attention = Attention(d_model, n_heads)
        self.norm_2 = nn.LayerNorm(d_model)
        self.feed_forward = FeedForward(d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the layer, (B, T, C), for an input of the same shape."""
        x = x + self.attention(self.norm_1(x))
        return x + self.feed_forward(self.norm_2(x))


class TorchGPT(nn.Module):
    """GPT-2's architecture; `forward` returns the loss."""

    def __init__(self, c: Configuration) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(c.V, c.d_model)
        self.position_embedding = nn.Embedding(c.T, c.d_model)
        self.blocks = nn.ModuleList(Block(c.d_model, c.n_heads) for _ in range(c.n_layers))
        self.final_norm = nn.LayerNorm(c.d_model)
        self.head = nn.Linear(c.d_model, c.V, bias=False)
        if c.tied:
            self.head.weight = self.token_embedding.weight

    def forward(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of ids and targets (B, T)."""
        x = self.token_embedding(ids) + self.position_embedding(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.final_norm(x))
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def paired(ours: Mapping[str, Array], theirs: TorchGPT) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each of our parameters as a tensor, with the one of the same name in `theirs`.

    Both have our shape: PyTorch's `Linear` stores the transpose of our weight. Names must match.
    """
    named = dict(theirs.named_parameters())
    for name, value in ours.items():
        their_name = name.replace(".scale", ".weight").replace(".shift", ".bias")
        param = named.pop(their_name).detach()
        transposed = value.ndim == 2 and "embedding" not in name
        yield torch.from_numpy(value), param.T if transposed else param
    if named:
        raise ValueError(
            f"the PyTorch model has parameters that ours does not have: {sorted(named)}"
        )


def copy_weights(ours: Mapping[str, Array], theirs: TorchGPT) -> None:
    """Copy our weights into the PyTorch model."""
    for our_param, their_param in paired(ours, theirs):
        their_param.copy_(our_param)


def adamw(model: nn.Module, fused: bool | None = None) -> torch.optim.AdamW:
    """Return PyTorch's AdamW with our defaults: weight decay for matrices only.

    By default PyTorch loops over the parameters on a CPU; `fused=True` selects the fused form.
    """
    params = list(model.parameters())
    groups = [
        {"params": [p for p in params if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in params if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, betas=(0.9, 0.99), eps=1e-8, fused=fused)


def step_of(
    loss_of: Callable[[Tensor, Tensor], Tensor],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    learning_rate: float,
) -> Callable[[Tensor, Tensor], float]:
    """Return a training step: forward, backward, clipping, AdamW. The step returns the loss.

    Parameters
    ----------
    loss_of : the model, or its form compiled by `torch.compile`.
    model, optimizer : the model whose parameters are trained, and its optimizer.
    """
    for group in optimizer.param_groups:
        group["lr"] = learning_rate

    def step(x: Tensor, y: Tensor) -> float:
        optimizer.zero_grad()
        loss = loss_of(x, y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step
