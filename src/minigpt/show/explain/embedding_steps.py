"""Explain how a text becomes the vectors that the first block receives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.layers import Embedding, PositionalEncoding
from minigpt.show.explain.page import Picture, Step, Table
from minigpt.show.explain.page_words import (
    TABLE_ROWS,
    dims,
    entries,
    entry_names,
    first_numbers,
    last_of,
    last_pieces,
    number,
    quoted,
)
from minigpt.show.figures import embedding_map as embeddings
from minigpt.support.wording import counted

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.inside import Trace
    from minigpt.text.tokenizers import Tokenizer

TOKEN_KINDS = {
    "bpe": "common words are one token each, rare words are cut into parts",
    "word": "here words, spaces and punctuation marks",
    "char": "here single characters",
}
TOKEN_CELLS = 300
"""Tokens of the text that are shown as cells: the last ones."""
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
                f"called tokens: {TOKEN_KINDS[tokenizer.kind]}.",
                f"This text becomes {counted(T, 'token')}.{only} Equal tokens have the "
                "same colour; · is a space, ⏎ the end of a line.",
            ],
            shapes=[("tokens", "T", str(T)), ("vocabulary", "V", f"{V:,}")],
            pieces=shown,
            code=[type(tokenizer)._encode],
        ),
        Step(
            "ids",
            "Replace each token by its number",
            [
                f"The tokenizer knows {V:,} tokens, numbered from 0 to {V - 1:,}. From here on, "
                "the model sees only this number, the token's id. The number itself has no "
                "meaning: id 8 is no closer to id 9 than to any other.",
                f"Equal tokens have equal ids. Here, {counted(repeated, 'token')} of {T} occurred "
                "before."
                if repeated
                else "No token occurs twice in this text.",
            ],
            shapes=[("ids", "(T,)", f"({T},)")],
            tables=[
                Table(
                    f"{last_of(T, 'token')} of the text",
                    ["token", "position t", "id"],
                    [[quoted(p), str(t), str(seen.ids[t])] for t, p in last_pieces(seen.pieces)],
                )
            ],
        ),
    ]


def vector_steps(model: miniGPT, tokenizer: Tokenizer, seen: Trace) -> list[Step]:
    """Explain how ids become vectors that also encode their positions."""
    return [_embedding(model, tokenizer, seen), _positions(model, seen)]


def _embedding(model: miniGPT, tokenizer: Tokenizer, seen: Trace) -> Step:
    C = model.d_model
    return Step(
        "embedding",
        "Look up a vector for each token",
        [
            f"Each token becomes a vector, a list of {C} numbers: the id says which row of a "
            "learned table it is. In training, tokens that are used in similar ways get "
            "similar vectors. This is how the model knows that two words have something in "
            "common.",
        ],
        ["x_t = E[id_t]"],
        [
            ("table E", "(V, C)", dims(model.token_embedding.weight)),
            ("vectors", "(T, C)", dims(seen.token_embedding)),
        ],
        [
            Table(
                f"The vectors of the last tokens: {first_numbers(C)}",
                ["token", *entry_names(C)],
                [
                    [quoted(p), *entries(seen.token_embedding[t])]
                    for t, p in last_pieces(seen.pieces, 4)
                ],
            )
        ],
        [_map_of_tokens(model, tokenizer, seen)] if C > 1 and model.vocab_size > 2 else (),
        code=[Embedding.forward],
    )


def _positions(model: miniGPT, seen: Trace) -> Step:
    (T, C), token = seen.embedding.shape, quoted(seen.pieces[-1])
    return Step(
        "positions",
        "Add the position",
        [
            "The next steps compare tokens without regard to their order. So that “dear my” "
            "and “my dear” differ, each position in the text has a learned vector too. It is "
            "added to the vector of the token.",
            "The blocks work on this sum. It is called the residual stream: every later step "
            "reads it and adds something to it.",
        ],
        ["x_t = E[id_t] + P[t]"],
        [
            ("table P", "(max_len, C)", dims(model.position_embedding.weight)),
            ("x", "(T, C)", dims(seen.embedding)),
        ],
        [
            Table(
                f"The last token, {token}, at position {T - 1}",
                ["vector", *entry_names(C)],
                [
                    ["token vector", *entries(seen.token_embedding[-1])],
                    [f"position {T - 1}", *entries(seen.position_embedding[-1])],
                    ["sum x", *entries(seen.embedding[-1])],
                ],
            )
        ],
        code=[PositionalEncoding.forward],
    )


def _map_of_tokens(model: miniGPT, tokenizer: Tokenizer, seen: Trace) -> Picture:
    """Return a map of the token vectors, with a table of those most similar to the last token."""
    figure = embeddings.embeddings(model, tokenizer, EMBEDDING_DOTS)
    weights = model.token_embedding.weight
    lengths = np.linalg.norm(weights, axis=1)
    lengths[lengths == 0] = 1
    own = int(seen.ids[-1])
    alike = weights @ weights[own] / (lengths * lengths[own])
    order = np.argsort(-alike, kind="stable")[: TABLE_ROWS + 1].tolist()
    nearest = [i for i in order if i != own][:TABLE_ROWS]
    n = min(EMBEDDING_DOTS, model.vocab_size)
    which = "All" if n == model.vocab_size else f"The first {n:,}"
    return Picture(
        figure,
        f"{which} of the {model.vocab_size:,} tokens. A vector has {model.d_model} numbers, but a "
        "picture only two directions: these are the two in which the vectors differ most. Point "
        "at a dot to see its token.",
        Table(
            f"The tokens whose vectors are most similar to the vector of {quoted(seen.pieces[-1])}",
            ["token", "id", "cosine similarity"],
            [[quoted(seen.vocabulary[i]), str(i), number(float(alike[i]))] for i in nearest],
        ),
    )
