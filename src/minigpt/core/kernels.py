"""The table of kernels: the functions of the textbook that also exist in a faster form.

A function marked `@kernel` runs in the form that the table holds under its name: the plain one, as
it stands in the textbook, until `plug_in` replaces it for the whole process. `using` and `plain` do
so within a `with` block, and only for the thread that entered it: another thread may be between its
forward and its backward pass.

A forward kernel returns (y, kept); what `kept` holds is an agreement with the backward kernel of
its name. Kernels change no argument but the gradients of parameters, `d_…`, which they overwrite.
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
_forms_here: ContextVar[Forms | None] = ContextVar("forms", default=None)


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that runs the form which the table holds for `function`."""
    name = function.__name__
    PLAIN[name] = _forms[name] = function

    @wraps(function)
    def run(*args: P.args, **options: P.kwargs) -> R:
        return (_forms_here.get() or _forms)[name](*args, **options)

    return run


def plug_in(forms: Forms) -> None:
    """Put other forms of some kernels into the table, for all threads."""
    if unknown := forms.keys() - PLAIN.keys():
        raise ValueError(f"no such kernels: {', '.join(sorted(unknown))}")
    _forms.update(forms)


@contextmanager
def using(forms: Forms) -> Iterator[None]:
    """Use other forms of some kernels within a `with` block."""
    token = _forms_here.set({**(_forms_here.get() or _forms), **forms})
    try:
        yield
    finally:
        _forms_here.reset(token)


def plain() -> AbstractContextManager[None]:
    """Run the textbook within a `with` block: the plain form of every kernel."""
    return using(PLAIN)
