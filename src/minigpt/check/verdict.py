"""Print the results of `minigpt check`: two tables and a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from minigpt.check.proof import LayerCheck, faulty_layers
from minigpt.check.properties import Property
from minigpt.support.tables import show_table

MARKS = {True: Text("✓", style="green"), False: Text("✗", style="bold red")}


def show(found: Sequence[LayerCheck | Property], console: Console) -> bool:
    """Print all results, and return whether all checks passed."""
    layers = [check for check in found if isinstance(check, LayerCheck)]
    properties = [check for check in found if isinstance(check, Property)]
    show_table(gradients_table(layers), console)
    show_table(properties_table(properties), console)
    at_fault = faulty_layers(layers)
    for kind in dict.fromkeys(check.kind for check in at_fault):
        console.print(describe_fault(kind, [check for check in at_fault if check.kind == kind]))

    results = [row.ok for check in layers for row in check.rows.values()]
    results += [check.ok for check in properties]
    if all(results):
        console.print(f"all {len(results)} checks pass")
        return True
    wrong = [*(check.kind for check in at_fault), *(p.name for p in properties if not p.ok)]
    console.print(
        f"{results.count(False)} of {len(results)} checks fail. "
        f"Wrong: {', '.join(dict.fromkeys(wrong))}",
        style="bold red",
    )
    return False


def gradients_table(checks: Iterable[LayerCheck]) -> Table:
    """Return a table with a row for each layer and gradient."""
    table = empty_table("backward against central differences, in float64")
    table.add_column("layer")
    table.add_column("gradient")
    table.add_column("error", justify="right")
    table.add_column("")
    for check in checks:
        where = Text.assemble(check.name, (f" {check.kind}", "dim"))
        if check.name == check.kind:
            where = Text(check.name)
        for gradient, row in check.rows.items():
            table.add_row(where, Text(gradient), f"{row.error:.1e}", MARKS[row.ok])
    return table


def properties_table(properties: Iterable[Property]) -> Table:
    """Return a table with a row for each property."""
    table = empty_table("properties that hold for any weights")
    table.add_column("property")
    table.add_column("compared")
    table.add_column("difference", justify="right")
    table.add_column("limit", justify="right")
    table.add_column("")
    for p in properties:
        numbers = f"{p.difference:.2g}", f"{p.limit:.2g}"
        table.add_row(*map(Text, (p.name, p.compared, *numbers)), MARKS[p.ok])
    return table


def empty_table(title: str) -> Table:
    """Return a table without columns, as wide as its content."""
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))


def describe_fault(kind: str, checks: Sequence[LayerCheck]) -> Text:
    """Return which gradients of a kind of layer are wrong, each with its first finding."""
    findings: dict[str, str] = {}
    for check in checks:
        for label, row in check.rows.items():
            if not row.ok:
                name = row.name if label == row.name else f"inside, {row.name}"
                findings.setdefault(label, f"{name}: {row.finding}")
    others = f" and {len(checks) - 1} more" if len(checks) > 1 else ""
    text = Text(f"{kind} is wrong, in {checks[0].name}{others}\n", style="bold red")
    for finding in findings.values():
        text.append(f"  {finding}\n", style="default not bold")
    return text
