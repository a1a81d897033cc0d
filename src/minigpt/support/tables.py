"""Tables on stdout: in columns if they fit, otherwise row by row."""

from __future__ import annotations

import os

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from minigpt.support import terminal

UNLIMITED_WIDTH = 10_000
"""Width in columns of an output without its own width, such as a pipe."""


def stdout_console() -> Console:
    """Return a console for stdout; lines in a pipe or a file are not wrapped."""
    console = terminal.console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = UNLIMITED_WIDTH
    return console


def fits(table: Table, console: Console) -> bool:
    """Return whether the console is wide enough to show a table without wrapping a cell."""
    wanted = console.measure(table, options=console.options.update(width=UNLIMITED_WIDTH)).maximum
    return wanted <= console.width


def show_table(table: Table, console: Console) -> None:
    """Print a table: in columns if they fit, otherwise each row as its first cell and a list."""
    if fits(table, console):
        console.print(table)
        return
    if table.title is not None:
        console.print(table.title, style="italic")
    for first, *rest in zip(*(column.cells for column in table.columns), strict=True):
        console.print(first)
        named = [
            Text.assemble(f"{column.header}: " if column.header else "", cell)
            for column, cell in zip(table.columns[1:], rest, strict=True)
        ]
        console.print(Padding(Text("; ").join(named), (0, 0, 0, 2), expand=False))
    console.print(table.caption or "")
