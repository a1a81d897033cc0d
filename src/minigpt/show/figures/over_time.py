"""How a model learned: what changes from checkpoint to checkpoint, with a slider."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.checks import check_sizes
from minigpt.core.functional import Array
from minigpt.inside import PCA, pca, trace
from minigpt.inside.pieces import vocabulary_of
from minigpt.runs.stages import Stage
from minigpt.show.figures.attention_maps import attention_matrix
from minigpt.show.figures.embedding_map import KINDS_OF_TOKENS, kind_of, show_axes
from minigpt.show.figures.marks import label
from minigpt.show.figures.style import GREY, GRID, PALETTE, figure
from minigpt.support.checked import checked
from minigpt.training.loop import write_sample

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from minigpt.text.tokenizers import Tokenizer


@checked
def head_over_time(
    stages: Iterable[Stage],
    text: str,
    tokenizer: Tokenizer,
    layer: int,
    head: int,
    n_tokens: int = 40,
    seed: int = 0,
) -> go.Figure:
    """Show the attention of one head on a text at each stage, and how the model continues it.

    Parameters
    ----------
    stages : see `minigpt.runs.stages.stages`; only one model is open at a time.
    text, tokenizer : the text whose attention is shown and that samples continue.
    layer, head : the head.
    n_tokens : length of the samples in tokens.
    seed : seed of the samples, the same at each stage, so that only the model differs.
    """
    check_sizes(n_tokens=n_tokens)
    steps, samples = [], []
    made: go.Figure | None = None
    for stage in stages:
        one = attention_matrix(trace(stage.model, text, tokenizer), layer, head)
        if made is None:
            made = one
        else:
            made.add_traces(one.data)
        steps.append(stage.step)
        samples.append(write_sample(stage.model, tokenizer, text, n_tokens, seed))
    made = _check_any(made)
    for matrix in made.data:  # one scale for all stages, so that a colour keeps its meaning
        matrix.update(zmax=max(matrix.zmax for matrix in made.data))
    changes = [{"annotations": [_note(sample)]} for sample in samples]
    made.update_layout(
        title_text=f"Head {head} in block {layer}, and what the model writes, as it learns",
        height=made.layout.height + 280,
        margin={"b": 330},
    )
    return _with_slider(made, steps, 1, changes)


@checked
def embeddings_over_time(stages: Iterable[Stage], tokenizer: Tokenizer, n: int = 1000) -> go.Figure:
    """Show the embeddings of the first `n` tokens at each stage.

    The axes stay the same: the two directions in which the embeddings of the last stage differ
    most. So the figure shows how the vectors moved to their final places.
    """
    check_sizes(n=n)
    steps, vectors = [], []
    for stage in stages:
        steps.append(stage.step)
        vectors.append(stage.model.token_embedding.weight[:n].astype(float))
        vocab_size = stage.model.vocab_size
    _check_any(vectors)
    found = pca(vectors[-1])
    middle = vectors[-1].mean(axis=0)
    pieces = vocabulary_of(tokenizer, vocab_size)[:n]
    kinds = np.array([kind_of(piece) for piece in pieces])
    made = figure(
        f"The embeddings of {len(pieces):,} tokens as they learn",
        "along the two directions in which they differ most after the last step",
    )
    for each in vectors:
        _add_points(made, (each - middle) @ found.directions.T, pieces, kinds)
    show_axes(made, found)
    _fix_axes(made, found, vectors, middle)
    made.update_layout(height=680, margin={"b": 140})
    return _with_slider(made, steps, len(KINDS_OF_TOKENS), [{}] * len(steps))


def _add_points(made: go.Figure, points: Array, pieces: Sequence[str], kinds: Array) -> None:
    for kind, colour in zip(KINDS_OF_TOKENS, PALETTE, strict=False):
        members = np.flatnonzero(kinds == kind).tolist()
        made.add_scatter(
            x=points[members, 0],
            y=points[members, 1],
            mode="markers",
            name=kind,
            marker={"color": colour, "size": 6, "opacity": 0.7},
            hovertext=[f"“{label(pieces[i])}”, id {i}" for i in members],
            hoverinfo="text",
        )


def _fix_axes(made: go.Figure, found: PCA, vectors: Sequence[Array], middle: Array) -> None:
    every = np.concatenate([(each - middle) @ found.directions.T for each in vectors])
    for update, low, high in zip(
        (made.update_xaxes, made.update_yaxes), every.min(axis=0), every.max(axis=0), strict=True
    ):
        update(range=[low - 0.05 * (high - low), high + 0.05 * (high - low)])


def _note(sample: str) -> dict[str, Any]:
    lines = [part for line in sample.split("\n") for part in textwrap.wrap(line, 80) or [""]]
    return {
        "text": "<br>".join(label(line) for line in lines[:9]),
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": 0,
        "yref": "paper",
        "yanchor": "top",
        "yshift": -165,
        "align": "left",
        "showarrow": False,
        "font": {"family": "monospace", "size": 12},
    }


def _with_slider(
    made: go.Figure, steps: Sequence[int], per_step: int, changes: Sequence[dict[str, Any]]
) -> go.Figure:
    """Return `made` with a slider that shows `per_step` traces at a time, at first the last."""
    stops: list[dict[str, Any]] = []
    for i, (step, change) in enumerate(zip(steps, changes, strict=True)):
        seen = [i * per_step <= k < (i + 1) * per_step for k in range(len(made.data))]
        args = [{"visible": seen}, change]
        stops.append({"label": f"{step:,}", "method": "update", "args": args})
    for one, shown in zip(made.data, stops[-1]["args"][0]["visible"], strict=True):
        one.visible = shown
    slider = {
        "active": len(stops) - 1,
        "steps": stops,
        "currentvalue": {"prefix": "after step ", "xanchor": "left"},
        "pad": {"t": 70},
        "bgcolor": GRID,
        "activebgcolor": GREY,
        "bordercolor": GREY,
    }
    return made.update_layout(**changes[-1], sliders=[slider])


def _check_any(found: Any) -> Any:
    if not found:
        raise ValueError("there are no checkpoints to show: train with --keep 20 to keep more")
    return found
