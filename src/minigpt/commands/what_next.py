"""What to try after a run: commands with its own path and words from its own text."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from minigpt.support.wording import for_shell

if TYPE_CHECKING:
    from minigpt.runs import Run

TOKENS_FOR_A_PROMPT = 200
MAX_PROMPT_WORDS, MAX_PROMPT_CHARS = 3, 24
UNQUOTABLE = '"%$`!' if os.name == "nt" else ""
"""Characters that Windows' shells change even inside quotation marks."""


def few_words(text: str) -> str:
    """Return the first words of the text's first complete line, or of any line if none is."""
    lines = ["".join(c for c in line if c.isprintable()) for line in text.splitlines()]
    lines = [line.replace("\ufffd", "").strip().lstrip("-").strip() for line in lines]
    complete = [line for line in lines[1:-1] if any(c.isalnum() for c in line)]
    line = complete[0] if complete else next((line for line in lines if line), "")
    for character in UNQUOTABLE:
        line = line.partition(character)[0]
    words = line.split(" ")
    while len(words) > MAX_PROMPT_WORDS or (
        len(words) > 1 and len(" ".join(words)) > MAX_PROMPT_CHARS
    ):
        words.pop()
    return " ".join(words)[:MAX_PROMPT_CHARS].strip()


def prompt_of(run: Run) -> str:
    """Return a prompt from the validation text of a run, quoted for the shell, or ""."""
    from minigpt.text.prepared import decoded

    beginning = decoded(run.dataset.val[:TOKENS_FOR_A_PROMPT], run.tokenizer)
    words = few_words("".join(beginning))
    return for_shell(words.replace("\\n", "\\\\n")) if words else ""


def what_next(run: Run) -> str:
    """Return commands to try, one per line; `eval` only if the text can be read again."""
    folder, prompt = for_shell(run.folder), prompt_of(run)
    tries = [(f"generate {folder}" + (f" --prompt {prompt}" if prompt else ""), "continue a text")]
    if prompt:
        tries.append((f"explain {folder} {prompt}", "a page with each step of a prediction"))
    tries.append((f"explore {folder}", "a live page: look inside while you type"))
    tries.append((f"plot {folder}", "the loss curve"))
    if "-" not in run.settings.data:  # standard input cannot be read again
        tries.append((f"eval {folder}", "the loss on the whole validation text"))
    if run.settings.data == ("plays",):
        tries.append(("train --data FILE", "a model of your own text"))
    return "\n".join(f"  minigpt {command}      {about}" for command, about in tries)
