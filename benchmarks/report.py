"""Tables of measurements: printed for people, saved as JSON with the machine they come from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.interleave import Spread


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes
    ----------
    what : what was measured.
    unit : of `ours` and `peer`.
    ours, peer : medians; None for a peer that does not exist, or could not run.
    ratio : spread of the two over all rounds; what the target is about. Without it, the target is
        about `ours`.
    target : the bound that is claimed; None where nothing is.
    at_most : whether the target is an upper bound.
    note : what one should know about it.
    """

    what: str
    unit: str
    ours: float | None
    peer: float | None = None
    ratio: Spread | None = None
    target: float | None = None
    at_most: bool = False
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None if there is none, or nothing was measured."""
        value = self.ratio.median if self.ratio else self.ours
        if self.target is None or value is None:
            return None
        return value <= self.target if self.at_most else value >= self.target


@dataclass
class Table:
    """Rows under a title, and notes on how they came about."""

    title: str
    notes: Sequence[str] = ()
    ratio_is: str = "ratio"
    rows: list[Row] = field(default_factory=list)

    def add(self, *args: Any, **options: Any) -> None:
        """Add a `Row`."""
        self.rows.append(Row(*args, **options))

    def to_dict(self) -> dict[str, Any]:
        """Give all of it, ready for JSON."""
        rows = [
            asdict(row)
            | {"ratio": row.ratio._asdict() if row.ratio else None, "reached": row.reached}
            for row in self.rows
        ]
        return {
            "title": self.title,
            "notes": list(self.notes),
            "ratio_is": self.ratio_is,
            "rows": rows,
        }


def show(table: Table, console: Console) -> None:
    """Print a table."""
    wide = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    wide.add_column("what")
    for name in ("ours", "peer", table.ratio_is, "target"):
        wide.add_column(name, justify="right")
    wide.add_column("")
    for row in table.rows:
        ratio = row.ratio and f"{row.ratio.median:.2f} [{row.ratio.low:.2f}–{row.ratio.high:.2f}]"
        bound = "" if row.target is None else f"{'≤' if row.at_most else '≥'} {row.target:,g}"
        mark = {True: "✓", False: "✗", None: ""}[row.reached]
        what = f"{row.what} ({row.note})" if row.note else row.what
        ours, peer = (number(value, row.unit) for value in (row.ours, row.peer))
        wide.add_row(what, ours, peer, ratio or "", bound, mark)
    console.print(wide)
    for note in table.notes:
        console.print(f"  {note}", highlight=False, markup=False)
    console.print()


def number(value: float | None, unit: str) -> str:
    """Write a number with three digits or more, and its unit."""
    if value is None:
        return "–"
    return f"{value:,.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}"


def save(path: Path, name: str, tables: Sequence[Table], **about: Any) -> None:
    """Write tables, and what is to be known `about` their origin, as JSON."""
    content = {"name": name, **about, "tables": [table.to_dict() for table in tables]}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
