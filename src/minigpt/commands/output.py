"""Functions that several commands share: choose a model, write and print text."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from minigpt.core.sampling import Sampling
from minigpt.support.terminal import say, unfiltered

if TYPE_CHECKING:
    from minigpt.text.tokenizers import Tokenizer


def choose_model(name: str, which: str) -> Path:
    """Return the folder of a model or of a run's checkpoint, and report which checkpoint it is."""
    from minigpt.runs.model_of_run import find_checkpoint

    folder, note = find_checkpoint(name, which)
    if note is not None:
        say(note)
    return folder


def write(
    name: str | Path,
    prompt: str,
    n_tokens: int,
    sampling: Sampling,
    seed: int | None,
    stop: Sequence[str] = (),
    allow_special: bool = False,
) -> Iterator[str]:
    """Yield the text that a model writes after `prompt`, piece by piece."""
    from minigpt.folders.pretrained import load_model_and_tokenizer
    from minigpt.text.completion import stream, stream_text
    from minigpt.text.token_roles import drawable, end_ids, prompt_ids

    model, tokenizer = load_model_and_tokenizer(name)
    ends, allowed = end_ids(model, tokenizer), drawable(model, tokenizer)
    say_names(prompt, tokenizer, allow_special)
    context = [prompt_ids(model, tokenizer, prompt, allow_special)]
    tokens = stream(model, context, n_tokens, sampling, seed, allowed=allowed)
    return stream_text(tokenizer, (int(token[0]) for token in tokens), stop, ends)


def say_names(prompt: str, tokenizer: Tokenizer, allow_special: bool) -> None:
    """Print a note if a prompt contains names of special tokens that are read as letters."""
    from minigpt.text.special_names import count_special, special_note

    names = count_special(prompt, tokenizer)
    if note := special_note(names, tokenizer, allow_special, "the prompt"):
        say(note)


def print_text(text: str) -> None:
    """Print a text immediately; a file or a pipe gets exactly its bytes."""
    out = sys.stdout if sys.stdout.isatty() else unfiltered(sys.stdout)
    print(text, end="", file=out, flush=True)
