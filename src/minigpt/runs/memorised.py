"""How much of the text that a model writes is copied from its training text."""

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
MIN_MEMORISED = 50  # characters: shorter copies are idioms


def longest_copied(written: str, text: str) -> str:
    """Return the longest substring of `written` that occurs in `text` too.

    For each start, the end moves on as long as the substring occurs in `text`. Only substrings
    longer than the longest so far are tried.
    """
    longest = ""
    for start in range(len(written)):
        end = start + len(longest) + 1
        while end <= len(written) and written[start:end] in text:
            longest = written[start:end]
            end += 1
    return longest


def _text_of(ids: Array, tokenizer: Tokenizer, at_most: int) -> str:
    """Decode tokens, without special ones, to at most `at_most` characters."""
    parts, n = [], 0
    for part in decoded(ids, tokenizer):
        parts.append(part)
        n += len(part)
        if n >= at_most:
            break
    return "".join(parts)[:at_most]


def memorised(folder: Path, dataset: Dataset, seed: int) -> str:
    """Report, in a sentence, the longest passage that a model copies from its training text.

    The model continues the beginning of the validation text, which it has not learned. Unseen text
    of the same length shows how long shared passages usually are in such texts; only longer ones
    are a sign of memorisation.

    Parameters
    ----------
    folder : the folder of the model.
    dataset : the text it was trained on.
    seed : the seed of its choices.
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
    """Return the report: lengths of the longest copies by the model and in unseen text."""
    first = f" (searched: its first {MAX_SEARCHED:,} characters)" if is_cut else ""
    said = (
        f"In {counted(n_written, 'character')} that the model wrote, the longest passage copied "
        f"from the training text{first} has {counted(copied, 'character')}"
    )
    said += f"; in {n_unseen:,} of the validation text, {usual:,}"
    if copied >= MIN_MEMORISED and copied > 2 * usual:
        return f"{said}: parts of the text are memorised"
    return said
