"""How each layer learns: the length of its gradient, and how far a step moves its weights.

A layer whose gradient is thousands of times smaller than another's learns almost nothing. In a
healthy step, a matrix changes by about a thousandth of its length: much more shakes it rather than
teaches it, much less means that it stands still.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from minigpt.core.functional import PIECE_SIZE, Array
from minigpt.core.optim import AdamW
from minigpt.runs.metrics import whole_lines
from minigpt.support.brief import brief
from minigpt.support.untrusted_files import open_to_read

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.training.loop import Step
    from minigpt.training.optimizers import Optimizer

MAX_LAYER_LINE = 2**16
"""Bytes of the longest line that is read: enough for about 500 blocks."""
MAX_LAYER_ROWS = 100_000
_PARSE_ERRORS = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""Errors that parsing a wrong line may raise."""


def groups_of(model: miniGPT) -> dict[str, list[str]]:
    """Return the layers of a model, as figures show them, with the names of their parameters.

    "embedding" contains both embeddings; "block 0 attention" and "block 0 feed-forward" contain
    the norm before them; "head" contains the last norm. The weights of a tied head belong to
    "embedding".
    """
    groups: dict[str, list[str]] = {"embedding": []}
    for i in range(model.n_layers):
        groups |= {f"block {i} attention": [], f"block {i} feed-forward": []}
    groups["head"] = []
    for name in model.params():
        groups[_group_of(name)].append(name)
    return groups


def _group_of(name: str) -> str:
    first, *rest = name.split(".")
    if first == "blocks":
        part = "attention" if rest[1] in ("norm_1", "attention") else "feed-forward"
        return f"block {rest[0]} {part}"
    return "embedding" if first.endswith("embedding") else "head"


def measure_layers(
    model: miniGPT, optimizer: Optimizer, step: Step, clip: float
) -> dict[str, list[float | None]]:
    """Measure the latest step in each layer of `groups_of`.

    Parameters
    ----------
    model, optimizer : as they are after the step.
    step : the latest step.
    clip : maximum length of the gradient.

    Returns
    -------
    Name of the layer → [gradient, ratio]. `gradient` is the length of its gradient before clipping;
    the squares of all layers add up to the square of `step.gradient_norm`. `ratio` is ‖Δw‖ / ‖w‖ of
    its matrices: the relative change by the step. Vectors (biases, scales and shifts) are left
    out, because the scales of norms, about 1 each, outweigh all matrices. The ratio is None if
    no matrix of the layer learns.
    """
    stretch = max(1.0, step.gradient_norm / clip)
    found: dict[str, list[float | None]] = {}
    for group, names in groups_of(model).items():
        grads = (model.flat.grads[model.flat.places[n]] for n in names if n in model.flat.places)
        gradient = math.sqrt(sum(float(np.dot(g, g)) for g in grads)) * stretch
        found[group] = [gradient, _ratio(model, optimizer, names, step.learning_rate)]
    return found


def _ratio(
    model: miniGPT, optimizer: Optimizer, names: list[str], learning_rate: float
) -> float | None:
    moved = size = 0.0
    params = model.params()
    for name in names:
        if params[name].ndim < 2 or name not in model.flat.places:
            continue
        for piece in _pieces(model.flat.places[name]):
            moved += _square(latest_update(optimizer, piece, learning_rate))
            size += _square(model.flat.params[piece])
    ratio = math.sqrt(moved / size) if size else math.nan
    return ratio if math.isfinite(ratio) else None


def latest_update(optimizer: Optimizer, part: slice, learning_rate: float) -> Array:
    """Return the latest update of a part of the flat parameters.

    For AdamW it is computed from the optimizer's state, so no copy of the parameters is needed.
    """
    flat = optimizer.model.flat
    if not isinstance(optimizer, AdamW):
        return -learning_rate * flat.grads[part]
    t = int(optimizer.state["t"][0])
    m, v = optimizer.state["m"][part], optimizer.state["v"][part]
    root = np.sqrt(v) / math.sqrt(1 - optimizer.beta2**t) + optimizer.eps
    added = m / root * (-learning_rate / (1 - optimizer.beta1**t))
    matrices = slice(0, max(0, flat.n_matrix_params - part.start))
    decay = learning_rate * optimizer.weight_decay
    before = (flat.params[part][matrices] - added[matrices]) / (1 - decay)
    added[matrices] -= decay * before
    return added


def _pieces(part: slice) -> Iterator[slice]:
    for start in range(part.start, part.stop, PIECE_SIZE):
        yield slice(start, min(start + PIECE_SIZE, part.stop))


def _square(values: Array) -> float:
    return float(np.dot(values, values))


@dataclass(frozen=True, eq=False)
class LayerHistory:
    """Measurements of G layers at N steps.

    Attributes
    ----------
    number : int64 (N,), numbers of the steps.
    layers : names of the G layers, from the embedding to the head.
    gradient, ratio : float64 (N, G), see `measure_layers`; NaN if unknown.
    """

    number: NDArray[np.int64]
    layers: list[str]
    gradient: NDArray[np.float64]
    ratio: NDArray[np.float64]

    __repr__ = brief

    @classmethod
    def of(cls, measured: Mapping[int, Mapping[str, Sequence[float | None]]]) -> LayerHistory:
        """Return the history of {number of the step: result of `measure_layers`}."""
        layers = list(next(iter(measured.values()), ()))
        values = np.array([list(row.values()) for row in measured.values()], float)  # None: NaN
        values = values.reshape(len(measured), len(layers), 2)
        return cls(np.array(list(measured), np.int64), layers, values[..., 0], values[..., 1])


def read_layers(path: Path) -> LayerHistory:
    """Read the layers.jsonl of a run, which may be growing; a missing file has no steps.

    Raises
    ------
    ValueError
        If a line is wrong; the message names the line.
    """
    found: dict[int, dict[str, list[float]]] = {}
    last, before = 0, None
    with suppress(FileNotFoundError), open_to_read(path) as file:
        for line in whole_lines(file, MAX_LAYER_LINE):
            try:
                number, row = _parse(line)
                if number <= last or (found and row.keys() != before):
                    raise ValueError  # not a later step, or not of the same layers
                if len(found) == MAX_LAYER_ROWS:
                    raise ValueError
            except _PARSE_ERRORS:
                raise ValueError(
                    f"{path}, line {len(found) + 1}: this is not a line of a layers.jsonl"
                ) from None
            found[number], last, before = row, number, row.keys()
    return LayerHistory.of(found)


def _parse(line: bytes) -> tuple[int, dict[str, list[float]]]:
    """Return the number of the step, and the values of each layer, in a line."""
    record = json.loads(line.decode("utf-8"))
    number, found = record["number"], record["layers"]
    row = {
        str(name): [math.nan if v is None else float(v) for v in values]
        for name, values in found.items()
    }
    if type(number) is not int or not 0 < number < 2**53 or not row:
        raise ValueError
    if any(len(values) != 2 for values in row.values()):
        raise ValueError
    return number, row
