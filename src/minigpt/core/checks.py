"""Checks of single values at the doors: numbers, names, seeds.

An error says what was given, what was expected and what to do.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


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


def check_known(what: str, given: Any, known: Iterable[str]) -> str:
    """Return `given` if it is one of the names that are `known`, or raise."""
    if not isinstance(given, str) or given not in known:
        raise ValueError(unknown(what, str(given), known))
    return given


def check_has(name: str, value: Any, attribute: str, what: str) -> None:
    """Raise unless `value` looks like `what` it should be, since it has this attribute."""
    if not hasattr(value, attribute):
        raise TypeError(f"{name} must be {what}, got {value!r:.100}")


def rng_of(seed: Any) -> np.random.Generator:
    """Return the generator that `seed` stands for, or is, or raise."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(
            "seed must be a whole number of 0 or more, a NumPy Generator or None, "
            f"got {seed!r:.100}"
        ) from None


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
