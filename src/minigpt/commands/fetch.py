"""`minigpt fetch`."""

from __future__ import annotations

import argparse
from typing import Any

from minigpt.commands.parsing import command


def add_fetch(subparsers: Any) -> None:
    """Add the command and its flags."""
    parser = command(
        subparsers,
        "fetch",
        fetch,
        "shakespeare",
    )
    parser.add_argument("name", metavar="NAME", help="name of the text: shakespeare")


def fetch(args: argparse.Namespace) -> int:
    """Download a text and print its path."""
    from minigpt.text.corpus.fetch import fetch

    print(fetch(args.name))
    return 0
