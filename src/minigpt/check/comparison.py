"""What a check of gradients found, to be printed."""

from __future__ import annotations

import html
from dataclasses import dataclass

from minigpt.support.brief import MAX_REPR, brief, cut


@dataclass(frozen=True)
class Comparison:
    """One gradient compared with the measured slopes, or one result with a reference.

    Attributes
    ----------
    name : the parameter, "x" for the input of the layer, or the name of the result.
    error : largest difference, relative to the largest entry of both gradients, or to the smallest
        number that can be distinguished from rounding, whichever is larger.
    finding : a sentence that says what is wrong; empty if nothing is wrong.
    """

    name: str
    error: float
    finding: str = ""

    __repr__ = brief

    @property
    def ok(self) -> bool:
        """Whether the gradient is right."""
        return not self.finding


@dataclass(frozen=True, repr=False)
class GradientCheck:
    """The result of `check_gradients`, to be printed.

    Attributes
    ----------
    layer : name of the layer's class.
    rows : a `Comparison` for each parameter, and for the input unless it is an array of ids.
    """

    layer: str
    rows: tuple[Comparison, ...]

    @property
    def ok(self) -> bool:
        """Whether all gradients are right."""
        return all(row.ok for row in self.rows)

    @property
    def wrong(self) -> list[str]:
        """Names of the wrong gradients."""
        return [row.name for row in self.rows if not row.ok]

    def __repr__(self) -> str:
        found = f"wrong: {', '.join(self.wrong)}" if self.wrong else f"all {len(self.rows)} right"
        return cut(f"GradientCheck({self.layer}, {found})", MAX_REPR)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def __str__(self) -> str:
        width = max(len(name) for name in ("gradient", *(row.name for row in self.rows)))
        lines = [f"{self.layer}: backward against central differences", ""]
        lines.append(f"{'gradient':{width}}  relative error")
        lines += [f"{r.name:{width}}  {r.error:14.1e}  {'✓' if r.ok else '✗'}" for r in self.rows]
        lines += [f"\n{row.name} is wrong: {row.finding}" for row in self.rows if not row.ok]
        return "\n".join(lines)
