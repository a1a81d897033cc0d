"""Reading metrics.jsonl: how a run went, step by step, also while it is still training.

Each line is a JSON object with the numbers of one step; see `minigpt.training.loop.Step`.
"""

from __future__ import annotations

import json
import math
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from minigpt.support.brief import brief
from minigpt.support.untrusted_files import open_to_read

Floats = NDArray[np.float64]

MAX_METRICS_LINE = 4096
"""Bytes of the longest line that is read; a step has about 200."""
MAX_STEPS_READ = 5_000_000
"""Number of steps that are read, at most; they take 320 MB."""
MAX_TORN_LINE = 2**20
"""Bytes in which the end of a line that is too long is searched."""
MAX_NUMBER = 1e30
"""Larger numbers become NaN: no real loss is so large, and sums of smaller ones stay finite."""


@dataclass(frozen=True, eq=False)
class Metrics:
    """The numbers of N steps, each a float64 array (N,) with NaN for missing values.

    Attributes
    ----------
    number : int64, number of the step; it increases.
    loss, val_loss : training and validation loss, nats per token.
    val_bits : validation loss in bits per character; `in_bits` converts training losses.
    spelling_bits : the part of val_bits that spells unknown words.
    gradient_norm, learning_rate, tokens_per_second : see `minigpt.training.loop.Step`.
    """

    number: NDArray[np.int64]
    loss: Floats
    val_loss: Floats
    val_bits: Floats
    spelling_bits: Floats
    gradient_norm: Floats
    learning_rate: Floats
    tokens_per_second: Floats

    __repr__ = brief

    @property
    def bits_per_nat(self) -> float | None:
        """Factor from nats per token to bits per character of the validation text, or None.

        It is the same at each step: (tokens per character of that text) / ln 2.
        """
        i = self._measured
        return None if i is None else float((self.val_bits[i] - self.spelling) / self.val_loss[i])

    @property
    def spelling(self) -> float:
        """Bits per character that spell unknown words, the same at each step."""
        i = self._measured
        return 0.0 if i is None else float(np.nan_to_num(self.spelling_bits[i]))

    @property
    def _measured(self) -> int | None:
        known = np.flatnonzero((self.val_loss > 1e-9) & (self.val_bits > 0))
        return int(known[0]) if known.size else None

    def in_bits(self, nats: Floats) -> Floats:
        """Convert training losses to bits per character, comparable with val_bits.

        All are NaN until the first evaluation.
        """
        scale = self.bits_per_nat
        return nats * (math.nan if scale is None else scale) + self.spelling

    @property
    def smooth_loss(self) -> Floats:
        """The training loss, smoothed by a moving mean over a fiftieth of all steps."""
        return moving_mean(self.loss, 1 + len(self.loss) // 50)

    @property
    def best(self) -> int | None:
        """Index of the lowest validation loss, or None."""
        return None if np.isnan(self.val_loss).all() else int(np.nanargmin(self.val_loss))


def moving_mean(values: Floats, width: int) -> Floats:
    """Return the moving mean over about `width` values, centred, without NaN values."""
    known = np.isfinite(values)
    sums = np.cumsum(np.append(0.0, np.where(known, values, 0.0)))
    counts = np.cumsum(np.append(0, known))
    places = np.arange(len(values))
    first = np.maximum(places - width // 2, 0)
    end = np.minimum(places + width // 2 + 1, len(values))
    count = counts[end] - counts[first]
    return np.where(count > 0, (sums[end] - sums[first]) / np.maximum(count, 1), np.nan)


def whole_lines(file: IO[bytes], longest: int) -> Iterator[bytes]:
    """Yield the lines of a log, cut after `longest` + 1 bytes; skip an incomplete last line.

    An incomplete line is being written, or was when the power failed; then it may be long and
    full of zeros.
    """
    for line in iter(partial(file.readline, longest + 1), b""):
        if not line.endswith(b"\n") and b"\n" not in file.read(MAX_TORN_LINE):
            return
        yield line


_NAMES = tuple(Metrics.__dataclass_fields__)


class MetricsFile:
    """Reads a metrics.jsonl, which may be growing: each `read` reads only the new lines.

    An incomplete last line waits for the next `read`. A file that does not exist yet has no steps.
    If the file was replaced or became shorter, because the run returned to a checkpoint, it is
    read again from the beginning.

    >>> metrics = MetricsFile("runs/demo/metrics.jsonl").read()
    >>> metrics.loss[-1]
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._forget()

    def _forget(self) -> None:
        self._offset = 0
        self._which: tuple[int, int] | None = None
        self._columns = [array("d") for _ in _NAMES]

    def read(self) -> Metrics:
        """Return all steps so far.

        Raises
        ------
        ValueError
            If a line is wrong; the message names the line.
        """
        try:
            with open_to_read(self.path) as file:
                self._read_new(file)
        except FileNotFoundError:
            self._forget()
        number, *others = (np.array(column) for column in self._columns)
        return Metrics(number.astype(np.int64), *others)

    def _read_new(self, file: Any) -> None:
        status = os.fstat(file.fileno())
        which = status.st_dev, status.st_ino
        if which != self._which or status.st_size < self._offset:
            self._forget()
        self._which = which
        file.seek(self._offset)
        for line in whole_lines(file, MAX_METRICS_LINE):
            if len(line) > MAX_METRICS_LINE:
                raise self._wrong(f"it has more than {MAX_METRICS_LINE} bytes")
            for column, value in zip(self._columns, self._parse(line), strict=True):
                column.append(value)
            self._offset += len(line)

    def _parse(self, line: bytes) -> list[float]:
        numbers = self._columns[0]
        if len(numbers) == MAX_STEPS_READ:
            raise self._wrong(f"more than {MAX_STEPS_READ:,} steps are not read")
        try:
            row = json.loads(line.decode("utf-8"))
        except (ValueError, RecursionError):
            raise self._wrong("it is not JSON") from None
        if not isinstance(row, dict):
            raise self._wrong("it is not an object with the numbers of a step")
        number, last = row.get("number"), int(numbers[-1]) if numbers else 0
        if type(number) is not int or not last < number < 2**53:
            raise self._wrong(f"its number must be whole and more than {last}, got {number!r:.40}")
        return [number, *(self._float(name, row.get(name)) for name in _NAMES[1:])]

    def _float(self, name: str, value: object) -> float:
        if value is None:
            return math.nan
        if type(value) is not float and type(value) is not int:
            raise self._wrong(f"{name} must be a number, got {value!r:.40}")
        return float(value) if abs(value) < MAX_NUMBER else math.nan  # inf and nan too

    def _wrong(self, why: str) -> ValueError:
        return ValueError(f"{self.path}, line {len(self._columns[0]) + 1}: {why}")
