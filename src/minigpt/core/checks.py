"""Checks at the doors: errors that say what was given, what was expected and what to do."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

Floats: TypeAlias = np.ndarray[Any, np.dtype[Any]]


def check_whole(**numbers: Any) -> None:
    """Raise unless every named number is a whole one."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise TypeError(f"{name} must be a whole number, got {number!r:.100}")


def check_sizes(**sizes: Any) -> None:
    """Raise unless every named size is a whole number of at least 1."""
    check_whole(**sizes)
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")


def is_list(value: Any) -> bool:
    """Return whether `value` has members one after another, and is no text and no dictionary."""
    number = isinstance(value, np.ndarray) and value.ndim == 0
    return isinstance(value, Iterable) and not (isinstance(value, str | bytes | Mapping) or number)


def check_below(n: int, **places: Any) -> None:
    """Raise unless every named number is one of the places 0 … n − 1."""
    check_whole(**places)
    for name, place in places.items():
        if not 0 <= place < n:
            raise ValueError(f"{name} must be from 0 to {n - 1}, got {place}")


def check_position(position: Any, n: int) -> int:
    """Return the place that `position` means among `n`, counted from the end if negative."""
    check_whole(position=position)
    if not -n <= position < n:
        raise ValueError(f"position must be from {-n} to {n - 1}, got {position}")
    return int(position) % n


def check_numbers(**numbers: Any) -> None:
    """Raise unless every named number is one that can be compared with others."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float | np.number):
            raise TypeError(f"{name} must be a number, got {number!r:.100}")


def check_fraction(**fractions: Any) -> None:
    """Raise unless every named number is at least 0 and less than 1."""
    check_numbers(**fractions)
    for name, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise ValueError(f"{name} must be at least 0 and less than 1, got {fraction}")


def check_amount(**amounts: Any) -> None:
    """Raise unless every named number is 0 or more, and finite."""
    check_numbers(**amounts)
    for name, amount in amounts.items():
        if not 0 <= amount < float("inf"):
            raise ValueError(f"{name} must be 0 or more, and finite, got {amount}")


MOST_THREADS = 1024
"""Each has a replica of the model, so that a number mistyped could take all memory."""


def check_threads(**threads: Any) -> None:
    """Raise unless every named number is one of threads, 0 for one a core."""
    check_whole(**threads)
    for name, n in threads.items():
        if not 0 <= n <= MOST_THREADS:
            raise ValueError(f"{name} must be from 0 (one a core) to {MOST_THREADS}, got {n}")


def check_heads(d_model: Any, n_heads: Any) -> None:
    """Raise unless vectors of `d_model` numbers can be shared out evenly among `n_heads`."""
    check_sizes(d_model=d_model, n_heads=n_heads)
    if d_model % n_heads:
        nearest = " or ".join(
            f"{n * n_heads}" for n in (d_model // n_heads, d_model // n_heads + 1) if n
        )
        raise ValueError(
            f"d_model must be a multiple of n_heads, got d_model={d_model}, n_heads={n_heads}: "
            f"choose {nearest}"
        )


def check_known(what: str, given: Any, known: Iterable[str]) -> str:
    """Give `given` if it is one of the names that are `known`, or raise."""
    if not isinstance(given, str) or given not in known:
        raise ValueError(unknown(what, str(given), known))
    return given


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """Give `dtype` as NumPy's, if a model can have it, or raise."""
    if dtype not in ("float32", "float64", np.float32, np.float64):
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r:.100}")
    return np.dtype(dtype)


def check_has(name: str, value: Any, attribute: str, what: str) -> None:
    """Raise unless `value` looks like `what` it should be, since it has this attribute."""
    if not hasattr(value, attribute):
        raise TypeError(f"{name} must be {what}, got {value!r:.100}")


def check_model(model: Any) -> None:
    """Raise unless `model` is one."""
    check_has("model", model, "blocks", "a miniGPT")


def rng_of(seed: Any) -> np.random.Generator:
    """Give the generator that `seed` stands for, or is, or raise."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(
            "seed must be a whole number of 0 or more, a NumPy Generator or None, "
            f"got {seed!r:.100}"
        ) from None


def check_floats(x: Any, name: str = "x") -> Floats:
    """Return `x` in C order if it is an array of floats, of one dimension at least, or raise."""
    if not isinstance(x, np.ndarray) or x.dtype.kind != "f" or x.ndim == 0:
        given = f"an array of {x.dtype}" if isinstance(x, np.ndarray) and x.ndim else f"{x!r:.100}"
        raise TypeError(f"{name} must be an array of floats, got {given}")
    return plain(x)


def plain(x: Floats) -> Floats:
    """Return `x` as it usually lies in memory: C order, the byte order of this machine.

    It is `x` itself where it lies so. Functions that work on what this returns give the same to
    the bit for any layout: transposed, strided or broadcast. Of float16, whose sums soon end at
    65,504, float32 is made.
    """
    dtype = np.float32 if x.dtype == np.float16 else x.dtype.newbyteorder("=")
    return np.asarray(unmasked(x), dtype, order="C")


def unmasked(x: Any) -> Floats:
    """Return `x` as an array, or raise if some of it is masked: nothing here skips it."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise TypeError(
            f"an array with {x.mask.sum():,} masked entries was given, which would count "
            "as if they were not masked: give x.compressed() or x.filled(value)"
        )
    try:
        return np.asarray(x)
    except ValueError:  # NumPy: "an inhomogeneous shape after 1 dimensions"
        raise ValueError(f"rows must be lists of one length, got {x!r:.100}") from None


