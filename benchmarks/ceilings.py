"""What the machine can do at best: the rates of arithmetic and of memory that bound all else.

Training consists of matrix products, so a step cannot be faster than its products at the highest
measured rate. Generation reads every weight for every token, so it cannot be faster than memory
delivers the weights. Each ceiling is measured in the same run as the work that it bounds, with the
faster of NumPy and PyTorch: it is a limit of the machine, not of a library.
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
    what : the library and the shape.
    work : does the work once.
    amount : operations or bytes of the work.
    rate : amount per second, in the best round.
    found : the rates of all ways that were tried, by shape and library.
    """

    what: str
    work: Work
    amount: float
    rate: float
    found: dict[str, dict[str, float]]

    def table(self, title: str, unit: str) -> Table:
        """Return a table of all ways that were tried; `unit` stands for 10⁹ operations or bytes."""
        table = Table(
            title, ["Ours is NumPy, the peer is PyTorch. The highest rate is the ceiling."]
        )
        for shape, rates in self.found.items():
            table.add(shape, unit, *(rates[library] / 1e9 for library in ("NumPy", "PyTorch")))
        return table


def matrix_product(quick: bool = False) -> Ceiling:
    """Return the highest rate of float32 matrix products (n, k) @ (k, m), in operations per second.

    Each of the n·m entries takes k multiplications and k additions: 2nkm operations.
    """
    shapes = [(2048, 2048, 2048), (4096, 1024, 4096), (2048, 4096, 1024), (4096, 4096, 4096)]
    if quick:
        shapes = [(256, 256, 256)]
    ways = ((2.0 * n * k * m, way) for n, k, m in shapes for way in _products(n, k, m))
    return _best(ways, quick)


def matrix_vector(quick: bool = False) -> Ceiling:
    """Return the highest rate of float32 matrix-vector products, in bytes of the matrix per second.

    The matrix has 512 MiB, more than any cache can hold.
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
