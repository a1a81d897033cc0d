"""The commands: the module of each, and what `minigpt --help` says about it, in that order."""

from typing import NamedTuple


class Entry(NamedTuple):
    """A command. Its module has a function `add_…` that adds its parser, flags and examples."""

    module: str
    help: str


COMMANDS = {
    "demo": Entry(
        "train",
        "train a small GPT on the built-in plays for two to three minutes, and let it write",
    ),
    "train": Entry(
        "train",
        "train a model on a text, and save it in a run folder",
    ),
    "runs": Entry(
        "runs",
        "list run folders, newest first: settings, steps done, lowest validation loss, speed",
    ),
    "plot": Entry(
        "runs",
        "draw the loss curves of runs as a web page, a picture or text",
    ),
    "generate": Entry(
        "generate", "continue a text with a model, and print each token as it is chosen"
    ),
    "eval": Entry(
        "evaluate", "measure a model's loss on the validation part of its text, or on another text"
    ),
    "explain": Entry(
        "explain", "write a web page that walks through a model step by step, with its real numbers"
    ),
    "explore": Entry(
        "explore", "open a web page that shows a model at work while you type, and while it learns"
    ),
    "prepare": Entry(
        "prepare", "turn texts of any size into token files, which need little memory in training"
    ),
    "tokenize": Entry(
        "tokenize",
        "show how several tokenizers cut the same text into pieces",
    ),
    "check": Entry(
        "check", "prove that gradients, softmax, mask, cache, files and tokenizers are correct"
    ),
    "course": Entry(
        "course",
        "build a GPT yourself, layer by layer, and have every step marked",
    ),
    "fetch": Entry(
        "fetch",
        "download a well-known text once, into the user's cache",
    ),
}
