"""Checks at the doors: errors that say what was given, what was expected and what to do.

Arrays may be of any library that speaks NumPy's protocols (NEP 13, 18 and 35).
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias, TypeGuard

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
    """Return `given` if it is one of the names that are `known`, or raise."""
    if not isinstance(given, str) or given not in known:
        raise ValueError(unknown(what, str(given), known))
    return given


def check_dtype(dtype: Any) -> np.dtype[Any]:
    """Return `dtype` as NumPy's, if a model can have it, or raise."""
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
    """Return the generator that `seed` stands for, or is, or raise."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(
            "seed must be a whole number of 0 or more, a NumPy Generator or None, "
            f"got {seed!r:.100}"
        ) from None


def is_array(x: Any) -> TypeGuard[Floats]:
    """Whether `x` is an array, of NumPy or of a library that speaks its protocols."""
    return hasattr(x, "__array_ufunc__") and hasattr(x, "dtype") and hasattr(x, "shape")


def check_floats(x: Any, name: str = "x") -> Floats:
    """Return `x` in C order if it is an array of floats, of one dimension at least, or raise."""
    if not is_array(x) or x.dtype.kind != "f" or x.ndim == 0:
        given = f"an array of {x.dtype}" if is_array(x) and x.ndim else f"{x!r:.100}"
        raise TypeError(f"{name} must be an array of floats, got {given}")
    return c_order(x)


def c_order(x: Floats) -> Floats:
    """Return `x` as it usually lies in memory: C order, the byte order of this machine.

    It is `x` itself where it lies so. Functions that work on what this returns give the same to
    the bit for any layout: transposed, strided or broadcast. float16, whose sums soon end at
    65,504, becomes float32.
    """
    if not isinstance(x, np.ndarray):
        return x
    dtype = np.float32 if x.dtype == np.float16 else x.dtype.newbyteorder("=")
    return np.asarray(unmasked(x), dtype, order="C")


def unmasked(x: Any) -> Floats:
    """Return `x` as an array, or raise if some of it is masked: nothing here skips it."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise TypeError(
            f"an array with {x.mask.sum():,} masked entries was given, which would count "
            "as if they were not masked: give x.compressed() or x.filled(value)"
        )
    if is_array(x) and not isinstance(x, np.ndarray):
        return x
    try:
        return np.asarray(x)
    except ValueError:  # NumPy: "an inhomogeneous shape after 1 dimensions"
        raise ValueError(f"rows must be lists of one length, got {x!r:.100}") from None


def check_writable(x: Any, name: str) -> None:
    """Raise unless the array `x`, which is to be overwritten, can be."""
    if isinstance(x, np.ndarray) and not x.flags.writeable:
        raise ValueError(f"{name} must be writable, as it is overwritten: give a copy of it")


def check_vectors(x: Any, width: int, ndim: int | None = None) -> Floats:
    """Return `x` if it is a float array (..., width), or with `ndim` 3 (B, T, width), or raise."""
    x = check_floats(x)
    if x.shape[-1] != width or (ndim and (x.ndim != ndim or x.size == 0)):
        expected = f"(batch, time, {width})" if ndim else f"(..., {width})"
        raise ValueError(f"x must have the shape {expected}, got {x.shape}")
    return x


def check_positions(T: int, max_len: int) -> None:
    """Raise unless `T` tokens have positions."""
    if max_len < T:
        raise ValueError(f"{T} tokens are more than max_len = {max_len}")


def check_gradient(dy: Any, shape: tuple[int, ...]) -> Floats:
    """Return `dy` if it is a float array of the `shape` that y had, or raise."""
    dy = check_floats(dy, "dy")
    if dy.shape != shape:
        raise ValueError(f"dy must have the shape of the latest y, {shape}, got {dy.shape}")
    return dy


