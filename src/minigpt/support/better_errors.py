"""Better error messages for the classes of the textbook; importing this module plugs them in.

A missing attribute or an unknown argument gets a hint, or the nearest existing name.
"""

from __future__ import annotations

from typing import Any

from minigpt.core import generation
from minigpt.core.layers import Layer
from minigpt.core.model import miniGPT
from minigpt.core.optim import SGD, AdamW
from minigpt.core.sampling import Sampling
from minigpt.support.checked import check_names, checked
from minigpt.support.hints import missing


def _no_attribute(self: object, name: str) -> Any:
    kept = ": backward() needs a forward() before it" if name == "kept" else ""
    raise AttributeError(missing(self, name, kept))


def _new_sampling(cls: type[Sampling], *_: Any, **given: Any) -> Sampling:
    check_names(given, cls.__dataclass_fields__)
    return object.__new__(cls)


for _kind in (Layer, SGD, AdamW):
    setattr(_kind, "__getattr__", _no_attribute)  # noqa: B010 (mypy knows no other way)
setattr(Sampling, "__new__", _new_sampling)  # noqa: B010
setattr(miniGPT, "__init__", checked(miniGPT.__init__))  # noqa: B010
miniGPT.generate = generation.generate = checked(generation.generate)
