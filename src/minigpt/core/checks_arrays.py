"""Error checks of arrays.

An array may come from any library that implements NumPy's protocols (NEP 13, 18 and 35).
"""

from typing import Any, TypeAlias, TypeGuard

import numpy as np

from minigpt.core.checks import check_whole

Floats: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def is_array(x: Any) -> TypeGuard[Floats]:
    """Return whether `x` is an array, of NumPy or of a library that implements its protocols."""
    return hasattr(x, "__array_ufunc__") and hasattr(x, "dtype") and hasattr(x, "shape")


def check_floats(x: Any, name: str = "x") -> Floats:
    """Return `x` in C order if it is a float array with at least one dimension, or raise."""
    if not is_array(x) or x.dtype.kind != "f" or x.ndim == 0:
        given = f"an array of {x.dtype}" if is_array(x) and x.ndim else f"{x!r:.100}"
        raise TypeError(f"{name} must be an array of floats, got {given}")
    return c_order(x)


def c_order(x: Floats) -> Floats:
    """Return `x` in C order and in the byte order of this machine; no copy if it is so already.

    After this, a function computes the same bits for any memory layout: transposed, strided or
    broadcast. float16 becomes float32, because sums in float16 soon exceed its maximum, 65,504.
    """
    if not isinstance(x, np.ndarray):
        return x
    dtype = np.float32 if x.dtype == np.float16 else x.dtype.newbyteorder("=")
    return np.asarray(unmasked(x), dtype, order="C")


def unmasked(x: Any) -> Floats:
    """Return `x` as an array, or raise if it has masked entries, which nothing here would skip."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise TypeError(
            f"the array has {x.mask.sum():,} masked entries, but masks are ignored here: "
            "pass x.compressed() or x.filled(value)"
        )
    if is_array(x) and not isinstance(x, np.ndarray):
        return x
    try:
        return np.asarray(x)
    except ValueError:  # NumPy: "an inhomogeneous shape after 1 dimensions"
        raise ValueError(f"rows must all have the same length, got {x!r:.100}") from None


def check_writable(x: Any, name: str) -> None:
    """Raise unless the array `x` can be overwritten."""
    if isinstance(x, np.ndarray) and not x.flags.writeable:
        raise ValueError(f"{name} must be writable, because it is overwritten: pass a copy of it")


def check_scores(x: Any, name: str = "x", axis: int = -1) -> Floats:
    """Return `x` as floats if it is an array of numbers, not empty along `axis`, or raise."""
    if not is_array(x) or x.dtype.kind not in "fiu":
        given = f"an array of {x.dtype}" if is_array(x) else f"{x!r:.100}"
        raise TypeError(f"{name} must be an array of numbers, got {given}")
    check_whole(axis=axis)
    if x.ndim and not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis must be from {-x.ndim} to {x.ndim - 1}, got {axis}")
    if x.ndim == 0 or x.shape[axis] == 0:
        raise ValueError(f"{name} must have at least one number per row, got shape {x.shape}")
    return c_order(x if x.dtype.kind == "f" else x.astype(float))  # integers would wrap around


def check_vectors(x: Any, width: int, ndim: int | None = None) -> Floats:
    """Return `x` if it is a float array (..., width), with `ndim` 3 (B, T, width), or raise."""
    x = check_floats(x)
    if x.shape[-1] != width or (ndim and (x.ndim != ndim or x.size == 0)):
        expected = f"(batch, time, {width})" if ndim else f"(..., {width})"
        raise ValueError(f"x must have the shape {expected}, got {x.shape}")
    return x


def check_gradient(dy: Any, shape: tuple[int, ...]) -> Floats:
    """Return `dy` if it is a float array of the `shape` of y, or raise."""
    dy = check_floats(dy, "dy")
    if dy.shape != shape:
        raise ValueError(f"dy must have the shape of the latest y, {shape}, got {dy.shape}")
    return dy


def check_ids(ids: Any, size: int, what: str = "token ids") -> np.ndarray[Any, np.dtype[Any]]:
    """Return `ids` as an int64 array, each from 0 to `size` − 1, or raise.

    NumPy would silently count a negative id from the end, and turn uint64 with int64 into float64.
    """
    array = unmasked(ids)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{what} must be integers, got an array of {array.dtype}")
    if array.size and (array.min() < 0 or array.max() >= size):
        wrong = array[(array < 0) | (array >= size)].reshape(-1)[0]
        raise ValueError(f"{what} must be from 0 to {size - 1}, got {wrong}")
    return c_order(array.astype(np.int64, copy=False))


def check_tokens(data: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return `data`, the ids of a whole text, as an integer array (N,), or raise.

    The values of the ids are not checked.
    """
    array = unmasked(data)
    if array.ndim != 1:
        raise ValueError(f"data must be one row of ids, shape (N,), got shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"data must be token ids, got an array of {array.dtype}")
    return array


def check_targets(shape: tuple[int, ...], targets: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return `targets` as int64, one id for each row of logits of `shape` (..., V), or raise."""
    targets = check_ids(targets, shape[-1], "targets")
    if targets.size == 0:
        raise ValueError(f"targets must not be empty, got shape {targets.shape}")
    if targets.shape != shape[:-1]:
        raise ValueError(
            f"targets must have one id for each position, shape {shape[:-1]}, "
            f"got shape {targets.shape}"
        )
    return targets
