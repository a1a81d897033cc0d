"""Show models and runs: figures, the page of `minigpt explain`, tables, notebook displays.

Importing this package adds short reprs to the classes of `minigpt.core`, and rich displays to all
objects that have one. So no class imports the code that displays it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigpt.core.cache import KVCache
from minigpt.core.functional import Array, AttentionKept
from minigpt.core.layers import Layer, MultiHeadAttention
from minigpt.core.model import Flat, miniGPT
from minigpt.core.optim import SGD, AdamW
from minigpt.show import summary
from minigpt.support.brief import brief
from minigpt.support.displayed import as_html, set_renderer


def _render(shown: Any) -> str | None:
    from minigpt.show.html import to_html  # late, as it imports all classes with a display

    return to_html(shown)


def _layer(self: Layer) -> str:
    shapes = {path: getattr(owner, name).shape for path, owner, name in self.slots()}
    if len(shapes) > 4:
        return f"{type(self).__name__}({len(shapes)} parameters)"
    return f"{type(self).__name__}({', '.join(f'{k} {v}' for k, v in shapes.items())})"


def _weights(self: MultiHeadAttention) -> Array:
    """Return the attention weights of the latest forward pass, (B, H, T, T)."""
    return self.kept.weights


def _cache(self: KVCache) -> str:
    B, H, max_len, D = self.keys.shape
    return (
        f"KVCache({self.length} of {max_len} tokens, texts: {B}, heads: {H}, head size: {D}, "
        f"{self.keys.dtype})"
    )


def _sgd(self: SGD) -> str:
    return f"SGD({self.model.flat.params.size:,} parameters)"


def _adamw(self: AdamW) -> str:
    return (
        f"AdamW({self.model.flat.params.size:,} parameters, beta1={self.beta1}, "
        f"beta2={self.beta2}, weight_decay={self.weight_decay}, "
        f"steps taken: {int(self.state['t'][0]):,})"
    )


_REPRS: dict[type, Callable[[Any], str]] = {
    Layer: _layer,
    miniGPT: summary.about,
    AttentionKept: brief,
    Flat: brief,
    KVCache: _cache,
    SGD: _sgd,
    AdamW: _adamw,
}
for _kind, _repr in _REPRS.items():
    setattr(_kind, "__repr__", _repr)  # noqa: B010 (mypy knows no other way)
MultiHeadAttention.weights = property(_weights)  # type: ignore[attr-defined]
miniGPT.__str__ = summary.summary  # type: ignore[method-assign, assignment]
miniGPT._repr_html_ = as_html  # type: ignore[attr-defined]
set_renderer(_render)
