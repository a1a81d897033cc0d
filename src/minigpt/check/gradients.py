"""Check a hand-written gradient against measured slopes.

Move one number p of a layer up and down by a tiny h, and see how the loss changes:

    ∂L/∂p ≈ (L(p + h) − L(p − h)) / 2h        central differences

This takes two forward passes for each number, far too slow for learning, but it is an independent
witness: it uses nobody's derivation. The loss of a layer is here L = Σ r · y with random numbers r,
for which dy = r. Everything is in float64, since both losses differ only in their last digits (see
`slopes`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minigpt.check.comparison import Comparison, GradientCheck
from minigpt.check.functions import FunctionLayer, call, compare_forward
from minigpt.check.slopes import LIMIT, Slopes
from minigpt.core.functional import Array

MAX_ROUNDING = 1e-12
"""A gradient whose size is at most this fraction of the correct one is only rounding."""


def check_gradients(
    layer: Any,
    x: Any,
    targets: Any = None,
    *,
    backward: Callable[[Array], Any] | None = None,
    reference: Any = None,
    entries: int = 1000,
    seed: int = 0,
) -> GradientCheck:
    """Compare every gradient that a layer or a function computes with central differences.

    The layer can be any object with `forward(x)`, `backward(dy)`, `params()` and `grads()`. It is
    not changed: the check uses a copy, whose parameters are moved a little at random, since zeros
    and ones hide mistakes. Dropout drops the same numbers in every forward pass.

    A function is checked with its `backward`:

        check_gradients(softmax, x, backward=lambda dy: softmax_backward(dy, softmax(x)))
        check_gradients(attend, {"q": q, "k": k}, backward=lambda dy: attend_backward(dy, q, k))

    Parameters
    ----------
    layer : a layer with parameters in float64, or a function.
    x : the input of `forward`: a float64 array, or integer ids, which have no gradient. Of a
        function, also a tuple of arguments, or a dict of them by name.
    backward : for a function: takes dy, and returns the gradient of x; of several arguments, a
        tuple in their order or a dict by name.
    reference : what the forward pass is compared with: a function of x, or a layer. It returns y,
        or a dict of named arrays, of which y is the last; the others are intermediate results,
        which the layer has as attributes of these names, and a function in a dict it returns.
    targets : only for a whole model, whose `forward(x, targets)` returns (logits, loss) and whose
        `backward()` has no argument. All its parameters are checked through this loss.
    entries : in a larger array, only this many numbers are checked: those with the largest
        gradients, and others drawn at random.
    seed : seed of the random numbers.

    Returns
    -------
    GradientCheck
        Has `ok` and `wrong`; prints as a table, with a sentence about each wrong gradient.

    Raises
    ------
    TypeError
        If the layer lacks a method, or x, a parameter or y is not float64.
    """
    rows = [] if reference is None else list(compare_with(reference, layer, x, backward))
    if backward is not None:
        function = FunctionLayer(layer, backward, x)
        checker = GradientChecker(function, np.empty(0, int), None, entries, seed)
        name = getattr(layer, "__name__", type(layer).__name__)
    else:
        layer = copy.deepcopy(layer)
        checker = GradientChecker(layer, x, targets, entries, seed)
        for param in layer.params().values():
            param += checker.rng.normal(0, 0.1, param.shape)
        name = type(layer).__name__
    return GradientCheck(name, (*rows, *checker.compare()))


def compare_with(reference: Any, layer: Any, x: Any, backward: Any) -> Iterator[Comparison]:
    """Yield a comparison for each array that the reference returns; see `check_gradients`."""
    if backward is None:
        layer = copy.deepcopy(layer)
        got = layer.forward(x)
    else:
        got = call(layer, x)
    expected = call(getattr(reference, "forward", reference), x)
    for name, error, finding in compare_forward(layer, got, expected):
        yield Comparison(name, error, finding)


class GradientChecker:
    """Compares the gradients of one layer, in place; parameters as for `check_gradients`."""

    def __init__(self, layer: Any, x: Any, targets: Any, entries: int, seed: int) -> None:
        check_layer(layer, x)
        self.layer, self.targets, self.entries = layer, targets, entries
        self.x = np.array(x)
        # A separate random stream: x often comes from the same seed, and r = x would hide mistakes.
        self.rng = np.random.default_rng([seed, *b"witness"])
        self.dropout = [(g, g.bit_generator.state) for g in generators(layer)]
        y = self.forward()
        if y.dtype != np.float64:
            raise TypeError(
                f"forward must return a float64 array, got {y.dtype}; "
                "to check a model that returns (logits, loss), pass targets"
            )
        self.r = np.asarray(self.rng.normal(size=y.shape) if targets is None else 1.0)

    def forward(self) -> Array:
        """Return y, or the loss, with the same numbers dropped each time."""
        for generator, state in self.dropout:
            generator.bit_generator.state = state
        if self.targets is not None:
            return np.array(self.layer.forward(self.x, self.targets)[1])
        y = self.layer.forward(self.x.copy())
        return np.array(y, dtype=object if isinstance(y, tuple) else None)

    def compare(self) -> Iterator[Comparison]:
        """Yield a comparison for every gradient."""
        self.gradients(None)  # some layers create their gradient arrays in this pass
        over_nan, over_zeros = self.gradients(np.nan), self.gradients(0.0)
        arrays = dict(self.layer.params())
        if self.targets is None and self.x.dtype.kind == "f":
            arrays["x"] = self.x
        self.slopes = Slopes(self.forward, list(arrays.values()), self.r, self.rng)
        for name, array in arrays.items():
            yield self.compare_gradient(name, array, over_nan.get(name), over_zeros.get(name))

    def gradients(self, before: float | None) -> dict[str, Any]:
        """Return the gradients from a backward pass over gradient arrays full of `before`."""
        self.forward()
        if before is not None:
            for grad in self.layer.grads().values():
                if isinstance(grad, np.ndarray):
                    grad[...] = before
        dx = self.layer.backward(*([] if self.targets is not None else [self.r.copy()]))
        return copy.deepcopy({**self.layer.grads(), "x": dx})

    def compare_gradient(self, name: str, array: Array, over_nan: Any, given: Any) -> Comparison:
        """Compare one gradient: `given`, written over zeros, and `over_nan`, written over NaN."""
        if given is None:
            missing = "backward returned no dx" if name == "x" else f"grads() has no {name!r}"
            return Comparison(name, np.inf, f"{missing}.")
        given = np.asarray(given)
        if given.shape != array.shape:
            hint = ": transposed?" if given.shape == array.shape[::-1] else "."
            return Comparison(
                name, np.inf, f"it has the shape {given.shape}, but {name} has {array.shape}{hint}"
            )
        chosen = self.choose(given)
        derived = given.ravel()[chosen]
        measured, uncertainty = self.slopes.measure(array, chosen, derived)
        allowed = np.maximum(LIMIT * largest(derived, measured), uncertainty)
        differences = np.abs(derived - measured)
        errors = LIMIT * np.divide(differences, allowed, where=differences != 0, out=differences)
        errors = np.nan_to_num(errors, nan=np.inf)
        error = float(errors.max(initial=0))
        if stale := int(np.isnan(over_nan).sum() - np.isnan(given).sum()):
            return Comparison(name, np.inf, describe_stale(given, stale, error <= LIMIT))
        if error <= LIMIT:
            return Comparison(name, error)
        worst = int(errors.argmax())
        index = ", ".join(str(i) for i in np.unravel_index(chosen[worst], array.shape))
        finding = (
            f"relative error {error:.1e} at [{index}], where backward gave {derived[worst]:.6g} "
            f"and central differences {measured[worst]:.6g}; {(errors > LIMIT).sum()} of the "
            f"{len(errors)} entries compared are off. {guess(given, chosen, measured, uncertainty)}"
        )
        return Comparison(name, error, finding.strip())

    def choose(self, gradient: Array) -> Array:
        """Return flat indices of the entries to compare: all, or the largest and some others."""
        n, half = gradient.size, max(1, self.entries // 2)
        if n <= self.entries:
            return np.arange(n)
        largest = np.argpartition(np.abs(gradient.ravel()), n - half)[n - half :]
        return np.unique([*largest, *self.rng.integers(0, n, half)])


def describe_stale(gradient: Array, count: int, right_over_zeros: bool) -> str:
    """Return why `count` entries that were NaN before `backward` are still NaN after it."""
    if not gradient.any():
        return "backward does not write it: its old values remain."
    if right_over_zeros and count == gradient.size:
        return "backward adds it to the old values (+=), where it should write it (=)."
    return f"backward leaves the old values in {count} of its {gradient.size} entries."


def guess(given: Array, chosen: Array, measured: Array, uncertainty: Array) -> str:
    """Return a guess at the mistake behind a wrong gradient; empty if no guess fits."""
    derived = given.ravel()[chosen]
    if not np.isfinite(derived).all():
        return "Not all of its entries are finite."
    if not measured.any():
        return "Changing it has no effect: does params() return the arrays that forward uses?"
    if (np.abs(measured) <= uncertainty).all():
        return "It should be 0: the measured slopes are only rounding."
    if largest(derived, derived) <= MAX_ROUNDING * largest(measured, measured):
        return "It is 0."
    allowed = np.maximum(10 * LIMIT * largest(derived, measured), uncertainty)

    def fits(candidate: Array) -> bool:
        return bool((np.abs(candidate - measured) <= allowed).all())

    if fits(-derived):
        return "The sign is flipped."
    if given.ndim == 2 and given.shape[0] == given.shape[1] and fits(given.T.ravel()[chosen]):
        return "It is transposed."
    factor = float(derived @ measured / (derived @ derived))
    if factor and fits(factor * derived):
        return f"It is {1 / factor:.6g} times what it should be."
    return ""


def largest(derived: Array, measured: Array) -> float:
    """Return the largest finite absolute value in both gradients."""
    both = np.abs([derived, measured])
    return float(both.max(initial=0, where=np.isfinite(both)))


def generators(layer: Any) -> Iterator[np.random.Generator]:
    """Yield the random generators of a layer and of the layers inside it."""
    for value in getattr(layer, "__dict__", {}).values():
        for part in value if isinstance(value, list | tuple) else [value]:
            if isinstance(part, np.random.Generator):
                yield part
            elif hasattr(type(part), "forward"):
                yield from generators(part)


def check_layer(layer: Any, x: Any) -> None:
    """Raise unless `layer` can be checked with `x`."""
    for method in ("forward", "backward", "params", "grads"):
        if not callable(getattr(layer, method, None)):
            raise TypeError(
                f"a layer must have forward(x), backward(dy), params() and grads(), "
                f"but {type(layer).__name__} has no {method}"
            )
    kind = np.asarray(x).dtype
    if kind != np.float64 and kind.kind not in "iu":
        raise TypeError(
            f"x must be a float64 array, or integer ids, got {kind}: central differences need all "
            "digits of float64, so pass x.astype('float64')"
        )
    for name, param in layer.params().items():
        if not isinstance(param, np.ndarray) or param.dtype != np.float64:
            got = getattr(param, "dtype", type(param).__name__)
            raise TypeError(
                f"the parameter {name!r} must be a float64 array, got {got}: create the layer with "
                "dtype='float64', since central differences need all its digits"
            )
