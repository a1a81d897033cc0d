"""All parts of the page, in the order of the computation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.checks_model import check_model
from minigpt.inside import trace
from minigpt.inside.pieces import visible
from minigpt.show.explain import answer, error_and_gradient, stack
from minigpt.show.explain.embedding_steps import text_steps, vector_steps
from minigpt.show.explain.first_attention import attention_steps
from minigpt.show.explain.first_neurons import neuron_steps
from minigpt.show.explain.page import Part, render
from minigpt.show.explain.page_words import percent, quoted
from minigpt.show.summary import n_parameters
from minigpt.support.wording import counted

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.inside import Trace
    from minigpt.text.tokenizers import Tokenizer

MAX_TITLE_CHARS = 60
"""Characters of the text that the title shows: the last ones."""


def explain(
    model: miniGPT,
    tokenizer: Tokenizer,
    text: str,
    scenes: str = "",
    allow_special: bool = False,
) -> str:
    """Return an HTML page that explains, step by step, what `model` computes for `text`.

    Every number on the page comes from this model and this text. The page needs no network;
    plotly.js is included and takes about 5 MB.

    Parameters
    ----------
    model, tokenizer : the model to explain, and its tokenizer.
    text : at least one token. A text longer than the context is cut to its last max_len tokens,
        and the page says so.
    scenes : scenes of the built-in plays, if the model was trained on them. The page then also
        names heads that have learned what is special about the plays.
    allow_special : whether the name of a special token in `text` becomes that token; otherwise it
        is ordinary text.

    Returns
    -------
    str
        The page. `minigpt.support.files.write_text` writes it to a file.

    Raises
    ------
    ValueError
        If the text has no token, or the model's logits are not all finite.
    ImportError
        If Plotly or Jinja is not installed.
    """
    check_model(model)
    if not text:
        raise ValueError("there is no text to explain: give at least one character")
    ids = tokenizer.encode(text, allow_special=allow_special)
    seen = trace(model, ids, tokenizer)
    if not np.isfinite(seen.logits).all():
        raise ValueError(
            "the scores of the next token are not all numbers: the weights of the model are "
            "damaged, or its training has diverged"
        )
    parts = [
        Part("the-text", "The text", text_steps(model, tokenizer, seen)),
        Part("vectors", "Tokens become vectors", vector_steps(model, tokenizer, seen)),
        Part("attention", "Block 0, first half: attention", attention_steps(model, seen)),
        Part("neurons", "Block 0, second half: neurons", neuron_steps(model, seen)),
        Part("blocks", "All blocks", stack.steps(model, tokenizer, seen, scenes)),
        Part("answer", "The answer", answer.steps(model, seen)),
        Part("learning", "How the model learned", error_and_gradient.steps(model, seen)),
    ]
    line = visible(" ".join("".join(seen.pieces).split()))
    if len(line) > MAX_TITLE_CHARS:
        line = "… " + line[-MAX_TITLE_CHARS:].partition(" ")[2]
    return render(f"What comes after “{line}”?", _lead(model, seen), parts)


def _lead(model: miniGPT, seen: Trace) -> list[str]:
    (_, piece, probability), *_ = seen.top(1)
    dropped = (
        f" The text is longer than the context: {counted(seen.n_dropped, 'token')} before these "
        "were left out, and the model does not see them."
        if seen.n_dropped
        else ""
    )
    return [
        f"This model answers {quoted(piece)}, and is {percent(min(probability, 1 - 1e-9))} sure. "
        "This page shows how the model came to this answer, step by step, beginning with the "
        "letters of the text. The model has really computed every number you see here for this "
        "text.",
        "A language model does one thing: it reads a text and computes, for every token it knows, "
        "how likely this token is to come next. A token is a short piece of text. This model has "
        f"{n_parameters(model):,} parameters, the numbers it learned in training. It has "
        f"{counted(model.n_layers, 'block')} with {counted(model.n_heads, 'attention head')} each, "
        f"and it sees at most {counted(model.max_len, 'token')} at a time. The text here has "
        f"{counted(len(seen.ids), 'token')}.{dropped}",
        "You can read the text alone. The formulas, shapes, numbers and code beside it are there "
        "for when you want them.",
    ]
