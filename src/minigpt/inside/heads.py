"""Measure how much attention each head gives to relations that have a name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.checks import check_sizes, rng_of
from minigpt.core.checks_arrays import check_scores, check_tokens
from minigpt.core.functional import Array
from minigpt.inside.record import trace
from minigpt.support.brief import brief
from minigpt.support.checked import checked
from minigpt.support.displayed import as_html

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT


@dataclass(frozen=True)
class HeadScores:
    """The share of its attention that each head gives to each relation, from 0 to 1.

    Attributes
    ----------
    names : names of the R relations.
    values : (R, n_layers, H), the shares.
    even : (R,), the shares of a head that attends equally to all tokens it can see.
    """

    names: list[str]
    values: Array
    even: Array

    __repr__ = brief

    _repr_html_ = as_html

    @checked
    def found(self, threshold: float = 0.5) -> Iterator[tuple[int, int, str, float]]:
        """Yield (layer, head, relation, score) of each head with a clear relation.

        A head is named after its largest score, if this is at least `threshold` and at least twice
        the score of even attention.
        """
        for layer, head in np.ndindex(self.values.shape[1:]):
            best = int(self.values[:, layer, head].argmax())
            score = float(self.values[best, layer, head])
            if score >= max(threshold, 2 * self.even[best]):
                yield layer, head, self.names[best], score


@checked
def relations(ids: Any, pieces: Sequence[str] | None = None) -> dict[str, Array]:
    """Return which tokens each relation links: name → bool (T, T), indexed [query, key].

    From the query, the relations lead to:

    - previous token: the token before it;
    - duplicate token: an earlier token with the same id;
    - induction: a token that followed such a duplicate, and so may come next again;
    - first token: the first token of the text;
    - itself: the query.

    With `pieces`, there are two more, about lines. (In the plays, a line of dialogue begins with
    the name of its speaker, after the token that ends the line before.)

    - start of line: the first token after the latest line end;
    - start of the line before: the first token of the line before.

    Source: Elhage et al., "A Mathematical Framework for Transformer Circuits", 2021; Olsson et
    al., "In-context Learning and Induction Heads", 2022.
    """
    ids = check_tokens(ids)
    if pieces is not None and len(pieces) != len(ids):
        raise ValueError(
            f"pieces must have one piece for each of {len(ids)} ids, got {len(pieces)}"
        )
    at = np.arange(len(ids))
    earlier = at[None] < at[:, None]
    same = ids[None] == ids[:, None]
    found = {
        "previous token": at[None] == at[:, None] - 1,
        "duplicate token": same & earlier,
        "induction": np.pad(same, ((0, 0), (1, 0)))[:, :-1] & earlier,
        "first token": (at[None] == 0) & earlier,
        "itself": np.eye(len(ids), dtype=bool),
    }
    found["itself"][0] = False  # the first token has no choice
    if pieces is not None:
        ends = np.array(["\n" in piece for piece in pieces])
        line = np.cumsum(ends) - ends  # the token that ends a line belongs to that line
        first = np.append(False, ends[:-1])
        found["start of line"] = first[None] & (line[None] == line[:, None]) & earlier
        found["start of the line before"] = first[None] & (line[None] == line[:, None] - 1)
    return found


@checked
def score_heads(weights: Array, related: Mapping[str, Array]) -> HeadScores:
    """Compute the share of attention that each head gives to each relation.

    Parameters
    ----------
    weights : (n_layers, H, T, T), as `Trace.weights`.
    related : name → bool (T, T), as `relations` returns. A score is the mean over the queries that
        have a related token; if no query has one, the score is 0.
    """
    weights = check_scores(weights, "weights")
    T = weights.shape[-1] if weights.ndim == 4 else 0
    if weights.shape[-2:] != (T, T) or not T:
        raise ValueError(f"weights must have the shape (layers, H, T, T), got {weights.shape}")
    if not related:
        raise ValueError("related must have at least one relation, got none")
    for name, relation in related.items():
        if relation.shape != (T, T) or relation.dtype != bool:
            raise ValueError(
                f"related[{name!r}] must be bool of the shape {(T, T)}, got {relation.dtype} of "
                f"the shape {relation.shape}"
            )
    even = np.tri(T) / np.arange(1, T + 1)[:, None]
    values, even_values = [], []
    for relation in related.values():
        queries = relation.any(axis=1)
        n = max(1, queries.sum())
        values.append((weights[:, :, queries] * relation[queries]).sum(axis=(-2, -1)) / n)
        even_values.append((even[queries] * relation[queries]).sum() / n)
    return HeadScores(list(related), np.stack(values), np.array(even_values))


@checked
def repeated_tokens(model: miniGPT, rng: np.random.Generator) -> Array:
    """Return random distinct tokens, repeated once: int (T,), T at most 128.

    Only the repetition can tell what comes next, so nothing else helps a head.
    """
    n = min(64, model.max_len // 2, model.vocab_size)
    if n < 2:
        raise ValueError(
            f"a context of {model.max_len} tokens is too short to repeat at least two tokens"
        )
    return np.tile(rng.choice(model.vocab_size, n, replace=False), 2)


@checked
def head_scores(model: miniGPT, n_texts: int = 4, seed: int = 0) -> HeadScores:
    """Compute the scores of the heads of `model` on `repeated_tokens`: see `relations`.

    Parameters
    ----------
    model : miniGPT
    n_texts : number of texts to average over.
    seed : an integer; the same seed gives the same texts.
    """
    check_sizes(n_texts=n_texts)
    rng = rng_of(seed)
    all_scores = []
    for _ in range(n_texts):
        seen = trace(model, repeated_tokens(model, rng))
        all_scores.append(score_heads(seen.weights, relations(seen.ids)))
    values = np.mean([scores.values for scores in all_scores], axis=0)
    return HeadScores(all_scores[0].names, values, all_scores[0].even)
