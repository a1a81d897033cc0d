"""Error checks of single arguments: numbers, names and seeds.

Each error says what was given, what was expected and what to do.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def check_whole(**numbers: Any) -> None:
    """Raise unless each number is a whole number. Errors name the keyword argument."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise TypeError(f"{name} must be a whole number, got {number!r:.100}")


def check_sizes(**sizes: Any) -> None:
    """Raise unless each size is a whole number of at least 1."""
    check_whole(**sizes)
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")


def is_list(value: Any) -> bool:
    """Return whether `value` is a sequence or array of items, not text, a mapping or one number."""
    is_number = isinstance(value, np.ndarray) and value.ndim == 0
    is_single = is_number or isinstance(value, str | bytes | Mapping)
    return isinstance(value, Iterable) and not is_single


def check_index(n: int, **indices: Any) -> None:
    """Raise unless each index is a whole number from 0 to n − 1."""
    check_whole(**indices)
    for name, index in indices.items():
        if not 0 <= index < n:
            raise ValueError(f"{name} must be from 0 to {n - 1}, got {index}")


def check_position(position: Any, n: int) -> int:
    """Return `position` among `n` as an index from 0. A negative one counts from the end."""
    check_whole(position=position)
    if not -n <= position < n:
        raise ValueError(f"position must be from {-n} to {n - 1}, got {position}")
    return int(position) % n


def check_numbers(**numbers: Any) -> None:
    """Raise unless each value is a real number, whole or not."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float | np.number):
            raise TypeError(f"{name} must be a number, got {number!r:.100}")


def check_fraction(**fractions: Any) -> None:
    """Raise unless each fraction is at least 0 and less than 1."""
    check_numbers(**fractions)
    for name, fraction in fractions.items():
        if not 0 <= fraction < 1:
            raise ValueError(f"{name} must be at least 0 and less than 1, got {fraction}")


def check_amount(**amounts: Any) -> None:
    """Raise unless each amount is 0 or more, and finite."""
    check_numbers(**amounts)
    for name, amount in amounts.items():
        if not 0 <= amount < float("inf"):
            raise ValueError(f"{name} must be 0 or more, and finite, got {amount}")


MAX_THREADS = 1024
"""Each thread has a replica of the model, so a mistyped number could fill the memory."""


def check_threads(**threads: Any) -> None:
    """Raise unless each is a possible number of threads; 0 means one per core."""
    check_whole(**threads)
    for name, n in threads.items():
        if not 0 <= n <= MAX_THREADS:
            raise ValueError(f"{name} must be from 0 (one per core) to {MAX_THREADS}, got {n}")


def check_known(what: str, given: Any, known: Iterable[str]) -> str:
    """Return `given` if it is one of the `known` names, or raise."""
    if not isinstance(given, str) or given not in known:
        raise ValueError(unknown(what, str(given), known))
    return given


def check_has(name: str, value: Any, attribute: str, what: str) -> None:
    """Raise unless `value` has an `attribute`; the error says that `what` was expected."""
    if not hasattr(value, attribute):
        raise TypeError(f"{name} must be {what}, got {value!r:.100}")


def rng_of(seed: Any) -> np.random.Generator:
    """Return `seed` itself if it is a Generator, else a new Generator with this seed, or raise."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise type(error)(
            "seed must be a whole number of at least 0, a NumPy Generator or None, "
            f"got {seed!r:.100}"
        ) from None


def nearest(given: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the known name that is most similar to `given`, or None if none is similar enough.

    Upper and lower case, dashes and underscores do not matter: --Top_p means --top-p. `cutoff` is
    the least similarity needed, from 0 to 1 (equal).
    """
    plain = {name.lower().replace("_", "-").strip("-"): name for name in known}
    given = given[:100].lower().replace("_", "-").strip("-")
    swapped = [name for name in plain if sorted(name) == sorted(given)]  # gtp2
    found = swapped or difflib.get_close_matches(given, plain, n=1, cutoff=cutoff)
    if not found and given:
        found = [name for name in plain if name.startswith(given)]
    return plain[found[0]] if len(found) == 1 else None


MAX_LISTED_NAMES = 15
"""With more known names than this, an error lists them only if it cannot suggest one."""


def unknown(what: str, given: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return an error message: `given` is not a known `what`. Suggest the nearest known name."""
    known = list(known)
    guess = nearest(given, known, cutoff)
    hint = f"did you mean {guess!r}?" if guess else ""
    if not guess or len(known) <= MAX_LISTED_NAMES:
        hint = f"{hint} Known: {', '.join(known)}".strip()
    return f"unknown {what} {given[:100]!r}: {hint}"
