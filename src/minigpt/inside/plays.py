"""Heads that have learned the built-in plays: what they look at where a scene calls for it."""

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
    """Return where a scene's tokens should look back to: name → bool (T, T), row by query.

    - names of persons: from the end of a line, and from "my dear", which a name comes after;
    - what was confessed: from "has", with which a secret is betrayed, to "have" and the deed in
      "I have …", where it was told;
    - speaker's colon: from the colon after a speaker to those before.
    """
    found = np.array([piece.strip() for piece in pieces])
    earlier = np.tri(len(pieces), k=-1, dtype=bool)

    due = np.array(["\n" in piece for piece in pieces]) | (found == "dear")
    names = np.isin(found, words.PEOPLE)
    colons = np.isin(found, [":", "):"])
    told = np.zeros(len(pieces), dtype=bool)
    inside, before = False, ""
    for t, word in enumerate(found):
        inside = (inside or (before == "I" and word == "have")) and word != "."
        told[t] = inside
        before = word or before  # spaces may be tokens of their own
    betrayed = np.isin(found, ["has", "have"]) & ~told
    return {
        "names of persons": due[:, None] & names & earlier,
        "what was confessed": betrayed[:, None] & told & earlier,
        "speaker's colon": colons[:, None] & colons & earlier,
    }


@checked
def play_scores(model: miniGPT, tokenizer: Tokenizer, text: str, n_scenes: int = 60) -> HeadScores:
    """Measure the heads of `model` on scenes: see `play_relations` and `score_heads`.

    Parameters
    ----------
    model, tokenizer : trained on the plays, with tokens that are whole words mostly.
    text : scenes of the plays, with an empty line between them.
    n_scenes : how many to take, from the first on; of a long one its beginning.
    """
    check_sizes(n_scenes=n_scenes)
    scores: dict[str, list[tuple[Array, float]]] = {}
    for scene in text.split("\n\n")[:n_scenes]:
        ids = tokenizer.encode(scene)[: model.max_len]
        if not ids:
            continue
        seen = trace(model, ids, tokenizer)
        for name, relation in play_relations(seen.pieces).items():
            of = scores.setdefault(name, [])
            if relation.any():
                one = score_heads(seen.weights, {name: relation})
                of.append((one.values[0], float(one.even[0])))
    scores = {name: of for name, of in scores.items() if of}
    if not scores:
        raise ValueError("the text has no scene of the plays that the tokenizer leaves whole words")
    return HeadScores(
        names=list(scores),
        values=np.stack([np.mean([values for values, _ in of], axis=0) for of in scores.values()]),
        even=np.array([np.mean([even for _, even in of]) for of in scores.values()]),
    )
