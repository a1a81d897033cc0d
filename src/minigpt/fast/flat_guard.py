"""Guard a model's flat arrays: one thread creates them, and they are not copied without it."""

import threading
from functools import cached_property
from typing import NoReturn

from minigpt.core.model import Flat, lay_flat, miniGPT

_lock = threading.Lock()


def _flat(model: miniGPT) -> Flat:
    with _lock:  # two threads that ask at the same time get the same arrays
        return vars(model).get("flat") or lay_flat(model)


def _no_copy(flat: Flat, protocol: object) -> NoReturn:
    raise TypeError(
        "flat arrays share memory with the layers, and copies of them would not: copy or pickle "
        "the model (with its optimizer), not its flat arrays"
    )


def guard_flat_arrays() -> None:
    """Guard the flat arrays of all models."""
    flat = cached_property(_flat)
    flat.__doc__ = miniGPT.flat.__doc__
    flat.__set_name__(miniGPT, "flat")
    miniGPT.flat = flat  # type: ignore[assignment]
    Flat.__reduce_ex__ = _no_copy  # type: ignore[method-assign, assignment]
