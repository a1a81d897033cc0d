"""Checks of arguments by the types in a function's signature: a decorator."""

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
"""Name in a signature → the type, and its description in messages."""

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
"""Our own classes → their description; found by name, so no check has to import them."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` with a check of the types of its arguments before each call.

    Raises
    ------
    TypeError
        If a type is wrong; the message names the argument, the value and the expected type. If an
        argument does not exist; the message suggests the nearest name.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        check_names(kwargs, signature.parameters)
        try:
            given = signature.bind_partial(*args, **kwargs).arguments
        except TypeError:  # too many, or one twice: Python reports it
            return function(*args, **kwargs)
        for name, value in given.items():
            if name != "self":
                _check(name, value, signature.parameters[name].annotation)
        return function(*args, **kwargs)

    return call


def check_names(given: Iterable[str], known: Iterable[str], what: str = "argument") -> None:
    """Raise TypeError for an unknown name, and suggest the nearest known one."""
    for name in given:
        if name not in known:
            raise TypeError(unknown(what, name, [each for each in known if each != "self"]))


def _check(name: str, value: Any, annotation: str) -> None:
    """Raise unless `value` has the type in `annotation`, such as "int | None"."""
    kind, *others = annotation.split(" | ")
    if others not in ([], ["None"]) or (value is None and others):
        return  # a union of several types: the function itself checks it
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
    """Raise unless `value` is a collection with members of type `of`."""
    named = many in ("Mapping", "dict")
    if named:
        if not isinstance(value, Mapping):
            raise TypeError(f"{name} must be a dictionary, got {value!r:.100}")
        for key, member in value.items():
            _check(f"{name}[{key!r:.40}]", member, of)
        return
    if not is_list(value):
        raise TypeError(f"{name} must be a list, got {value!r:.100}")
    if isinstance(value, Collection):  # not an iterator, which can be read only once
        for member in value:
            _check(f"each of {name}", member, of)
