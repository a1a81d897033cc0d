"""What the marker says about one exercise."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from minigpt.course.plain_text import columns, indented
from minigpt.support.brief import brief

NOT_WRITTEN = "not written yet"


@dataclass(repr=False)
class Verdict:
    """One exercise of one learner."""

    id: str
    name: str
    points: int
    """That it is worth; the learner gets all if it is right, else none."""
    right: bool = False
    passed: list[str] = field(default_factory=list)
    """The stages, in order, to the first that failed."""
    text: str = ""
    """What is wrong."""
    mistakes: list[str] = field(default_factory=list)
    """The names of the known mistakes that give the same results."""
    place: str = ""
    """The heading of the page to read again."""
    file: str = ""
    line: int | None = None
    """Where the learner's function or class begins."""
    printed: str = ""
    """The beginning of what the learner's code printed."""

    @property
    def is_written(self) -> bool:
        """Whether the learner has begun."""
        return self.right or self.text != NOT_WRITTEN

    @property
    def state(self) -> str:
        """One of "right", "not right yet" and "not written yet"."""
        return "right" if self.right else "not right yet" if self.is_written else NOT_WRITTEN

    def as_json(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return asdict(self) | {"state": self.state}

    def __repr__(self) -> str:
        return brief(self)

    def __str__(self) -> str:
        head = f"{self.id}  {self.name}"
        state = self.state.upper()
        lines = [f"{head:{columns() - len(state)}}{state}"]
        if self.right:
            lines.append(indented(", ".join(self.passed)))
        elif self.is_written:
            if self.passed:
                lines.append(indented("right so far: " + ", ".join(self.passed)))
            lines += [indented(text) for text in (self.text, self._where()) if text]
        else:
            lines.append(indented(self._where()))
        if printed := self.printed.strip():
            first = printed.splitlines()[0][:50]
            lines.append(indented(f"(Your code printed something, first {first!r}. It may.)"))
        return "\n".join(lines)

    def _where(self) -> str:
        if not self.place:
            return ""
        page = self.file.removesuffix(".py") + ".md"
        read = "Read" if not self.is_written else "Read again:"
        line = f" Your {self.name} begins in line {self.line} of {self.file}." if self.line else ""
        return f'{read} "{self.place}" in {page}.{line}'
