"""From the text to the vectors that the first block gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.layers import Embedding, PositionalEncoding
from minigpt.show.explain.page import Picture, Step, Table
from minigpt.show.explain.page_words import (
    ROWS,
    dims,
    entries,
    entry_names,
    last,
    last_of,
    number,
    quoted,
)
from minigpt.show.figures import embedding_map as embeddings
from minigpt.support.wording import counted

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.inside import Trace
    from minigpt.text.tokenizers import Tokenizer

PIECES = {
    "bpe": "a whole word where the word is common, a part of one where it is rare",
    "word": "here whole words, spaces and marks between them",
    "char": "here single characters",
}
TOKEN_CELLS = 300
"""Tokens of the text that are shown as cells: its last."""
EMBEDDING_DOTS = 1500
"""Tokens in the picture of the embeddings: the first of the vocabulary, which are the commonest."""


def text_steps(model: miniGPT, tokenizer: Tokenizer, seen: Trace) -> list[Step]:
    """Explain how a text becomes numbers."""
    T, V = len(seen.ids), model.vocab_size
    shown = seen.pieces[-TOKEN_CELLS:]
    only = f" Here are the last {len(shown)}." if len(shown) < T else ""
    repeated = T - len(np.unique(seen.ids))
    return [
        Step(
            "tokens",
            "Cut the text into tokens",
            [
                "The model does not read letters. A tokenizer cuts the text into pieces it knows, "
                f"called tokens: {PIECES[tokenizer.kind]}.",
                f"This text becomes {counted(T, 'token')}.{only} The same token has the same "
                "colour; · is a space, ⏎ the end of a line.",
            ],
            shapes=[("tokens", "T", str(T)), ("vocabulary", "V", f"{V:,}")],
            pieces=shown,
            code=[type(tokenizer)._encode],
        ),
        Step(
            "ids",
            "Give each token its number",
            [
                f"The tokenizer knows {V:,} tokens and has numbered them from 0 to {V - 1:,}. "
                "From here on a token is that number, its id. The numbers say nothing by "
                "themselves: id 8 is no closer to id 9 than to any other.",
                f"Here {counted(repeated, 'token')} of {T} stood in the text before: the same "
                "token, the same id."
                if repeated
                else "No token stands in this text twice.",
            ],
            shapes=[("ids", "(T,)", f"({T},)")],
            tables=[
                Table(
                    f"{last_of(T, 'token')} of the text",
                    ["token", "place t", "id"],
                    [[quoted(p), str(t), str(seen.ids[t])] for t, p in last(seen.pieces)],
                )
            ],
        ),
    ]


def vector_steps(model: miniGPT, tokenizer: Tokenizer, seen: Trace) -> list[Step]:
    """Explain how ids become vectors that know their places."""
    (T, C), token = seen.embedding.shape, quoted(seen.pieces[-1])
    return [
        Step(
            "embedding",
            "Look up a vector for each token",
            [
                f"Each token gets a vector, a list of {C} numbers: row id of a table that was "
                "learned. Tokens that are used alike have come to lie near each other, and that "
                "is how the model knows that two words have something in common.",
            ],
            ["x_t = E[id_t]"],
            [
                ("table E", "(V, C)", dims(model.token_embedding.weight)),
                ("vectors", "(T, C)", dims(seen.token_embedding)),
            ],
            [
                Table(
                    f"The vectors of the last tokens, the first of their {C} numbers",
                    ["token", *entry_names(C)],
                    [
                        [quoted(p), *entries(seen.token_embedding[t])]
                        for t, p in last(seen.pieces, 4)
                    ],
                )
            ],
            [_map_of_tokens(model, tokenizer, seen)] if C > 1 and model.vocab_size > 2 else (),
            code=[Embedding.forward],
        ),
        Step(
            "positions",
            "Add where each token stands",
            [
                "What follows compares tokens without regard to their order. So that “dear my” "
                "and “my dear” differ, each place in the text has a learned vector too, and it is "
                "added.",
                "The sum is what the blocks work on. It is called the residual stream: every "
                "later step reads it and adds something to it.",
            ],
            ["x_t = E[id_t] + P[t]"],
            [
                ("table P", "(max_len, C)", dims(model.position_embedding.weight)),
                ("x", "(T, C)", dims(seen.embedding)),
            ],
            [
                Table(
                    f"The last token, {token}, at place {T - 1}",
                    ["vector", *entry_names(C)],
                    [
                        ["of the token", *entries(seen.token_embedding[-1])],
                        [f"of place {T - 1}", *entries(seen.position_embedding[-1])],
                        ["their sum x", *entries(seen.embedding[-1])],
                    ],
                )
            ],
            code=[PositionalEncoding.forward],
        ),
    ]


def _map_of_tokens(model: miniGPT, tokenizer: Tokenizer, seen: Trace) -> Picture:
    """Show the vectors in two dimensions, and in numbers who is nearest to the last token."""
    figure = embeddings.embeddings(model, tokenizer, EMBEDDING_DOTS)
    weights = model.token_embedding.weight
    lengths = np.linalg.norm(weights, axis=1)
    lengths[lengths == 0] = 1
    own = int(seen.ids[-1])
    alike = weights @ weights[own] / (lengths * lengths[own])
    nearest = [int(i) for i in np.argsort(-alike, kind="stable")[: ROWS + 1] if i != own][:ROWS]
    n = min(EMBEDDING_DOTS, model.vocab_size)
    which = "All" if n == model.vocab_size else f"The first {n:,}"
    return Picture(
        figure,
        f"{which} of the {model.vocab_size:,} tokens. A picture has two directions and a vector "
        f"{model.d_model}, so only the two are shown in which they differ most. Point at a dot.",
        Table(
            f"Tokens whose vectors point most nearly where that of {quoted(seen.pieces[-1])} does",
            ["token", "id", "cosine of the angle"],
            [[quoted(seen.vocabulary[i]), str(i), number(float(alike[i]))] for i in nearest],
        ),
    )
