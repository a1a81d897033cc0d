"""What the machine can do at best: the arithmetic and the memory that all else is measured by.

Training is matrix products, so no step can be faster than its products at the highest rate ever
seen. Writing token by token reads every weight for every token, so nothing can write faster than
the memory gives weights. Both are measured in the same run as what they bound, and by whichever of
NumPy and PyTorch is faster at it: the ceiling is the machine's, not a library's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.interleave import Work, always, interleave


@dataclass(frozen=True)
class Ceiling:
    """The fastest way found to do a kind of work.

    Attributes
    ----------
    what : which library and which shape.
    work : does it once.
    amount : how much that is, in operations or bytes.
    rate : amount per second, in the best round.
    found : what → rate, of all the ways that were tried.
    """

    what: str
    work: Work
    amount: float
    rate: float
    found: dict[str, float]


def matrix_product(quick: bool = False) -> Ceiling:
    """Find the highest rate of float32 matrix products (n, k) @ (k, m), in operations a second.

    Each of the n·m entries takes k multiplications and k additions: 2nkm operations.
    """
    shapes = [(2048, 2048, 2048), (4096, 1024, 4096), (2048, 4096, 1024), (4096, 4096, 4096)]
    if quick:
        shapes = [(256, 256, 256)]
    ways = ((2.0 * n * k * m, way) for n, k, m in shapes for way in _products(n, k, m))
    return _best(ways, quick)


def matrix_vector(quick: bool = False) -> Ceiling:
    """Find the highest rate of float32 matrix-vector products, in bytes of the matrix a second.

    The matrix has 512 MiB, more than any cache holds.
    """
    shape = (1024, 1024) if quick else (65536, 2048)
    matrix = np.ones(shape, np.float32)
    row, column = np.ones(shape[0], np.float32), np.ones(shape[1], np.float32)
    shared, torch_row, torch_column = map(torch.from_numpy, (matrix, row, column))
    ways = [
        (f"NumPy, W {shape} @ x", lambda: matrix @ column),
        (f"NumPy, x @ W {shape}", lambda: row @ matrix),
        (f"PyTorch, W {shape} @ x", lambda: torch.mv(shared, torch_column)),
        (f"PyTorch, x @ W {shape}", lambda: torch_row @ shared),
    ]
    return _best(((float(matrix.nbytes), way) for way in ways), quick)


def _products(n: int, k: int, m: int) -> Iterator[tuple[str, Work]]:
    rng = np.random.default_rng(0)
    a, b = (rng.random(shape, np.float32) for shape in ((n, k), (k, m)))
    out = np.empty((n, m), np.float32)
    torch_a, torch_b, torch_out = map(torch.from_numpy, (a, b, out))
    yield f"NumPy, ({n}, {k}) @ ({k}, {m})", lambda: np.matmul(a, b, out=out)
    yield f"PyTorch, ({n}, {k}) @ ({k}, {m})", lambda: torch.mm(torch_a, torch_b, out=torch_out)


def _best(ways: Iterator[tuple[float, tuple[str, Work]]], quick: bool) -> Ceiling:
    found: dict[str, tuple[float, float, Work]] = {}
    for amount, (what, work) in ways:
        times = interleave({"it": always(work)}, 2 if quick else 5, at_least=0.01 if quick else 0.3)
        found[what] = (amount / min(times.seconds["it"]), amount, work)
    what = max(found, key=lambda name: found[name][0])
    rate, amount, work = found[what]
    return Ceiling(what, work, amount, rate, {name: entry[0] for name, entry in found.items()})
