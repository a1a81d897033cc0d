"""Check a hand-written gradient by measuring slopes: the witness each `backward` is held against.

Move one number p of a layer up and down by a tiny h, and see how the loss answers:

    ∂L/∂p ≈ (L(p + h) − L(p − h)) / 2h        central differences

That takes two forward passes for each number, far too slow for learning, but it knows nothing of
anybody's derivation. As the loss of a layer, L = Σ r · y with random numbers r will do, for which
dy = r. All of it in float64: the two losses differ in their last digits only (see `slopes`).
"""

from __future__ import annotations

import copy
import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigpt.check.slopes import LIMIT, Slopes
from minigpt.core.functional import Array
from minigpt.support.brief import MAX_REPR, brief, cut

NOTHING = 1e-12
"""So small a part of what it should be, a gradient is but rounding."""


@dataclass(frozen=True)
class Comparison:
    """One gradient as `backward` gave it, against the slopes measured.

    Attributes
    ----------
    name : the parameter, or "x" for the input of the layer.
    error : largest difference, relative to the largest entry of the two gradients, or to the least
        that can be told from rounding if that is more.
    finding : what is wrong, in a sentence; empty if nothing is.
    """

    name: str
    error: float
    finding: str = ""

    __repr__ = brief

    @property
    def ok(self) -> bool:
        """Whether the gradient is right."""
        return not self.finding


@dataclass(frozen=True, repr=False)
class GradientCheck:
    """What `check_gradients` found: print it.

    Attributes
    ----------
    layer : name of the layer's class.
    rows : a `Comparison` for each parameter, and for the input if that is no array of ids.
    """

    layer: str
    rows: tuple[Comparison, ...]

    @property
    def ok(self) -> bool:
        """Whether all gradients are right."""
        return all(row.ok for row in self.rows)

    @property
    def wrong(self) -> list[str]:
        """The names of the gradients that are wrong."""
        return [row.name for row in self.rows if not row.ok]

    def __repr__(self) -> str:
        found = f"wrong: {', '.join(self.wrong)}" if self.wrong else f"all {len(self.rows)} right"
        return cut(f"GradientCheck({self.layer}, {found})", MAX_REPR)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def __str__(self) -> str:
        width = max(len(name) for name in ("gradient", *(row.name for row in self.rows)))
        lines = [f"{self.layer}: backward against central differences", ""]
        lines.append(f"{'gradient':{width}}  relative error")
        lines += [f"{r.name:{width}}  {r.error:14.1e}  {'✓' if r.ok else '✗'}" for r in self.rows]
        lines += [f"\n{row.name} is wrong: {row.finding}" for row in self.rows if not row.ok]
        return "\n".join(lines)


def check_gradients(
    layer: Any, x: Any, targets: Any = None, *, entries: int = 1000, seed: int = 0
) -> GradientCheck:
    """Compare every gradient that a layer's `backward` gives with central differences.

    The layer can be any object with `forward(x)`, `backward(dy)`, `params()` and `grads()`. It
    stays as it is: a copy is checked, its parameters moved a little at random, since zeros and
    ones hide mistakes. Dropout drops the same numbers in every forward pass.

    Parameters
    ----------
    layer : with parameters in float64.
    x : what `forward` shall be given: a float64 array, or integer ids, which have no gradient.
    targets : for a whole model, whose `forward(x, targets)` gives (logits, loss) and whose
        `backward()` takes nothing: all its parameters are checked through that loss.
    entries : of a larger array, only so many numbers are checked: those with the largest
        gradients, and others drawn at random.
    seed : where chance comes from.

    Returns
    -------
    GradientCheck
        Has `ok` and `wrong`, and prints as a table with a sentence on each gradient that is wrong.

    Raises
    ------
    TypeError
        If the layer lacks a method, or x, a parameter or y is not float64.
    """
    layer = copy.deepcopy(layer)
    witness = Witness(layer, x, targets, entries, seed)
    for param in layer.params().values():
        param += witness.rng.normal(0, 0.1, param.shape)
    return GradientCheck(type(layer).__name__, tuple(witness.compare()))


