"""Activation checkpointing: do the forward pass twice, and keep almost nothing in between.

What the layers keep for their backward pass grows with the number of blocks, the batch and the
length of the text, and is soon more than all weights. A block that is recomputed keeps its input
only. When its turn in the backward pass comes, it goes forward once more, and back at once.

The forward pass is about a third of a step, so that is what it costs in time at most.
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
    """Replace all blocks of `model` but the last one by such as keep their input only.

    The gradients stay the same to the bit. The last block's backward pass follows its forward
    pass, so that it would gain nothing. What happens inside the others cannot be looked at.
    """
    model.blocks[:-1] = [RecomputedBlock(block) for block in model.blocks[:-1]]


class RecomputedBlock(TransformerBlock):
    """The same block, with the same layers, that goes forward again in `backward`.

    Parameters
    ----------
    block : the one whose place it takes.
    """

    def __init__(self, block: TransformerBlock) -> None:
        vars(self).update(vars(block))

    def forward(self, x: Array, cache: KVCache | None = None) -> Array:
        """Return y, and keep x and the state of dropout."""
        if cache is not None:  # while text is generated there is little to keep
            return super().forward(x, cache)
        self.kept = x, self._random.state
        return TransformerBlock.forward(twin(self), x)  # what that keeps goes with the twin

    def backward(self, dy: Array) -> Array:
        """Go forward once more, and back."""
        x, random_state = self.kept
        now = self._random.state
        self._random.state = random_state  # drop the same numbers again
        block = twin(self)
        TransformerBlock.forward(block, x)
        self._random.state = now
        return TransformerBlock.backward(block, dy)

    @property
    def _random(self) -> Any:
        return self.attention.attention_dropout.rng.bit_generator  # that of all its layers
