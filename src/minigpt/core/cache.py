"""The KV cache: what attention needs to keep of the tokens it has read.

Tokens never look ahead, so a token's keys and values stay what they are when the text grows; with
them kept, the next token needs only its own.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from minigpt.core.checks import check_sizes
from minigpt.core.functional import Array, causal_mask
from minigpt.support.wording import counted

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT


class KVCache:
    """The keys and values of the tokens read so far, for one attention layer.

    Texts of different lengths are read side by side by filling up the shorter ones on the left.
    What is filled in is no text: no token looks at it, and positions count from behind it.

    Parameters
    ----------
    shape : (B, H, max_len, D). The arrays are allocated once, for the whole context.
    dtype : float32 or float64.

    Attributes
    ----------
    length : how many tokens have been read.
    padding : int (B,), how many places at the left of each text are filled in; None for none.
    """

    def __init__(self, shape: tuple[int, int, int, int], dtype: Any = np.float32) -> None:
        if np.shape(shape) != (4,):
            raise ValueError(f"shape must be (B, H, max_len, D), got {shape!r:.100}")
        B, H, max_len, D = shape
        check_sizes(batch_size=B, n_heads=H, max_len=max_len, head_size=D)
        self.keys = np.empty(shape, dtype)
        self.values = np.empty(shape, dtype)
        self.length = 0
        self.padding: Array | None = None

    def __repr__(self) -> str:
        B, H, max_len, D = self.keys.shape
        return (
            f"KVCache({self.length} of {max_len} tokens of {counted(B, 'text')}, "
            f"{counted(H, 'head')} of {counted(D, 'number')}, {self.keys.dtype})"
        )

    def __copy__(self) -> Self:
        """Copy the arrays too: two caches that wrote into the same would mix up their texts."""
        return copy.deepcopy(self)

    def extend(self, k: Array, v: Array) -> tuple[Array, Array, Array | None]:
        """Add the keys and values (B, H, T, D) of T more tokens.

        Returns
        -------
        keys, values : of all tokens so far, (B, H, K, D).
        mask : bool (B, 1, T, K), True where the new tokens must not look; None if that is the
            future only.
        """
        end = self.length + k.shape[2]
        B, H, max_len, D = self.keys.shape
        if (k.shape[0], k.shape[1], k.shape[3]) != (B, H, D) or end > max_len:
            raise ValueError(
                f"this cache is for {B} texts of {max_len} tokens, {H} heads of {D} numbers, and "
                f"has {self.length} tokens: keys of shape {k.shape} do not fit"
            )
        self.keys[:, :, self.length : end] = k
        self.values[:, :, self.length : end] = v
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end], self._mask(k.shape[2])

    def _mask(self, n_new: int) -> Array | None:
        if self.padding is None:
            return None
        filled = np.arange(self.length) < self.padding[:, None]  # (B, K)
        keys, queries = filled[:, None, None, :], filled[:, None, -n_new:, None]
        # What is filled in may look at itself, since a softmax needs something to sum over.
        return causal_mask(n_new, self.length) | (keys & ~queries)

    def next_positions(self, n_new: int) -> slice | Array:
        """Tell at which positions the next `n_new` tokens stand: a slice, or int (B, n_new)."""
        end = self.length + n_new
        if self.padding is None:
            return slice(self.length, end)
        return np.maximum(np.arange(self.length, end) - self.padding[:, None], 0)


def new_cache(model: miniGPT, batch_size: int) -> list[KVCache]:
    """Make an empty cache for `batch_size` texts, one `KVCache` for each block of the model."""
    shape = (batch_size, model.n_heads, model.max_len, model.d_model // model.n_heads)
    return [KVCache(shape, model.dtype) for _ in model.blocks]
