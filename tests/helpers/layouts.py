"""The same numbers in any memory layout."""

import numpy as np


def strided(x):
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype)
    wide[..., 1::2] = x
    return wide[..., 1::2]


def unaligned(x):
    memory = np.zeros(x.nbytes + 1, np.uint8)
    other = memory[1:].view(x.dtype).reshape(x.shape)
    other[...] = x
    return other


def read_only(x):
    other = x.copy()
    other.flags.writeable = False
    return other


def axes_swapped(one, other):
    def swap(x):
        return x.swapaxes(one, other).copy().swapaxes(one, other) if x.ndim > 1 else strided(x)

    return swap


LAYOUTS = {
    "Fortran": lambda x: x.copy("F"),
    "first axes swapped": axes_swapped(0, 1),
    "last axes swapped": axes_swapped(-1, -2),
    "strided": strided,
    "backwards": lambda x: np.flip(np.flip(x).copy()),
    "read-only": read_only,
    "unaligned": unaligned,
    "byte-swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
}
