"""How much of what a model writes is copied from its training text, letter by letter."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from minigpt.core.functional import Array
from minigpt.core.sampling import Sampling
from minigpt.folders.pretrained import load_model_and_tokenizer
from minigpt.support.wording import counted
from minigpt.text.completion import stream
from minigpt.text.data import Dataset
from minigpt.text.prepared import decoded
from minigpt.text.token_roles import drawable
from minigpt.text.tokenizers import Tokenizer

TOKENS_WRITTEN = 200
TOKENS_OF_PROMPT = 8
MAX_SEARCHED = 4_000_000  # characters
MIN_MEMORISED = 50  # characters: shorter runs are idioms


def longest_copied(written: str, text: str) -> str:
    """Return the longest run of characters of `written` that stands in `text` as well.

    Two places move through `written`: the end goes on while what lies between stands in `text`, and
    the start follows. A run that does not beat the longest so far is not looked for.
    """
    longest = ""
    for start in range(len(written)):
        end = start + len(longest) + 1
        while end <= len(written) and written[start:end] in text:
            longest = written[start:end]
            end += 1
    return longest


def _text_of(ids: Array, tokenizer: Tokenizer, at_most: int) -> str:
    """Decode tokens, without the special ones, to at most so many characters."""
    parts, n = [], 0
    for part in decoded(ids, tokenizer):
        parts.append(part)
        n += len(part)
        if n >= at_most:
            break
    return "".join(parts)[:at_most]


def memorised(folder: Path, dataset: Dataset, seed: int) -> str:
    """Return how long the longest run is that a model copies from its training text, in a sentence.

    The model goes on with the beginning of the validation text, which it has not learned. What as
    much validation text shares with the training text is usual in such texts, and no sign that
    it was learned by heart.

    Parameters
    ----------
    folder : that of the model.
    dataset : the text it was trained on.
    seed : of the choices it makes.
    """
    model, tokenizer = load_model_and_tokenizer(folder)
    prompt = dataset.val[: min(TOKENS_OF_PROMPT, model.max_len)].tolist()
    allowed = drawable(model, tokenizer)
    sampling = Sampling(temperature=0.8)
    new = stream(model, [prompt], TOKENS_WRITTEN, sampling, seed, None, allowed)
    written = "".join(decoded(np.concatenate(list(new)), tokenizer))
    text = _text_of(dataset.train, tokenizer, MAX_SEARCHED + 1)
    is_cut, text = len(text) > MAX_SEARCHED, text[:MAX_SEARCHED]
    unseen = _text_of(dataset.val[len(prompt) :], tokenizer, len(written))
    return describe_copying(
        len(longest_copied(written, text)),
        len(longest_copied(unseen, text)),
        len(written),
        is_cut,
        len(unseen),
    )


def describe_copying(copied: int, usual: int, n_written: int, is_cut: bool, n_unseen: int) -> str:
    """Return what the numbers mean: copied by the model, shared by unseen text, and of how many."""
    first = f" (searched: its first {MAX_SEARCHED:,} characters)" if is_cut else ""
    said = (
        f"In {counted(n_written, 'character')} that the model wrote, the longest run copied from "
        f"the training text{first} has {counted(copied, 'character')}"
    )
    said += f"; in {n_unseen:,} of the validation text, {usual:,}"
    if copied >= MIN_MEMORISED and copied > 2 * usual:
        return f"{said}: parts of the text are memorised"
    return said
