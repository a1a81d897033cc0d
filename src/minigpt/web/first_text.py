"""The first text on the page: of the same kind as the text that the model has learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.sampling import Sampling
from minigpt.runs.checkpoints import read_record
from minigpt.text.completion import stream
from minigpt.text.token_roles import begin_id, drawable

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.text.tokenizers import Tokenizer

PLAY = (
    "A windy tavern, at noon. Enter Milo, a baker, and Mabel, a judge.\n"
    "  Milo: I have salted the royal tea.\n  Mabel: Mercy! I must sing it: Milo has"
)
"""The beginning of one of the built-in plays."""
N_EXAMPLE_TOKENS = 32


def example_of(folder: Path, model: miniGPT, tokenizer: Tokenizer) -> str:
    """Return a play if the model has learned the plays, or else a text that the model writes.

    The text of the run is not read: its training.json may come from a stranger and name any file.
    """
    try:
        is_of_plays = read_record(folder)["settings"].get("data") == ["plays"]
    except (OSError, ValueError):  # it is not a run
        is_of_plays = False
    return PLAY if is_of_plays else written_by(model, tokenizer)


def written_by(model: miniGPT, tokenizer: Tokenizer) -> str:
    """Return the beginning of a text that a model writes; the same text each time."""
    begin = begin_id(model, tokenizer)
    context = (tokenizer.encode("\n") or [0]) if begin is None else [begin]
    allowed = drawable(model, tokenizer)
    allowed = np.ones(model.vocab_size, bool) if allowed is None else allowed
    allowed[list(tokenizer.vocabulary.special_tokens.values())] = False  # they are not text
    sampling = Sampling(temperature=0.7, top_k=40)
    try:
        tokens = list(stream(model, [context], N_EXAMPLE_TOKENS, sampling, 0, None, allowed))
    except ValueError:  # its weights are damaged
        return ""
    text = tokenizer.decode([int(token[0]) for token in tokens]).strip("\ufffd").lstrip()
    return "".join(c for c in text if c.isprintable() or c in "\n\t")
