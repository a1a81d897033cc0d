"""Activation checkpointing: do the forward pass twice, and keep almost nothing in between.

What the layers keep for their backward pass grows with the number of blocks, the batch and the
length of the text, and is soon larger than all weights. A recomputed block keeps only its input. In
the backward pass, it first repeats its forward pass and then goes back at once.

The forward pass is about a third of a step, so recomputing makes a step longer by a third at most.
Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016, section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigpt.core.cache import KVCache
from minigpt.core.functional import Array
from minigpt.core.layers import TransformerBlock, twin

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT


def recompute(model: miniGPT) -> None:
    """Replace all blocks of `model` except the last one with blocks that keep only their input.

    The gradients stay the same to the bit. The last block would gain nothing, because its backward
    pass directly follows its forward pass. The inner layers of the others cannot be inspected.
    """
    model.blocks[:-1] = [RecomputedBlock(block) for block in model.blocks[:-1]]


class RecomputedBlock(TransformerBlock):
    """A block that repeats its forward pass in `backward`.

    Parameters
    ----------
    block : the block to replace, whose layers are used.
    """

    def __init__(self, block: TransformerBlock) -> None:
        vars(self).update(vars(block))

    def forward(self, x: Array, cache: KVCache | None = None) -> Array:
        """Return y, and keep x and the state of dropout."""
        if cache is not None:  # in generation there is little to keep
            return super().forward(x, cache)
        self.kept = x, self._random.state
        return TransformerBlock.forward(twin(self), x)  # what its layers keep is freed with it

    def backward(self, dy: Array) -> Array:
        """Return dx (B, T, C), after repeating the forward pass."""
        x, random_state = self.kept
        now = self._random.state
        self._random.state = random_state  # so that the same numbers are dropped
        block = twin(self)
        TransformerBlock.forward(block, x)
        self._random.state = now
        return TransformerBlock.backward(block, dy)

    @property
    def _random(self) -> Any:
        return self.attention.attention_dropout.rng.bit_generator  # all its layers share it
