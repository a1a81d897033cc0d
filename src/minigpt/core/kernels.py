"""The table of kernels: the functions of the textbook that also exist in a faster form.

A call of a function marked `@kernel` runs the form that the table holds under its name. At first
this is the plain form, from the textbook. `plug_in` replaces it for the whole process. `using` and
`plain` choose forms within a `with` block, and only for the thread that entered it, because another
thread may be between its forward and its backward pass.

A forward kernel returns (y, kept). `kept` is for the backward kernel of the same name; each form
decides what it holds. Kernels change no argument except the gradients of parameters, `d_…`, which
they overwrite.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
Forms = dict[str, Callable[..., Any]]

PLAIN: Forms = {}
_forms: Forms = {}
_forms_in_context: ContextVar[Forms | None] = ContextVar("forms", default=None)


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Register `function` as a plain form; return a function that runs its current form."""
    name = function.__name__
    PLAIN[name] = _forms[name] = function

    @wraps(function)
    def run(*args: P.args, **options: P.kwargs) -> R:
        return (_forms_in_context.get() or _forms)[name](*args, **options)

    return run


def plug_in(forms: Forms) -> None:
    """Replace the forms of some kernels in the table, for all threads."""
    if unknown := forms.keys() - PLAIN.keys():
        raise ValueError(f"no such kernels: {', '.join(sorted(unknown))}")
    _forms.update(forms)


@contextmanager
def using(forms: Forms) -> Iterator[None]:
    """Use other forms of some kernels within a `with` block."""
    token = _forms_in_context.set({**(_forms_in_context.get() or _forms), **forms})
    try:
        yield
    finally:
        _forms_in_context.reset(token)


def plain() -> AbstractContextManager[None]:
    """Run the plain form of every kernel, the textbook, within a `with` block."""
    return using(PLAIN)
