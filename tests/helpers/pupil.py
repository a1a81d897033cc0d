"""A learner of the course: a folder with solved lessons, in which one text is replaced."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minigpt.course.apart import Outcome
from minigpt.course.joined import losses_with
from minigpt.course.lesson_folder import lessons
from minigpt.course.runner import changed_inputs, failure


@dataclass
class Pupil:
    """The folder of a learner."""

    folder: Path

    def solve(self, *numbers: int) -> None:
        """Write our solutions of some lessons, or of all."""
        for number in numbers or lessons():
            lesson = lessons()[number]
            (self.folder / f"{lesson.stem}.py").write_text(lesson.solution, "utf-8")

    def write(self, number: int, source: str) -> None:
        """Write the file of a lesson."""
        (self.folder / f"lesson_{number:02}.py").write_text(source, "utf-8")


def run_here(edits, folder=None):
    """Return what stands for `run_apart`: our solution, some text replaced, in this process."""

    def run(_, lesson, exercise, cases):
        module, outcome = lesson.module(edits), Outcome()
        for _, inputs in cases:
            before = {k: np.copy(v) if isinstance(v, np.ndarray) else v for k, v in inputs.items()}
            try:
                with np.errstate(all="ignore"):
                    results = exercise.run(module, inputs)
            except Exception as error:
                outcome.error = failure(error, lesson.folder)
                return outcome
            copies = {k: np.copy(v) if isinstance(v, np.ndarray) else v for k, v in results.items()}
            outcome.results.append(copies)
            outcome.changed.append(changed_inputs(inputs, before))
        if exercise.used_in:
            try:
                outcome.losses = losses_with(lesson, exercise, module)
            except Exception as error:
                outcome.error_in_model = failure(error, lesson.folder)
        return outcome

    return run


def name_of(value):
    """Return what names a lesson, an exercise or a mistake in the name of a test."""
    return (
        getattr(value, "id", None) or getattr(value, "name", None) or getattr(value, "stem", value)
    )
