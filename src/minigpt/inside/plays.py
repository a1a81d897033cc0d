"""Measure what heads have learned of the built-in plays: names, confessions, speakers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.checks import check_sizes
from minigpt.core.functional import Array
from minigpt.inside.heads import HeadScores, score_heads
from minigpt.inside.record import trace
from minigpt.support.checked import checked
from minigpt.text.corpus import words

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.text.tokenizers import Tokenizer


@checked
def play_relations(pieces: Sequence[str]) -> dict[str, Array]:
    """Return where tokens of a scene should look back to: name → bool (T, T), [query, key].

    - names of persons: from the end of a line and from "my dear", where a name comes next, to
      earlier names;
    - what was confessed: from "has", which betrays a secret, to "have" and the deed in the "I have
      …" that confessed it;
    - speaker's colon: from the colon after a speaker to earlier ones.
    """
    tokens = np.array([piece.strip() for piece in pieces])
    earlier = np.tri(len(pieces), k=-1, dtype=bool)

    before_name = np.array(["\n" in piece for piece in pieces]) | (tokens == "dear")
    names = np.isin(tokens, words.PEOPLE)
    colons = np.isin(tokens, [":", "):"])
    confessed = np.zeros(len(pieces), dtype=bool)
    inside, previous = False, ""
    for t, word in enumerate(tokens):
        inside = (inside or (previous == "I" and word == "have")) and word != "."
        confessed[t] = inside
        previous = word or previous  # a space may be a token of its own
    betrayed = np.isin(tokens, ["has", "have"]) & ~confessed
    return {
        "names of persons": before_name[:, None] & names & earlier,
        "what was confessed": betrayed[:, None] & confessed & earlier,
        "speaker's colon": colons[:, None] & colons & earlier,
    }


@checked
def play_scores(model: miniGPT, tokenizer: Tokenizer, text: str, n_scenes: int = 60) -> HeadScores:
    """Compute the scores of the heads of `model` on scenes: see `play_relations`, `score_heads`.

    Parameters
    ----------
    model, tokenizer : trained on the plays; most tokens must be whole words.
    text : scenes of the plays, separated by empty lines.
    n_scenes : number of scenes to read. A scene longer than the context is cut at its end.
    """
    check_sizes(n_scenes=n_scenes)
    scores: dict[str, list[tuple[Array, float]]] = {}
    for scene in text.split("\n\n")[:n_scenes]:
        ids = tokenizer.encode(scene)[: model.max_len]
        if not ids:
            continue
        seen = trace(model, ids, tokenizer)
        for name, relation in play_relations(seen.pieces).items():
            known = scores.setdefault(name, [])  # in the order of the relations
            if relation.any():
                of_scene = score_heads(seen.weights, {name: relation})
                known.append((of_scene.values[0], float(of_scene.even[0])))
    scores = {name: known for name, known in scores.items() if known}
    if not scores:
        raise ValueError(
            "the text has no scene of the plays in which the tokenizer keeps whole words"
        )
    return HeadScores(
        names=list(scores),
        values=np.stack([np.mean([v for v, _ in each], axis=0) for each in scores.values()]),
        even=np.array([np.mean([even for _, even in each]) for each in scores.values()]),
    )
