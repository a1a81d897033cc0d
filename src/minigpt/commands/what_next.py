"""What to try with a run that has ended: commands with its own path and words of its own text."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from minigpt.support.wording import for_shell

if TYPE_CHECKING:
    from minigpt.runs import Run

TOKENS_FOR_A_PROMPT = 200
FEW_WORDS, FEW_CHARACTERS = 3, 24
NO_QUOTING_SAVES = '"%$`!' if os.name == "nt" else ""
"""Characters that the shells of Windows change even in quotation marks."""


def few_words(text: str) -> str:
    """Return the first words of a text, from a line that is whole, where it has one."""
    lines = ["".join(c for c in line if c.isprintable()) for line in text.splitlines()]
    lines = [line.replace("\ufffd", "").strip().lstrip("-").strip() for line in lines]
    whole = [line for line in lines[1:-1] if any(c.isalnum() for c in line)]
    line = whole[0] if whole else next((line for line in lines if line), "")
    for character in NO_QUOTING_SAVES:
        line = line.partition(character)[0]
    words = line.split(" ")
    while len(words) > FEW_WORDS or (len(words) > 1 and len(" ".join(words)) > FEW_CHARACTERS):
        words.pop()
    return " ".join(words)[:FEW_CHARACTERS].strip()


def prompt_of(run: Run) -> str:
    """Return a prompt from the validation text of a run, as it is typed; "" if there is none."""
    from minigpt.text.prepared import decoded

    beginning = decoded(run.dataset.val[:TOKENS_FOR_A_PROMPT], run.tokenizer)
    words = few_words("".join(beginning))
    return for_shell(words.replace("\\n", "\\\\n")) if words else ""


def what_next(run: Run) -> str:
    """Return commands to try, one a line; those that need the text only where it can be read."""
    folder, prompt = for_shell(run.folder), prompt_of(run)
    tries = [(f"generate {folder}" + (f" --prompt {prompt}" if prompt else ""), "let it go on")]
    if prompt:
        tries.append((f"explain {folder} {prompt}", "each step of a prediction, as a page"))
    tries.append((f"explore {folder}", "look inside, live in the browser"))
    tries.append((f"plot {folder}", "its loss as a figure"))
    if "-" not in run.settings.data:  # standard input cannot be read again
        tries.append((f"eval {folder}", "its loss on all of the validation text"))
    if run.settings.data == ("plays",):
        tries.append(("train --data FILE", "a model of your own text"))
    return "\n".join(f"  minigpt {command}      {about}" for command, about in tries)
