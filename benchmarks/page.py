"""Write the latest measurements, saved as JSON, into the tables of docs/performance.md.

The text between `<!-- NAME -->` and `<!-- end -->` is replaced; the rest of the page stays.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from benchmarks.report import cells

BLOCK = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(page: Path, results: Path) -> None:
    """Write the tables from the folder `results` into the page; tables without results stay."""

    def replaced(block: re.Match[str]) -> str:
        path = results / f"{block[2]}.json"
        if not path.exists():
            return block[0]
        return block[1] + markdown(json.loads(path.read_text(encoding="utf-8"))) + block[3]

    text = BLOCK.sub(replaced, page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8", newline="\n")


def markdown(measured: dict[str, Any]) -> str:
    """Return the tables of one benchmark, and its machine, as Markdown."""
    machine = measured["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    lines = [
        "",
        f"*{machine['date'][:10]}, {machine['cores']} cores of {machine['processor']}, "
        f"{machine['threads']} threads, {machine['system'].split('-')[0]}, "
        f"Python {machine['python']}; {versions}.*",
        "",
    ]
    for table in measured["tables"]:
        lines += [
            f"**{table['title']}**",
            "",
            f"| | miniGPT | peer | {table['ratio_is']} | target | |",
            "|---|--:|--:|--:|--:|---|",
        ]
        lines += [f"| {' | '.join(cells(row))} |" for row in table["rows"]]
        lines += ["", *(f"{note}  " for note in table["notes"]), ""]
    return "\n".join(lines)
