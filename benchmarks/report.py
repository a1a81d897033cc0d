"""Tables of measurements, printed and saved as JSON together with their machine."""

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
    ours, peer : medians; None for a peer that does not exist or could not run.
    ratio : the spread of the ratio over all rounds.
    target : the bound that is claimed for the median ratio, or for `ours` if there is no ratio;
        None if nothing is claimed.
    at_most : whether the target is an upper bound.
    note : a remark, printed after `what`.
    """

    what: str
    unit: str
    ours: float | None
    peer: float | None = None
    ratio: Spread | None = None
    target: float | None = None
    at_most: bool = False
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        ratio = self.ratio._asdict() if self.ratio else None
        return asdict(self) | {"ratio": ratio, "reached": self.reached}

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None if there is none, or nothing was measured."""
        value = self.ratio.median if self.ratio else self.ours
        if self.target is None or value is None:
            return None
        return value <= self.target if self.at_most else value >= self.target


@dataclass
class Table:
    """Rows under a title, with notes on how they were measured."""

    title: str
    notes: Sequence[str] = ()
    ratio_is: str = "ratio"
    rows: list[Row] = field(default_factory=list)

    def add(self, *args: Any, **options: Any) -> None:
        """Add a `Row`."""
        self.rows.append(Row(*args, **options))

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return {
            "title": self.title,
            "notes": list(self.notes),
            "ratio_is": self.ratio_is,
            "rows": [row.to_dict() for row in self.rows],
        }


def show(table: Table, console: Console) -> None:
    """Print a table."""
    wide = RichTable(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    wide.add_column("what")
    for name in ("ours", "peer", table.ratio_is, "target"):
        wide.add_column(name, justify="right")
    wide.add_column("")
    for row in table.rows:
        wide.add_row(*cells(row.to_dict()))
    console.print(wide)
    for note in table.notes:
        console.print(f"  {note}", highlight=False, markup=False)
    console.print()


def cells(row: dict[str, Any]) -> list[str]:
    """Return a row as texts: what, ours, peer, ratio, target, and whether the target is reached."""
    ratio, target = row["ratio"], row["target"]
    return [
        f"{row['what']} ({row['note']})" if row["note"] else row["what"],
        number(row["ours"], row["unit"]),
        number(row["peer"], row["unit"]),
        f"{ratio['median']:.2f} [{ratio['low']:.2f}–{ratio['high']:.2f}]" if ratio else "",
        "" if target is None else f"{'≤' if row['at_most'] else '≥'} {target:,g}",
        {True: "✓", False: "✗", None: ""}[row["reached"]],
    ]


def number(value: float | None, unit: str) -> str:
    """Return a number with at least three digits, and its unit."""
    if value is None:
        return "–"
    return f"{value:,.0f} {unit}" if abs(value) >= 100 else f"{value:.3g} {unit}"


def save(path: Path, name: str, tables: Sequence[Table], **about: Any) -> None:
    """Write tables and facts `about` their origin as JSON."""
    content = {"name": name, **about, "tables": [table.to_dict() for table in tables]}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