def check_scores(x: Any, name: str = "x", axis: int = -1) -> Floats:
    """Return `x` as floats if it is an array of numbers, at least one along `axis`, or raise."""
    if not is_array(x) or x.dtype.kind not in "fiu":
        given = f"an array of {x.dtype}" if is_array(x) else f"{x!r:.100}"
        raise TypeError(f"{name} must be an array of numbers, got {given}")
    check_whole(axis=axis)
    if x.ndim and not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis must be from {-x.ndim} to {x.ndim - 1}, got {axis}")
    if x.ndim == 0 or x.shape[axis] == 0:
        raise ValueError(f"{name} must have at least one number to a row, got shape {x.shape}")
    return c_order(x if x.dtype.kind == "f" else x.astype(float))  # integers would wrap around


def check_tokens(data: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return `data`, all ids of a text, as an integer array (N,), or raise; no id is checked."""
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
        wrong = array[(array < 0) | (array >= size)].reshape(-1)[0]
        raise ValueError(f"{what} must be from 0 to {size - 1}, got {wrong}")
    return c_order(array.astype(np.int64, copy=False))


def check_text(ids: Any, vocab_size: int, room: int) -> np.ndarray[Any, np.dtype[Any]]:
    """Return `ids` as an integer array (B, T) with T ≤ room, the rest of the context, or raise."""
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


NAMES_TO_LIST = 15
"""So many known names are not listed where one of them is near."""


def unknown(what: str, given: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Say that `given` is no known `what`; suggest the nearest, and list what is known."""
    known = list(known)
    guess = nearest(given, known, cutoff)
    hint = f"did you mean {guess!r}?" if guess else ""
    if not guess or len(known) <= NAMES_TO_LIST:
        hint = f"{hint} Known: {', '.join(known)}".strip()
    return f"unknown {what} {given[:100]!r}: {hint}"


# ── of the model, its optimizers and its cache ──


def check_has_loss(kept: Any) -> tuple[Floats, Floats]:
    """Return the logits and targets of the latest forward pass, or raise if it had no targets."""
    if kept is None or kept[1] is None:
        raise RuntimeError("backward() needs a loss: call forward(ids, targets=...) first")
    return kept


def check_adamw(model: Any, beta1: Any, beta2: Any, weight_decay: Any, eps: Any) -> None:
    """Raise unless an AdamW can be made of these."""
    check_model(model)
    check_fraction(beta1=beta1, beta2=beta2)
    check_amount(weight_decay=weight_decay, eps=eps)
    if eps == 0:
        raise ValueError("eps must be more than 0: it keeps the division finite")


def check_step(learning_rate: Any, t: int = 1, n_remembered: int = 0, n_params: int = 0) -> None:
    """Raise unless an optimizer that remembers numbers for the parameters can take step `t`."""
    check_amount(learning_rate=learning_rate)
    if t < 1:  # as only a damaged file can have it
        raise ValueError(f"the state of the optimizer says {t - 1} steps were taken: fewer than 0")
    if n_remembered != n_params:
        raise ValueError(
            f"this optimizer was made for {n_remembered:,} parameters, and now {n_params:,} learn: "
            "make a new one after freezing"
        )


def check_clipping(grads: Any, max_norm: Any) -> None:
    """Raise unless `grads` is a flat array that can be shortened in place to `max_norm`."""
    if check_floats(grads, "grads").ndim != 1:
        raise ValueError(f"grads must be one flat array (n,), got shape {grads.shape}")
    check_numbers(max_norm=max_norm)
    if not max_norm > 0:
        raise ValueError(f"max_norm must be more than 0, got {max_norm}")
    check_writable(grads, "grads")


def check_cache_shape(shape: Any) -> None:
    """Raise unless `shape` is (B, H, max_len, D)."""
    if np.shape(shape) != (4,):
        raise ValueError(f"shape must be (B, H, max_len, D), got {shape!r:.100}")
    B, H, max_len, D = shape
    check_sizes(batch_size=B, n_heads=H, max_len=max_len, head_size=D)


def check_fits_cache(shape: tuple[int, ...], room: tuple[int, ...], length: int) -> None:
    """Raise unless keys of `shape` fit a cache of the shape `room`, which has `length` tokens."""
    B, H, max_len, D = room
    if (shape[0], shape[1], shape[3]) != (B, H, D) or length + shape[2] > max_len:
        raise ValueError(
            f"this cache is for {B} texts of {max_len} tokens, {H} heads of {D} numbers, and has "
            f"{length} tokens: keys of shape {shape} do not fit"
        )


# ── of generation ──


def check_sampling(
    temperature: Any, top_k: Any, top_p: Any, min_p: Any, repetition_penalty: Any
) -> None:
    """Raise unless each setting of `minigpt.core.sampling.Sampling` makes sense."""
    check_numbers(temperature=temperature, repetition_penalty=repetition_penalty)
    check_numbers(**{n: p for n, p in {"top_p": top_p, "min_p": min_p}.items() if p is not None})
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature must be 0 (greedy) or more, got {temperature}")
    if top_k is not None:
        check_sizes(top_k=top_k)
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be more than 0 and at most 1, got {top_p}")
    if min_p is not None and not 0 <= min_p <= 1:
        raise ValueError(f"min_p must be from 0 to 1, got {min_p}")
    if not 0 < repetition_penalty < float("inf"):
        raise ValueError(
            f"repetition_penalty must be more than 0 (1 for none), got {repetition_penalty}"
        )


def check_next_scores(logits: Any, seen: Any) -> Floats:
    """Return `logits` (B, V) as floats, or raise; also unless `seen` is None or has their shape."""
    logits = check_scores(logits, "logits")
    if logits.ndim != 2:
        raise ValueError(f"logits must have the shape (batch, V), got {logits.shape}")
    if seen is not None and np.shape(seen) != logits.shape:
        raise ValueError(f"seen must have the shape {logits.shape}, got {np.shape(seen)}")
    return logits


def check_not_nan(probabilities: Floats) -> None:
    """Raise if a probability of the next token is not a number."""
    if np.isnan(probabilities).any():
        raise ValueError(
            "the scores of the next token are not all numbers: the weights of the model are "
            "damaged, or its training has diverged"
        )


def pad_left(context: Any, vocab_size: int) -> tuple[Floats, Floats]:
    """Pad rows of ids with zeros on the left, to the length of the longest.

    Returns
    -------
    ids : int (B, T), T the length of the longest row.
    padding : int (B,), the number of zeros at the left of each row.
    """
    is_many = is_list(context) and not isinstance(context, Iterator)  # which can be read once
    rows = [unmasked(row) for row in context] if is_many else []
    if (rows and all(row.ndim == 0 for row in rows)) or isinstance(context, str | bytes):
        is_text = not rows or rows[0].dtype.kind in "US"
        given, row = ("a text", "tokenizer.encode(text)") if is_text else ("one row of ids", "ids")
        raise ValueError(
            f"context must have the shape (batch, time), got {given}, {context!r:.100}: put "
            f"{row} in a list, as in generate([{row}], …)"
        )
    if not rows or any(row.ndim != 1 or row.size == 0 for row in rows):
        is_empty = is_many and all(row.size == 0 for row in rows)
        nothing = ": an empty prompt has nothing to continue" if is_empty else ""
        raise ValueError(
            "context must have the shape (batch, time), or be a list of rows, with at least one "
            f"token in each row, got {context!r:.200}{nothing}"
        )
    rows = [check_ids(row, vocab_size) for row in rows]
    padding = max(map(len, rows)) - np.array([len(row) for row in rows])
    return np.stack([np.pad(row, (n, 0)) for row, n in zip(rows, padding, strict=True)]), padding


def check_generation(
    vocab_size: int, max_new_tokens: Any, sampling: Any, stop: Any, allowed: Any
) -> Floats:
    """Return the ids that end a text, int (n,), or raise if a setting of `generate` is wrong."""
    check_sizes(max_new_tokens=max_new_tokens)
    check_has("sampling", sampling, "probabilities", "a Sampling")
    no_stop = stop is None or np.size(stop) == 0
    stops = np.empty(0, int) if no_stop else check_ids(stop, vocab_size, "stop")
    if stops.ndim > 1:
        raise ValueError(f"stop must be a token id, or a list of them, got {stop!r:.100}")
    if allowed is not None and not (np.shape(allowed) == (vocab_size,) and np.any(allowed)):
        raise ValueError(
            f"allowed must say of each of the {vocab_size} ids whether it may be drawn, and "
            f"allow one at least, got {allowed!r:.100}"
        )
    return stops
