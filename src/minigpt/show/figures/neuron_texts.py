"""The places of a text that activate neurons most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.checks import check_sizes
from minigpt.inside import most_selective, neuron_activations, strongest
from minigpt.inside.pieces import vocabulary_of
from minigpt.show.figures.marks import SHARES, Cells, add_strip, flow, ink_on, label
from minigpt.show.figures.style import figure
from minigpt.support.checked import checked

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from minigpt.core.model import miniGPT
    from minigpt.text.tokenizers import Tokenizer

TOKENS_BEFORE, TOKENS_AFTER = 9, 2


@checked
def neurons(
    model: miniGPT,
    tokenizer: Tokenizer,
    text: str,
    layer: int,
    numbers: Sequence[int] | None = None,
    n_contexts: int = 5,
) -> go.Figure:
    """Show where in a text neurons are most active, with tokens coloured by activation.

    Parameters
    ----------
    model, tokenizer : the model and its tokenizer.
    text : a longer text finds stronger places; 5000 tokens take about a second.
    layer : the block.
    numbers : the neurons; None chooses three that are active at few tokens only.
    n_contexts : number of places for each neuron.
    """
    check_sizes(n_contexts=n_contexts)
    ids = np.array(tokenizer.encode(text), int)
    activations = neuron_activations(model, ids, layer)
    chosen = most_selective(activations, 3) if numbers is None else np.asarray(numbers)
    if chosen.size == 0 or chosen.min() < 0 or chosen.max() >= activations.shape[1]:
        raise ValueError(
            f"neurons must be numbers from 0 to {activations.shape[1] - 1}, got {numbers}"
        )
    vocabulary = vocabulary_of(tokenizer, model.vocab_size)
    pieces = [vocabulary[i] for i in ids]
    made = figure(
        f"What activates neurons of block {layer}",
        "the places in the text where each neuron is most active; brighter is more",
        rows=len(chosen),
        vertical_spacing=0.25 / len(chosen),
        subplot_titles=[f"neuron {number}" for number in chosen],
    )
    for panel, number in enumerate(chosen, 1):
        _add_contexts(made, pieces, activations[:, number], n_contexts, panel)
    made.update_annotations(x=0, xanchor="left")
    return made.update_layout(height=150 + len(chosen) * (50 + 30 * n_contexts))


def _add_contexts(
    made: go.Figure, pieces: list[str], values: np.ndarray, n_contexts: int, panel: int
) -> None:
    shown: list[int] = []
    cells = Cells([], [], [])
    for row, place in enumerate(strongest(values, n_contexts, TOKENS_BEFORE)):
        tokens = range(max(0, place - TOKENS_BEFORE), min(len(pieces), place + TOKENS_AFTER + 1))
        line = flow([pieces[t].replace("\n", "⏎") for t in tokens], 10**6)
        shown += tokens
        cells.starts.extend(line.starts)
        cells.widths.extend(line.widths)
        cells.rows.extend([row] * len(tokens))
    low, high = 0.0, max(float(values.max()), 1e-6)
    seen = np.maximum(values[shown], low)
    marker = {"color": seen, "colorscale": SHARES, "cmin": low, "cmax": high}
    hover = [f"“{label(pieces[t])}”, token {t}: {values[t]:.2f}" for t in shown]
    add_strip(
        made, [pieces[t] for t in shown], cells, hover, marker, ink_on(seen, low, high), panel
    )
