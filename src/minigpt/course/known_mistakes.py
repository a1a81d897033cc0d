"""The known mistakes of an exercise that have the results of a learner, or the same exception."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigpt.course.exercise import Case, Exercise, Mistake, Values, differs
from minigpt.course.lesson_folder import Lesson


class KnownMistakes:
    """What can be wrong in an exercise, compared with what a learner's code did.

    Parameters
    ----------
    lesson, exercise : see `minigpt.course.lesson_folder.find`.
    done, got : the cases that came to an end, and the learner's results of each. The marker fills
        both lists once it has them.
    """

    def __init__(
        self, lesson: Lesson, exercise: Exercise, done: list[Case], got: list[Values]
    ) -> None:
        self.lesson, self.exercise, self.done, self.got = lesson, exercise, done, got

    def behind(self, n: int, first: str) -> tuple[str, list[Mistake]]:
        """Return how likely they are, in words, and the mistakes whose results are the learner's.

        In all cases and outputs; if there are none, those that give the same for the first wrong
        output; if there are none, those that do so up to case `n`, where it was wrong.
        """
        known = [*self.known()]
        for outputs in (self.exercise.outputs, (first,)):
            if found := [m for m in known if self.agrees(m, outputs)]:
                return "Likely cause", found
        return "Perhaps", [m for m in known if self.agrees(m, (first,), n + 1)]

    def behind_error(self, n: int, inputs: Values, error: dict[str, Any]) -> list[Mistake]:
        """Return the mistakes that raise the same in case `n`: first those that agree before it."""
        found = [m for m in self.known() if self.fails_alike(m, inputs, error)]
        better = [m for m in found if n and self.agrees(m, self.exercise.outputs)]
        return better or found

    def known(self) -> Iterator[Mistake]:
        """Yield the known mistakes of this exercise, then those of the exercises it uses."""
        yield from self.exercise.mistakes
        for each in self.exercise.includes:
            part = self.lesson.exercises[each]
            for m in part.mistakes:
                yield m._replace(
                    name=f"{each}: {m.name}",
                    why=f"in {each}, {part.name}: {m.why}",
                    place=m.place or part.place,
                )

    def agrees(
        self, mistake: Mistake, outputs: tuple[str, ...], n_cases: int | None = None
    ) -> bool:
        """Return whether a wrong solution has the learner's results, in the first `n_cases`."""
        module = self.lesson.module(mistake.edits)
        for (_, inputs), got in list(zip(self.done, self.got, strict=True))[:n_cases]:
            try:
                with np.errstate(all="ignore"):
                    results = self.exercise.run(module, copy.deepcopy(inputs))
            except Exception:  # such as shapes that do not fit
                return False
            if any(differs(got[key], results[key], self.exercise.tolerance) for key in outputs):
                return False
        return True

    def fails_alike(self, mistake: Mistake, inputs: Values, error: dict[str, Any]) -> bool:
        """Return whether a wrong solution raises what the learner's code raised."""
        try:
            with np.errstate(all="ignore"):
                self.exercise.run(self.lesson.module(mistake.edits), copy.deepcopy(inputs))
        except Exception as raised:
            return (type(raised).__name__, str(raised)) == (error["type"], error["text"])
        return False
