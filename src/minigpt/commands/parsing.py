"""What the commands share to say which arguments they take."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

MODEL = "folder of a model; or gpt2, gpt2-medium, gpt2-large, gpt2-xl, distilgpt2"


class Parser(argparse.ArgumentParser):
    """Full names only, and for an unknown one the nearest."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options
        )

    def error(self, message: str) -> NoReturn:
        """Say what is wrong in a line or two, where argparse would print all options."""
        self.exit(2, f"{self.prog}: {message}\nFor help: {self.prog} --help\n")


def command(subparsers: Any, name: str, work: Any, help: str, examples: str) -> Parser:
    """Add a command: its name, what does it, and in words what it is for."""
    lines = "\n".join(f"  minigpt {name} {line}".rstrip() for line in examples.splitlines())
    parser: Parser = subparsers.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".", epilog=f"examples:\n{lines}"
    )
    parser.set_defaults(command=work, parser=parser)
    return parser


def whole_number(text: str) -> int:
    """Read a number such as a seed."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, got {text!r}")
    return int(text)
