"""What keeps flat arrays in one piece: one thread lays them, and nobody copies them alone."""

import threading
from functools import cached_property
from typing import NoReturn

from minigpt.core.model import Flat, lay_flat, miniGPT

_laying = threading.Lock()


def _flat(model: miniGPT) -> Flat:
    with _laying:  # two threads that ask at once get the same
        return vars(model).get("flat") or lay_flat(model)


def _no_copy(flat: Flat, protocol: object) -> NoReturn:
    raise TypeError(
        "flat parameters are views of each other, and copies would not be: copy or pickle the "
        "model (and its optimizer with it), not its flat arrays"
    )


def keep_in_one_piece() -> None:
    """Guard the flat arrays of all models."""
    flat = cached_property(_flat)
    flat.__doc__ = miniGPT.flat.__doc__
    flat.__set_name__(miniGPT, "flat")
    miniGPT.flat = flat  # type: ignore[assignment]
    Flat.__reduce_ex__ = _no_copy  # type: ignore[method-assign, assignment]