class Witness:
    """Compares the gradients of one layer, in place; parameters as for `check_gradients`."""

    def __init__(self, layer: Any, x: Any, targets: Any, entries: int, seed: int) -> None:
        check_layer(layer, x)
        self.layer, self.targets, self.entries = layer, targets, entries
        self.x = np.array(x)
        # A stream of our own: x is often drawn from the same seed, and r = x would hide mistakes.
        self.rng = np.random.default_rng([seed, *b"witness"])
        self.dropout = [(g, g.bit_generator.state) for g in generators(layer)]
        y = self.forward()
        if y.dtype != np.float64:
            raise TypeError(
                f"forward must give a float64 array, got {y.dtype}; "
                "of a model that gives (logits, loss), check the loss: give targets"
            )
        self.r = np.asarray(self.rng.normal(size=y.shape) if targets is None else 1.0)

    def forward(self) -> Array:
        """Return y, or the loss; the same each time, whatever is dropped."""
        for generator, state in self.dropout:
            generator.bit_generator.state = state
        if self.targets is not None:
            return np.array(self.layer.forward(self.x, self.targets)[1])
        y = self.layer.forward(self.x.copy())
        return np.array(y, dtype=object if isinstance(y, tuple) else None)

    def compare(self) -> Iterator[Comparison]:
        """Yield a comparison for every gradient."""
        self.gradients(None)  # a layer may make the arrays of its gradients on the way
        over_nan, over_zeros = self.gradients(np.nan), self.gradients(0.0)
        arrays = dict(self.layer.params())
        if self.targets is None and self.x.dtype.kind == "f":
            arrays["x"] = self.x
        self.slopes = Slopes(self.forward, list(arrays.values()), self.r, self.rng)
        for name, array in arrays.items():
            yield self.compare_one(name, array, over_nan.get(name), over_zeros.get(name))

    def gradients(self, before: float | None) -> dict[str, Any]:
        """Return what a backward pass makes of gradients that are full of the number `before`."""
        self.forward()
        if before is not None:
            for grad in self.layer.grads().values():
                if isinstance(grad, np.ndarray):
                    grad[...] = before
        dx = self.layer.backward(*([] if self.targets is not None else [self.r.copy()]))
        return copy.deepcopy({**self.layer.grads(), "x": dx})

    def compare_one(self, name: str, array: Array, over_nan: Any, given: Any) -> Comparison:
        """Compare one gradient: `given` by a backward over zeros, `over_nan` by one over NaN."""
        if given is None:
            missing = "backward gave no dx" if name == "x" else f"grads() has no {name!r}"
            return Comparison(name, np.inf, f"{missing}.")
        given = np.asarray(given)
        if given.shape != array.shape:
            hint = ": transposed?" if given.shape == array.shape[::-1] else "."
            return Comparison(
                name, np.inf, f"it has the shape {given.shape}, but {name} has {array.shape}{hint}"
            )
        chosen = self.choose(given)
        derived = given.ravel()[chosen]
        measured, doubt = self.slopes.measure(array, chosen, derived)
        allowed = np.maximum(LIMIT * largest(derived, measured), doubt)
        differences = np.abs(derived - measured)
        errors = LIMIT * np.divide(differences, allowed, where=differences != 0, out=differences)
        errors = np.nan_to_num(errors, nan=np.inf)
        error = float(errors.max(initial=0))
        if stale := int(np.isnan(over_nan).sum() - np.isnan(given).sum()):
            return Comparison(name, np.inf, say_stale(given, stale, error <= LIMIT))
        if error <= LIMIT:
            return Comparison(name, error)
        worst = int(errors.argmax())
        index = ", ".join(str(i) for i in np.unravel_index(chosen[worst], array.shape))
        finding = (
            f"relative error {error:.1e} at [{index}], where backward gave {derived[worst]:.6g} "
            f"and central differences {measured[worst]:.6g}; {(errors > LIMIT).sum()} of the "
            f"{len(errors)} entries compared are off. {guess(given, chosen, measured, doubt)}"
        )
        return Comparison(name, error, finding.strip())

    def choose(self, gradient: Array) -> Array:
        """Choose the entries to compare: all, or the largest and some others."""
        n, half = gradient.size, max(1, self.entries // 2)
        if n <= self.entries:
            return np.arange(n)
        largest = np.argpartition(np.abs(gradient.ravel()), n - half)[n - half :]
        return np.unique([*largest, *self.rng.integers(0, n, half)])


def say_stale(gradient: Array, count: int, right_over_zeros: bool) -> str:
    """Say why NaN that stood in a gradient before `backward` stands there after it."""
    if not gradient.any():
        return "backward does not write it: it stays what it was."
    if right_over_zeros and count == gradient.size:
        return "backward adds it to what was there (+=), where it should write it (=)."
    return f"backward leaves {count} of its {gradient.size} entries to what was there before."


def guess(given: Array, chosen: Array, measured: Array, doubt: Array) -> str:
    """Guess the mistake behind a wrong gradient from how it differs; empty if nothing fits."""
    derived = given.ravel()[chosen]
    if not np.isfinite(derived).all():
        return "Not all of it are finite numbers."
    if not measured.any():
        return "Moving it changes nothing: does params() give the arrays that forward uses?"
    if (np.abs(measured) <= doubt).all():
        return "It should be 0: what is measured is rounding."
    if largest(derived, derived) <= NOTHING * largest(measured, measured):
        return "It is 0."
    allowed = np.maximum(10 * LIMIT * largest(derived, measured), doubt)

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
    """Return the largest finite entry of both gradients."""
    both = np.abs([derived, measured])
    return float(both.max(initial=0, where=np.isfinite(both)))


def generators(layer: Any) -> Iterator[np.random.Generator]:
    """Yield the random generators that a layer, and the layers inside it, draw from."""
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
                f"a layer has forward(x), backward(dy), params() and grads(), "
                f"but {type(layer).__name__} has no {method}"
            )
    kind = np.asarray(x).dtype
    if kind != np.float64 and kind.kind not in "iu":
        raise TypeError(
            f"x must be a float64 array, or integer ids, got {kind}: central differences need all "
            "the digits of float64, so give x.astype('float64')"
        )
    for name, param in layer.params().items():
        if not isinstance(param, np.ndarray) or param.dtype != np.float64:
            got = getattr(param, "dtype", type(param).__name__)
            raise TypeError(
                f"the parameter {name!r} must be a float64 array, got {got}: make the layer with "
                "dtype='float64', so that central differences have digits enough"
            )
