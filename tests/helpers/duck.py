"""An array that is not NumPy's, but implements its protocols: NEP 13, 18 and 35.

It stands for arrays of other libraries, for example on a graphics card. `np.asarray` of it raises
an error. Host arrays that are used together with it, except single numbers, are recorded in
`LEAKED`.
"""

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

LEAKED: list[str] = []


class Duck(NDArrayOperatorsMixin):
    """A NumPy array inside, which only the protocols can reach."""

    def __init__(self, inside):
        self.inside = inside

    dtype = property(lambda self: self.inside.dtype)
    shape = property(lambda self: self.inside.shape)
    ndim = property(lambda self: self.inside.ndim)
    size = property(lambda self: self.inside.size)
    T = property(lambda self: Duck(self.inside.T))

    def __array__(self, *arguments, **options):
        raise TypeError("this array cannot leave its device by itself")

    def __len__(self):
        return len(self.inside)

    def __bool__(self):
        return bool(self.inside)

    def __float__(self):
        return float(self.inside)

    def __getitem__(self, index):
        return wrap(self.inside[unwrap(index)])

    def __setitem__(self, index, value):
        self.inside[unwrap(index)] = unwrap(value, "setitem")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        inputs = [unwrap(each, ufunc.__name__) for each in inputs]
        if out is not None:
            options["out"] = tuple(unwrap(each) for each in out)
        return wrap(getattr(ufunc, method)(*inputs, **options))

    def __array_function__(self, function, types, arguments, options):
        options.pop("like", None)
        return wrap(function(*unwrap(arguments, function.__name__), **unwrap(options)))

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        method = getattr(self.inside, name)
        return lambda *arguments, **options: wrap(method(*unwrap(arguments), **options))


def wrap(value):
    if isinstance(value, tuple | list):
        return type(value)(map(wrap, value))
    return Duck(value) if isinstance(value, np.ndarray | np.generic) else value


def unwrap(value, function=None):
    if isinstance(value, tuple | list):
        return type(value)(unwrap(each, function) for each in value)
    if isinstance(value, dict):
        return {name: unwrap(each, function) for name, each in value.items()}
    if function and isinstance(value, np.ndarray) and value.size > 1:
        LEAKED.append(f"{function} of an array {value.shape} of the host")
    return value.inside if isinstance(value, Duck) else value
