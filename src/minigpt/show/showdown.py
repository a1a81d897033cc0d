"""Compare tokenizers: the pieces of a text in colour, and how many each tokenizer needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from minigpt.inside.pieces import pieces
from minigpt.support.tables import show_table
from minigpt.text.tokenizers.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from minigpt.text.tokenizers import Tokenizer

# Neighbours differ in lightness as well as in hue, so that all eyes can tell them apart.
_COLOURS = ("black on bright_cyan", "white on blue", "black on bright_yellow", "white on magenta")


def coloured(parts: list[str], colour: bool) -> Text:
    """Return the pieces in alternating colours, or without colour, with bars between them."""
    visible = [part.replace("\n", "⏎\n").replace("\t", "⇥") for part in parts]
    if not colour:
        return Text("|".join(visible))
    text = Text()
    for i, part in enumerate(visible):
        text.append(part, style=_COLOURS[i % len(_COLOURS)])
    return text


def showdown(
    tokenizers: dict[str, Tokenizer], text: str, console: Console, allow_special: bool = False
) -> None:
    """Print how each tokenizer cuts `text`, then a table that compares them."""
    table = Table(title="the showdown", title_justify="left", box=SIMPLE_HEAD)
    for title in ("tokenizer", "vocabulary", "tokens", "characters/token", "unknown"):
        table.add_column(title, justify="left" if title == "tokenizer" else "right")
    unknowns = []
    for name, tokenizer in tokenizers.items():
        ids = tokenizer.encode(text, allow_special=allow_special)
        console.print(Text(name, style="bold"))
        colour = console.is_terminal and not console.no_color
        console.print(coloured(pieces(tokenizer, ids), colour), soft_wrap=True)
        console.print(Text("ids " + " ".join(map(str, ids)), style="dim"), soft_wrap=True)
        console.print()
        unknowns.append(ids.count(tokenizer.special_tokens.get(UNKNOWN, -1)))
        table.add_row(
            Text(name),
            f"{tokenizer.vocab_size:,}",
            f"{len(ids):,}",
            f"{len(text) / max(1, len(ids)):.2f}",
            str(unknowns[-1]),
        )
    if any(unknowns):
        table.caption = "Unknown pieces are lost: with them, fewer tokens are not better."
    show_table(table, console)
