"""All steps of the walk, in the order of the computation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.checks_model import check_model
from minigpt.inside import trace
from minigpt.inside.pieces import visible
from minigpt.show.explain import answer, stack
from minigpt.show.explain import embedding_steps as opening
from minigpt.show.explain import error_and_gradient as learning
from minigpt.show.explain import first_attention as attention
from minigpt.show.explain import first_neurons as neurons
from minigpt.show.explain.page import Part, render
from minigpt.show.explain.page_words import percent, quoted
from minigpt.show.summary import n_parameters
from minigpt.support.wording import counted

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.inside import Trace
    from minigpt.text.tokenizers import Tokenizer

TITLE = 60
"""Characters of the text that the title has room for."""


def explain(
    model: miniGPT,
    tokenizer: Tokenizer,
    text: str,
    scenes: str = "",
    allow_special: bool = False,
) -> str:
    """Walk through what `model` does with `text`, as one HTML page that needs no network.

    Every number on it is of this model and this text. Some 5 MB of it are plotly.js.

    Parameters
    ----------
    model, tokenizer : whose walk it is.
    text : at least one token. Of one longer than the context the last max_len tokens count, and
        the page says so.
    scenes : of the built-in plays, if the model was trained on them: heads that have learned what
        the plays are made of are named too.
    allow_special : whether the name of a special token in `text` is that token; else it is letters.

    Returns
    -------
    The page; `minigpt.support.files.write_text` puts it into a file.

    Raises
    ------
    ValueError
        If the text has no token, or the model gives scores that are no numbers.
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
        Part("the-text", "The text", opening.text_steps(model, tokenizer, seen)),
        Part("vectors", "Tokens become vectors", opening.vector_steps(model, tokenizer, seen)),
        Part("attention", "Block 0, first half: attention", attention.attention_steps(model, seen)),
        Part("neurons", "Block 0, second half: neurons", neurons.neuron_steps(model, seen)),
        Part("blocks", "All blocks", stack.steps(model, tokenizer, seen, scenes)),
        Part("answer", "The answer", answer.steps(model, seen)),
        Part("learning", "How it learned", learning.steps(model, seen)),
    ]
    whole = visible(" ".join("".join(seen.pieces).split()))
    start = whole if len(whole) <= TITLE else "… " + whole[-TITLE:].partition(" ")[2]
    return render(f"What comes after “{start}”?", _lead(model, seen), parts)


def _lead(model: miniGPT, seen: Trace) -> list[str]:
    (_, piece, probability), *_ = seen.top(1)
    dropped = (
        f" It was longer than the context: {counted(seen.n_dropped, 'token')} before these were "
        "left out, and the model knows nothing of them."
        if seen.n_dropped
        else ""
    )
    return [
        f"This model answers {quoted(piece)}, and is {percent(min(probability, 1 - 1e-9))} sure. "
        "On this page you can follow how it came to that, one step after the other, from letters "
        "to the answer. Every number is one it has really computed for this text.",
        f"A language model does one thing: it reads a text and says, for every token it knows, how "
        f"likely that token comes next. This one has {n_parameters(model):,} parameters, the "
        f"numbers it learned in training, {counted(model.n_layers, 'block')} with "
        f"{counted(model.n_heads, 'attention head')} each, and sees at most "
        f"{counted(model.max_len, 'token')} at a time. The text here has "
        f"{counted(len(seen.ids), 'token')}.{dropped}",
        "You can read the words alone. Formulas, shapes, numbers and the lines of our code stand "
        "beside them, for when you want them.",
    ]