def check_writable(x: Any, name: str) -> None:
    """Raise unless the array `x`, which is to be overwritten, can be."""
    if not x.flags.writeable:
        raise ValueError(f"{name} must be writable, as it is overwritten: give a copy of it")


def check_vectors(x: Any, width: int, ndim: int | None = None) -> Floats:
    """Return `x` if it is a float array (..., width), or with `ndim` 3 (B, T, width), or raise."""
    x = check_floats(x)
    if x.shape[-1] != width or (ndim and (x.ndim != ndim or x.size == 0)):
        expected = f"(batch, time, {width})" if ndim else f"(..., {width})"
        raise ValueError(f"x must have the shape {expected}, got {x.shape}")
    return x


def check_gradient(dy: Any, shape: tuple[int, ...]) -> Floats:
    """Return `dy` if it is a float array of the `shape` that y had, or raise."""
    dy = check_floats(dy, "dy")
    if dy.shape != shape:
        raise ValueError(f"dy must have the shape of the latest y, {shape}, got {dy.shape}")
    return dy


def check_scores(x: Any, name: str = "x", axis: int = -1) -> Floats:
    """Return `x` as floats if it is an array of numbers, at least one along `axis`, or raise."""
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiu":
        given = f"an array of {x.dtype}" if isinstance(x, np.ndarray) else f"{x!r:.100}"
        raise TypeError(f"{name} must be an array of numbers, got {given}")
    check_whole(axis=axis)
    if x.ndim and not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis must be from {-x.ndim} to {x.ndim - 1}, got {axis}")
    if x.ndim == 0 or x.shape[axis] == 0:
        raise ValueError(f"{name} must have at least one number to a row, got shape {x.shape}")
    return plain(x if x.dtype.kind == "f" else x.astype(float))  # integers would wrap around


def check_tokens(data: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Give `data`, all ids of a text, as an integer array (N,), or raise; ids are not looked at."""
    array = unmasked(data)
    if array.ndim != 1:
        raise ValueError(f"data must have the shape (N,), a row of ids, got shape {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"data must be token ids, got an array of {array.dtype}")
    return array


def check_ids(ids: Any, size: int, what: str = "token ids") -> np.ndarray[Any, np.dtype[Any]]:
    """Return `ids` as an int64 array, each from 0 to `size` − 1, or raise.

    NumPy would take a negative id for one counted from the end, without a word; and uint64 beside
    int64 becomes float64.
    """
    array = unmasked(ids)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{what} must be integers, got an array of {array.dtype}")
    if array.size and (array.min() < 0 or array.max() >= size):
        wrong = array[(array < 0) | (array >= size)].flat[0]
        raise ValueError(f"{what} must be from 0 to {size - 1}, got {wrong}")
    return array.astype(np.int64, order="C", copy=False)


def check_text(ids: Any, vocab_size: int, room: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Give `ids` as an integer array (B, T) with T ≤ room, the rest of the context, or raise."""
    array = check_ids(ids, vocab_size)
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"ids must have the shape (batch, time), got shape {array.shape}")
    if array.shape[1] > room:
        raise ValueError(
            f"{array.shape[1]} tokens do not fit the context, which has room for {room}: "
            "give the model the last ones only, or make it with a larger max_len"
        )
    return array


def check_targets(shape: tuple[int, ...], targets: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return `targets`, int64, with one id for each row of logits of `shape` (..., V), or raise."""
    targets = check_ids(targets, shape[-1], "targets")
    if targets.size == 0:
        raise ValueError(f"there are no targets to take the mean loss of, shape {targets.shape}")
    if targets.shape != shape[:-1]:
        raise ValueError(
            f"targets must have one id for each position, shape {shape[:-1]}, "
            f"got shape {targets.shape}"
        )
    return targets


def nearest(given: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that `given` may have been meant to be, or None.

    Letters' case, dashes and underscores do not count: --Top_p is near --top-p. Equal names have a
    likeness of 1; below `cutoff`, a name is not near.
    """
    plain = {name.lower().replace("_", "-").strip("-"): name for name in known}
    given = given[:100].lower().replace("_", "-").strip("-")
    swapped = [name for name in plain if sorted(name) == sorted(given)]  # gtp2
    found = swapped or difflib.get_close_matches(given, plain, n=1, cutoff=cutoff)
    if not found and given:
        found = [name for name in plain if name.startswith(given)]
    return plain[found[0]] if len(found) == 1 else None


MANY = 15
"""So many known names are not listed where one of them is near."""


def unknown(what: str, given: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Say that `given` is no known `what`; suggest the nearest, and list what is known."""
    known = list(known)
    guess = nearest(given, known, cutoff)
    hint = f"did you mean {guess!r}?" if guess else ""
    if not guess or len(known) <= MANY:
        hint = f"{hint} Known: {', '.join(known)}".strip()
    return f"unknown {what} {given[:100]!r}: {hint}"
