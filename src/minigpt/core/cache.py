"""The KV cache: keys and values of earlier tokens, kept so that they are computed only once."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np

from minigpt.core.checks_model import check_cache_shape, check_fits_cache
from minigpt.core.functional import Array, causal_mask


class KVCache:
    """The keys and values of the tokens read so far, for one attention layer.

    Tokens never look ahead, so a token's keys and values do not change when the text grows.
    Texts of different lengths can be read together if the shorter ones are padded on the left.
    Padding is not text: no token looks at it, and positions are counted from its end.

    The arrays, of `shape` (B, H, max_len, D), are allocated once, for the whole context. `length`
    is the number of tokens read; `padding`, int (B,) or None, is the padding of each text.
    """

    def __init__(self, shape: tuple[int, int, int, int], dtype: Any = np.float32) -> None:
        check_cache_shape(shape)
        self.keys, self.values = np.empty(shape, dtype), np.empty(shape, dtype)
        self.length = 0
        self.padding: Array | None = None

    def __copy__(self) -> Self:
        """Return a deep copy: two caches that write into the same arrays would mix their texts."""
        return copy.deepcopy(self)

    def extend(self, k: Array, v: Array) -> tuple[Array, Array, Array | None]:
        """Add the keys and values (B, H, T, D) of T more tokens.

        Returns
        -------
        keys, values : of all tokens so far, (B, H, K, D).
        mask : bool (B, 1, T, K), True where the new tokens must not look; None if the causal mask
            is enough.
        """
        check_fits_cache(k.shape, self.keys.shape, self.length)
        start, self.length = self.length, self.length + k.shape[2]
        self.keys[:, :, start : self.length] = k
        self.values[:, :, start : self.length] = v
        keys, values = self.keys[:, :, : self.length], self.values[:, :, : self.length]
        if self.padding is None:
            return keys, values, None
        padded = np.arange(self.length) < self.padding[:, None]  # (B, K)
        # Padding may look at itself: a row of softmax needs at least one score.
        hidden = padded[:, None, None, :] & ~padded[:, None, start:, None]
        return keys, values, causal_mask(k.shape[2], self.length) | hidden

    def next_positions(self, n_new: int) -> slice | Array:
        """Return the positions of the next `n_new` tokens: a slice, or int (B, n_new)."""
        end = self.length + n_new
        if self.padding is None:
            return slice(self.length, end)
        return np.maximum(np.arange(self.length, end) - self.padding[:, None], 0)
