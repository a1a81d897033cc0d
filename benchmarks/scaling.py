"""How the time of a training step grows with its sizes, beside a prediction.

One size grows at a time, all others stay. The prediction is the number of operations of the step
(see `configurations`) divided by the measured rate of matrix products. No implementation can be
faster, and a good one stays close to it. At small sizes most of a step is not matrix products, so
the measured time lies above the prediction.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmarks.ceilings import matrix_product
from benchmarks.configurations import TINY, Configuration
from benchmarks.interleave import always, interleave
from benchmarks.options import Options
from benchmarks.plots import Curve, draw_curves
from benchmarks.report import Table
from benchmarks.training import Ours

BASE = Configuration("base", n_layers=4, n_heads=4, d_model=256, T=128, batch=8, V=65)
SWEEPS = {
    "T": (64, 128, 256, 512, 1024, 2048),
    "d_model": (64, 128, 256, 512, 1024),
    "n_layers": (2, 4, 8, 16, 24),
    "batch": (1, 2, 4, 8, 16, 32, 64),
}


def run(options: Options) -> list[Table]:
    """Measure all sweeps, draw them, and return their table."""
    base = TINY if options.quick else BASE
    ceiling = matrix_product(options.quick)
    table = Table(
        "Training step, growth with its sizes",
        [
            f"Starting from {base}.",
            f"Predicted: operations by PaLM's convention, at the rate of {ceiling.what}.",
        ],
        "predicted / ours",
    )
    curves = []
    for size, values in SWEEPS.items():
        curve = Curve(size)
        for value in values[:2] if options.quick else values:
            changed: dict[str, Any] = {size: value}
            c = replace(base, **changed)
            options.say(f"{size} = {value}")
            sides = {"ours": Ours(c, options.threads).side, "ceiling": always(ceiling.work)}
            rounds = interleave(sides, options.large, options.at_least)
            share = rounds.ratio("ceiling", "ours").times(c.flops / ceiling.amount)
            seconds = rounds.median("ours")
            predicted = rounds.median("ceiling") * c.flops / ceiling.amount
            table.add(f"{size} = {value}", "ms", 1000 * seconds, 1000 * predicted, share)
            curve.add(value, 1000 * seconds, 1000 * predicted)
        curves.append(curve)
    draw_curves(options.plots / "scaling.svg", curves)
    return [table]
