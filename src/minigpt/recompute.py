"""Activation checkpointing: do the forward pass twice, and keep almost nothing in between.

What the layers keep for their backward pass grows with the number of blocks, the batch and the
length of the text, and is soon more than all weights. A block that is recomputed keeps its input
only. When its turn in the backward pass comes, it goes forward once more, and back at once.

The forward pass is about a third of a step, so that is what it costs in time at most.
Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016, section 4.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, TypeVar

from minigpt.cache import KVCache
from minigpt.functional import Array
from minigpt.layers import Layer, TransformerBlock

if TYPE_CHECKING:
    from minigpt.model import miniGPT

AnyLayer = TypeVar("AnyLayer", bound=Layer)


def recompute(model: miniGPT) -> None:
    """Let all blocks of `model` but the last one keep their input only.

    The gradients stay the same to the bit. The last block's backward pass follows its forward
    pass, so that it would gain nothing. What happens inside the others cannot be looked at.
    """
    model.blocks[:-1] = [RecomputedBlock(block) for block in model.blocks[:-1]]


class RecomputedBlock(TransformerBlock):
    """The same block, with the same layers, that goes forward again in `backward`.

    Parameters
    ----------
    block : whose place it takes.
    """

    def __init__(self, block: TransformerBlock) -> None:
        vars(self).update(vars(block))

    def forward(self, x: Array, cache: KVCache | None = None) -> Array:
        """Give y, and keep x."""
        if cache is not None:  # while text is written there is little to keep
            return super().forward(x, cache)
        self.x, self.random_state = x, self._random.state
        return TransformerBlock.forward(forgetful(self), x)

    def backward(self, dy: Array) -> Array:
        """Go forward once more, and back."""
        now = self._random.state
        self._random.state = self.random_state  # drop the same numbers again
        block = forgetful(self)
        TransformerBlock.forward(block, self.x)
        self._random.state = now
        return TransformerBlock.backward(block, dy)

    @property
    def _random(self) -> Any:
        return self.attention.attention_dropout.rng.bit_generator  # that of all its layers


def forgetful(layer: AnyLayer) -> AnyLayer:
    """Copy layers, but not their arrays: what the copies keep of a forward pass goes with them."""
    other = copy.copy(layer)
    for name, child in layer.children():
        setattr(other, name, forgetful(child))
    return other
