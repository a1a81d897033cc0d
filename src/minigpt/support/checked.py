"""Check arguments by what a function's signature says of them: one line above the function."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from minigpt.core.checks import check_numbers, check_whole, is_list, unknown

P = ParamSpec("P")
R = TypeVar("R")

BUILT_IN_TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "str": (str, "a text"),
    "bool": ((bool, np.bool_), "True or False"),
    "Array": (np.ndarray, "a NumPy array"),
    "np.random.Generator": (np.random.Generator, "a NumPy Generator"),
}
"""Types that are looked up by their names in a signature, and their names in messages."""

OUR_TYPES = {
    "Trace": "a Trace, as trace(model, text, tokenizer) returns it",
    "miniGPT": "a miniGPT",
    "Tokenizer": "a Tokenizer",
    "HeadScores": "HeadScores, as minigpt.inside.head_scores(model) returns them",
    "SlowStep": "a SlowStep, as minigpt.inside.slow_step.slow_step returns it",
    "Sampling": "a Sampling, such as Sampling(temperature=0.8)",
    "Target": "a Target, such as Target(token=1)",
    "History": "a History, as minigpt.runs.history.History.read(folder) returns it",
    "LayerHistory": "a LayerHistory, as minigpt.runs.layer_metrics.read_layers(path) returns it",
    "Stage": "a Stage, as minigpt.runs.stages.stages(folder) yields them",
}
"""Classes of our own, known by their name alone, so that none has to be imported for a check."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` with a check of its arguments' types before each call.

    Raises
    ------
    TypeError
        That names the argument, what was given and what was expected; for an argument that does
        not exist, the nearest name.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        check_names(kwargs, signature.parameters)
        try:
            given = signature.bind_partial(*args, **kwargs).arguments
        except TypeError:  # too many or twice the same: Python says so
            return function(*args, **kwargs)
        for name, value in given.items():
            if name != "self":
                _check(name, value, signature.parameters[name].annotation)
        return function(*args, **kwargs)

    return call


def check_names(given: Iterable[str], known: Iterable[str], what: str = "argument") -> None:
    """Raise a TypeError with the nearest name unless all names are known."""
    for name in given:
        if name not in known:
            raise TypeError(unknown(what, name, [each for each in known if each != "self"]))


def _check(name: str, value: Any, annotation: str) -> None:
    """Raise unless `value` is one of the kinds in `annotation`, such as "int | None"."""
    kind, *others = annotation.split(" | ")
    if others not in ([], ["None"]) or (value is None and others):
        return  # what may be of several kinds, the function itself looks at
    if kind == "int":
        check_whole(**{name: value})
    elif kind == "float":
        check_numbers(**{name: value})
    elif found := re.fullmatch(r"(Sequence|Iterable|Mapping|dict)\[(?:str, )?(\w+)\]", kind):
        _check_all(name, value, found[1], found[2])
    elif kind in BUILT_IN_TYPES:
        right, words = BUILT_IN_TYPES[kind]
        if not isinstance(value, right):
            raise TypeError(f"{name} must be {words}, got {value!r:.100}")
    elif kind in OUR_TYPES and kind not in {each.__name__ for each in type(value).__mro__}:
        raise TypeError(f"{name} must be {OUR_TYPES[kind]}, got {value!r:.100}")


def _check_all(name: str, value: Any, many: str, of: str) -> None:
    """Raise unless `value` is a collection; of all but an iterator, each member is checked."""
    named = many in ("Mapping", "dict")
    if named:
        if not isinstance(value, Mapping):
            raise TypeError(f"{name} must be a dictionary, got {value!r:.100}")
        for key, member in value.items():
            _check(f"{name}[{key!r:.40}]", member, of)
        return
    if not is_list(value):
        raise TypeError(f"{name} must be a list, got {value!r:.100}")
    if isinstance(value, Collection):  # an iterator can be read only once
        for member in value:
            _check(f"each of {name}", member, of)
