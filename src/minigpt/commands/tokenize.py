"""`minigpt tokenize`."""

from __future__ import annotations

import argparse
from typing import Any

from minigpt.commands.parsing import add_allow_special, add_reading, command, typed_text


def add_tokenize(subparsers: Any) -> None:
    """Add the command and its flags."""
    parser = command(
        subparsers,
        "tokenize",
        tokenize,
        '"my dear friend"\n"my dear friend" --data my-text.txt --vocab-size 1000\n'
        '"my dear friend" --tokenizer runs/demo bpe char',
    )
    parser.add_argument(
        "text",
        type=typed_text,
        metavar="TEXT",
        help="text to cut, in which \\n is a new line; or - for standard input",
    )
    parser.add_argument(
        "--tokenizer",
        nargs="+",
        default=["bpe", "word", "char"],
        metavar="T",
        help="bpe, word or char, which are trained on --data; or a tokenizer.json, its folder or "
        "gpt2 (bpe word char)",
    )
    parser.add_argument(
        "--data", nargs="+", metavar="TEXT", help="text to train tokenizers on (plays)"
    )
    add_reading(parser)
    add_allow_special(parser)
    parser.add_argument(
        "--vocab-size", type=int, metavar="N", help="vocabulary size in training (1024 for bpe)"
    )


def tokenize(args: argparse.Namespace) -> int:
    """Print the tokens of a text by several tokenizers."""
    from minigpt.show.showdown import showdown
    from minigpt.support.tables import stdout_console
    from minigpt.support.terminal import say
    from minigpt.text.data import load_corpus
    from minigpt.text.documents import read_stdin
    from minigpt.text.tokenizers import TOKENIZERS
    from minigpt.text.tokenizers.making import find_tokenizer, make_tokenizer

    are_trained = bool(TOKENIZERS.keys() & set(args.tokenizer))
    for flag, value in (("data", args.data), ("vocab-size", args.vocab_size)):
        if value is not None and not are_trained:
            raise ValueError(
                f"--{flag} is for training a tokenizer: bpe, word or char. Here there is only "
                f"{', '.join(args.tokenizer)}: leave it out"
            )
    sizes = {name: args.vocab_size if name in TOKENIZERS else None for name in args.tokenizer}
    for name, size in sizes.items():
        find_tokenizer(name, size)
    text = read_stdin() if args.text == "-" else args.text
    learn = ""
    if are_trained:
        learn = load_corpus(args.data or ["plays"], args.field, args.skip_undecodable, say).train
    tokenizers = {
        name: make_tokenizer(name, learn, size, say, allow_special=args.allow_special)
        for name, size in sizes.items()
    }
    showdown(tokenizers, text, stdout_console(), args.allow_special)
    return 0
