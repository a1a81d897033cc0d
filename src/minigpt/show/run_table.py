"""List run folders as a table, or as lines of JSON."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from minigpt.runs.history import History
from minigpt.support.terminal import json_line, visible
from minigpt.support.wording import decimal, spelling_note

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def read_runs(folders: Iterable[Path]) -> tuple[list[History], dict[Path, str]]:
    """Read run folders. Return the histories, newest first, and the errors of unreadable ones."""
    histories, wrong = [], {}
    for folder in folders:
        try:
            histories.append(History.read(folder))
        except (OSError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
            wrong[folder] = str(error)
    histories.sort(key=lambda history: history.changed, reverse=True)
    return histories, wrong


def json_lines(histories: Iterable[History], wrong: dict[Path, str]) -> str:
    """Return one line of JSON for each run; a damaged run has the key "error"."""
    rows = [history.to_dict() for history in histories]
    rows += [{"folder": str(folder), "error": error} for folder, error in wrong.items()]
    return "".join(map(json_line, rows))


def show_runs(histories: Iterable[History], wrong: dict[Path, str], console: Console) -> None:
    """Print a table of runs, and the errors of damaged ones."""
    from rich.text import Text

    from minigpt.support.tables import fits, show_table

    rows = [_cells(history) for history in histories]
    stacked, flat = _table(rows, stacked=True), _table(rows, stacked=False)
    if rows:
        show_table(stacked if fits(stacked, console) and not fits(flat, console) else flat, console)
    for folder, error in wrong.items():
        console.print(Text(visible(f"{folder}: damaged: {error}"), style="red"), soft_wrap=True)


def _table(rows: Iterable[list[list[str]]], stacked: bool) -> Table:
    """Return the table. Stacked, each group of related cells shares one column, in two lines."""
    from rich.table import Table
    from rich.text import Text

    heads = [["run"], ["layers × d", "tokens, text"], ["step", "tokens/s"]]
    heads += [["bits/char: training", "validation", "floor"], ["changed"]]

    def columns(groups: list[list[str]]) -> list[str]:
        return ["\n".join(g) for g in groups] if stacked else list(itertools.chain(*groups))

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in columns(heads):
        right = head.startswith(("step", "tokens/s", "bits/char", "validation", "floor"))
        table.add_column(head, justify="right" if right else "left", overflow="fold")
    for groups in rows:
        table.add_row(*(Text(visible(cell)) for cell in columns(groups)))
    return table


def _cells(history: History) -> list[list[str]]:
    facts, s, unknown = history.to_dict(), history.settings, spelling_note(history.metrics.spelling)
    early = ", stopped early" if history.stopped_early else ""
    tokenizer, text = (Path(name).name for name in (s.tokenizer, s.data[0]))
    return [
        [str(history.folder)],
        [f"{s.n_layers} × {s.d_model}", f"{tokenizer}, {text}{' …' if s.data[1:] else ''}"],
        [f"{history.step}/{s.steps}{early}", _shown(facts["tokens_per_second"], 0)],
        [
            _shown(facts["training_bits"], 3),
            _shown(facts["best_val_bits"], 3) + (f" ({unknown})" if unknown else ""),
            _shown(history.floor, 3),
        ],
        [_ago(history.changed)],
    ]


def _shown(value: float | None, digits: int) -> str:
    return "–" if value is None else decimal(value, digits)


def _ago(then: datetime) -> str:
    """Return how long ago a time was, as in "3 h ago"."""
    seconds = max(0.0, (datetime.now() - then).total_seconds())
    for length, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit} ago"
    return "just now"
