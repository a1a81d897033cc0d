"""The pictures for README and docs, as SVG: bars for comparisons, curves for growth."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.report import Row

OURS, PEER, PREDICTED = "#08519c", "#bdbdbd", "#d94801"


@dataclass
class Curve:
    """The milliseconds of a step as a function of one size, measured and predicted."""

    size: str
    values: list[int] = field(default_factory=list)
    measured: list[float] = field(default_factory=list)
    predicted: list[float] = field(default_factory=list)

    def add(self, value: int, measured: float, predicted: float) -> None:
        """Add a point."""
        self.values.append(value)
        self.measured.append(measured)
        self.predicted.append(predicted)


def draw_curves(path: Path, curves: Sequence[Curve]) -> None:
    """Draw curves side by side on logarithmic scales, where powers of a size are straight lines."""
    if (plt := _pyplot()) is None:
        return
    figure, all_axes = plt.subplots(1, len(curves), figsize=(12, 3.2), sharey=True)
    for axes, curve in zip(all_axes, curves, strict=True):
        axes.plot(curve.values, curve.predicted, "--", color=PREDICTED, label="predicted")
        axes.plot(curve.values, curve.measured, "o-", color=OURS, label="measured")
        axes.set(xscale="log", yscale="log", xlabel=curve.size)
        axes.set_xticks(curve.values, [str(value) for value in curve.values])
        axes.minorticks_off()
    all_axes[0].set_ylabel("milliseconds per step")
    all_axes[0].legend(frameon=False)
    _save(figure, path)


def draw_bars(path: Path, title: str, rows: Sequence[Row], unit: str) -> None:
    """Draw the ratio of each row as a bar with its quartiles; the peer is a line at 1."""
    rows = [row for row in rows if row.ratio]
    if not rows or (plt := _pyplot()) is None:
        return
    figure, axes = plt.subplots(figsize=(9, 0.8 + 0.34 * len(rows)))
    ratios = [row.ratio for row in rows if row.ratio]
    medians = [ratio.median for ratio in ratios]
    spread = [
        [ratio.median - ratio.low for ratio in ratios],
        [ratio.high - ratio.median for ratio in ratios],
    ]
    places = range(len(rows))
    axes.barh(places, medians, xerr=spread, color=OURS, height=0.6, ecolor="#6baed6")
    axes.axvline(1, color=PEER, lw=2)
    axes.set_yticks(places, [row.what for row in rows])
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.set_title(title, loc="left")
    _save(figure, path)


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        print("matplotlib is not installed: no pictures are drawn", file=sys.stderr)
        return None
    matplotlib.use("svg")
    # Letters stay text, and equal results give equal files.
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "minigpt", "font.size": 10}
    from matplotlib import pyplot

    return pyplot


def _save(figure: Any, path: Path) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None, "Creator": None})
