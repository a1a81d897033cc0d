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
from benchmarks.report import Table


@dataclass(frozen=True)
class Ceiling:
    """The fastest way found to do a kind of work.

    Attributes
    ----------
    what : which library and which shape.
    work : does it once.
    amount : how much that is, in operations or bytes.
    rate : amount per second, in the best round.
    found : shape → library → rate, of all the ways that were tried.
    """

    what: str
    work: Work
    amount: float
    rate: float
    found: dict[str, dict[str, float]]

    def table(self, title: str, unit: str) -> Table:
        """Show all the ways that were tried, `unit` being 10⁹ of what is counted."""
        table = Table(title, ["Ours is NumPy, the peer PyTorch. The best of all is the ceiling."])
        for shape, rates in self.found.items():
            table.add(shape, unit, *(rates[library] / 1e9 for library in ("NumPy", "PyTorch")))
        return table


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
    ways: list[tuple[str, str, Work]] = [
        ("NumPy", f"W {shape} @ x", lambda: matrix @ column),
        ("PyTorch", f"W {shape} @ x", lambda: torch.mv(shared, torch_column)),
        ("NumPy", f"x @ W {shape}", lambda: row @ matrix),
        ("PyTorch", f"x @ W {shape}", lambda: torch_row @ shared),
    ]
    return _best(((float(matrix.nbytes), way) for way in ways), quick)


def _products(n: int, k: int, m: int) -> Iterator[tuple[str, str, Work]]:
    rng = np.random.default_rng(0)
    a, b = (rng.random(shape, np.float32) for shape in ((n, k), (k, m)))
    out = np.empty((n, m), np.float32)
    torch_a, torch_b, torch_out = map(torch.from_numpy, (a, b, out))
    shape = f"({n}, {k}) @ ({k}, {m})"
    yield "NumPy", shape, lambda: np.matmul(a, b, out=out)
    yield "PyTorch", shape, lambda: torch.mm(torch_a, torch_b, out=torch_out)


def _best(ways: Iterator[tuple[float, tuple[str, str, Work]]], quick: bool) -> Ceiling:
    best: Ceiling | None = None
    found: dict[str, dict[str, float]] = {}
    for amount, (library, shape, work) in ways:
        times = interleave({"it": always(work)}, 2 if quick else 5, at_least=0.01 if quick else 0.3)
        rate = amount / min(times.seconds["it"])
        found.setdefault(shape, {})[library] = rate
        if best is None or rate > best.rate:
            best = Ceiling(f"{library}, {shape}", work, amount, rate, found)
    assert best is not None
    return best
