"""Mark one exercise, stage by stage, to the first that fails.

1. Names: the file can be read, defines the function, and imports no more than it may.
2. Shapes and types of all results. 3. What is computed forward, then all other results, against our
solution in float64, on fixed odd and on random inputs; the first wrong one is named, and the known
mistakes that give the same. 4. Gradients against measured slopes. 5. In a model: 20 steps of
training have the same losses as with our layer.

A message shows the simplest case in which the mistake can be seen.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from minigpt.course.advice import advice
from minigpt.course.apart import Outcome, run_apart
from minigpt.course.crossing import Stranger
from minigpt.course.exercise import Case, Exercise, Mistake, Values, as_lists, differs
from minigpt.course.folder import definition, parse, read_source
from minigpt.course.joined import losses_with
from minigpt.course.known_mistakes import KnownMistakes
from minigpt.course.lesson_folder import Lesson
from minigpt.course.plain_text import first_difference, numbers, shown
from minigpt.course.report import NOT_WRITTEN, Verdict

ALLOWED = frozenset(
    "__future__ abc collections copy dataclasses functools heapq itertools math numpy operator "
    "random re string time typing".split()
)
"""Modules that any exercise may import, as well as earlier lessons."""
VISIBLE = 1e-3
"""A relative difference that four digits show."""
MAX_CAUSES = 4
SLOPE_TOLERANCE = 1e-5
LOSS_TOLERANCE = 1e-6


class Wrong(Exception):
    """The exercise is not right yet; the text says why."""


def mark(folder: Path, lesson: Lesson, exercise: Exercise, seed: int = 0) -> Verdict:
    """Return how an exercise in the learner's folder stands.

    Parameters
    ----------
    folder : with the learner's `lesson_NN.py`. Its code is run, with your rights.
    lesson, exercise : see `minigpt.course.lesson_folder.find`.
    seed : where the random cases come from.
    """
    marking = Marking(folder, lesson, exercise, seed)
    verdict = marking.verdict
    try:
        for stage in marking.stages():
            verdict.passed.append(stage)
        verdict.right = True
    except Wrong as wrong:
        verdict.text = str(wrong)
        if marking.node is None:  # the page does not help with a file that Python cannot read
            verdict.place = ""
    return verdict


class Marking:
    """One exercise of one learner; parameters as for `mark`."""

    def __init__(self, folder: Path, lesson: Lesson, exercise: Exercise, seed: int) -> None:
        self.folder, self.lesson, self.exercise, self.seed = folder, lesson, exercise, seed
        self.file = folder / f"{lesson.stem}.py"
        self.node: ast.FunctionDef | ast.ClassDef | Any = None
        self.done: list[Case] = []
        self.got: list[Values] = []
        self.known_mistakes = KnownMistakes(lesson, exercise, self.done, self.got)
        self.verdict = Verdict(
            exercise.id, exercise.name, exercise.points, place=exercise.place, file=self.file.name
        )

    def stages(self) -> Iterator[str]:
        """Yield the name of each stage that is passed; raise `Wrong` at the first that is not."""
        exercise = self.exercise
        self.check_names()
        self.cases: list[Case] = (
            [("", {})] if exercise.cases is None else [*exercise.cases(self.seed)]
        )
        outcome = run_apart(self.folder, self.lesson, exercise, self.cases)
        self.verdict.printed = outcome.printed
        if exercise.judge is not None or not outcome.results:
            self.check_end(outcome)
        self.got += [self.checked(n, outcome) for n in range(len(outcome.results))]
        if exercise.judge is not None:
            if sentence := exercise.judge(self.got[0], self.seed):
                raise Wrong(sentence)
            yield exercise.judged
            return
        ours = self.lesson.module()
        self.done += self.cases[: len(self.got)]
        self.expected = [exercise.run(ours, copy.deepcopy(inputs)) for _, inputs in self.done]
        others = tuple(name for name in exercise.outputs if name not in exercise.forward)
        if len(self.done) < len(self.cases):  # wrong numbers in a simpler case say more
            self.check_shapes()
            self.check_values(exercise.forward)
            self.check_values(others)
            self.check_end(outcome)
        self.check_shapes()
        yield "shapes"
        if exercise.forward:
            self.check_values(exercise.forward)
            yield "forward"
        self.check_values(others)
        yield f"values in {len(self.cases)} cases"
        if exercise.slopes is not None:
            self.check_slopes(ours)
            yield "measured slopes"
        if exercise.used_in:
            self.check_losses(outcome, ours)
            yield f"{len(outcome.losses or ())} steps in miniGPT: the same losses"

    def check_names(self) -> None:
        """Stage 1; notes where the learner's function begins."""
        name = self.file.name
        if not self.file.is_file():
            raise Wrong(
                f"there is no {name} in {self.folder.resolve()}. "
                f"`minigpt course reset {self.lesson.number}` brings a fresh one."
            )
        try:
            source = read_source(self.file)
            tree = parse(source)
            node = definition(source, self.exercise.name)
        except UnicodeDecodeError as error:
            raise Wrong(f"{name} is not UTF-8: {error.reason} at byte {error.start}.") from None
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            what = getattr(error, "msg", str(error))
            raise Wrong(f"Python cannot read {name}: {what}.{self.quote(name, line)}") from None
        self.check_imports(tree)
        if node is None:
            raise Wrong(
                f"{self.exercise.name} is missing in {name}. Was it renamed or deleted? "
                f"`minigpt course reset {self.exercise.id}` brings it back."
            )
        self.node = node
        self.verdict.line = node.lineno
        stub = definition(self.lesson.stub, self.exercise.name)
        if stub is not None and ast.dump(node) == ast.dump(stub):
            raise Wrong(NOT_WRITTEN)

    def check_imports(self, tree: ast.Module) -> None:
        """Raise `Wrong` if the file imports what is to be built."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or "."]
            else:
                continue
            for name in names:
                top = name.partition(".")[0]
                earlier = top.startswith("lesson_") and top < self.lesson.stem
                if not (earlier or top in ALLOWED or top in self.lesson.imports):
                    raise Wrong(
                        f"`import {name}` is not allowed here: you build it from NumPy and your "
                        f"earlier lessons.{self.quote(self.file.name, node.lineno)}"
                    )

    def check_end(self, outcome: Outcome) -> None:
        """Raise `Wrong` if the learner's code did not come to its end."""
        if outcome.ended == "time":
            where = self.quote(*outcome.line) if outcome.line else ""
            raise Wrong(
                f"no result after {self.exercise.seconds:g} seconds: is there a loop that never "
                f"ends?{where}"
            )
        if outcome.ended:
            raise Wrong(
                "Python itself ended while it ran your code: out of memory, or a call of os._exit?"
            )
        if outcome.wrong_count:
            raise Wrong(outcome.wrong_count)
        if outcome.error is not None:
            self.explain(outcome.error, len(outcome.results))

    def explain(self, error: dict[str, Any], n: int | None = None) -> None:
        """Raise `Wrong` for an exception in case `n`; in a model if it is None."""
        kind, file, line = error["type"], error["file"], error["line"]
        if kind == "NotImplementedError":
            if file == self.file.name and self.node.lineno <= line <= self.node.end_lineno:
                self.unfinished(line)
            raise Wrong(
                f"it uses something that is not written yet.{self.quote(file, line)}\n"
                f"Write that first: `minigpt course mark {int(file[7:9])}` says what it is."
            )
        if missing := re.search(r"No module named 'lesson_(\d\d)'", error["text"]):
            raise Wrong(
                f"there is no lesson_{missing[1]}.py in {self.folder.resolve()}.\n"
                f"`minigpt course reset {int(missing[1])}` brings a fresh one."
                f"{self.quote(file, line)}"
            )
        text = f"{kind}: {error['text']}" if error["text"] else kind
        text += self.quote(file, line)
        if n is None:
            text += "\nwhile a model was trained with it"
        elif n < len(self.cases) and self.cases[n][1]:
            case, inputs = self.cases[n]
            given = "\n".join("    " + shown(name, inputs[name]) for name in self.names_shown())
            text += f"\nin the case “{case}”, with\n{given}"
            if found := self.known_mistakes.behind_error(n, inputs, error):
                raise Wrong(text + self.likely(found))
        raise Wrong(text + advice(self.folder, self.file, self.node, error, self.axes(n)))

    def unfinished(self, line: int) -> None:
        """Raise `Wrong` for a `raise NotImplementedError` in the learner's function or class."""
        if isinstance(self.node, ast.ClassDef):
            for method in self.node.body:
                if isinstance(method, ast.FunctionDef) and (
                    method.lineno <= line <= (method.end_lineno or 0)
                ):
                    raise Wrong(
                        f"`{method.name}` is not written yet. The class is marked as a whole."
                        f"{self.quote(self.file.name, line)}"
                    )
        raise Wrong(NOT_WRITTEN)

    def axes(self, n: int | None) -> tuple[int, int]:
        """Return the largest number of axes of an input, in case `n` and in the cases before."""
        most = [
            max(
                (value.ndim for value in inputs.values() if isinstance(value, np.ndarray)),
                default=0,
            )
            for _, inputs in self.cases[: None if n is None else n + 1]
        ]
        return (most[-1], max(most[:-1], default=0)) if n is not None else (max(most), max(most))

    def quote(self, file: str, line: int | None) -> str:
        """Return a line of the learner's file, on a line of its own."""
        path = self.folder / file
        if not line or not path.is_file():
            return ""
        try:
            lines = read_source(path).splitlines()
        except (OSError, ValueError):
            return ""
        text = lines[line - 1].strip() if line <= len(lines) else ""
        return f"\n    line {line} of {file}:  {text}"

    def names_shown(self) -> tuple[str, ...]:
        """Return the names of the inputs that messages show."""
        return self.exercise.shown or self.exercise.inputs

    def checked(self, n: int, outcome: Outcome) -> Values:
        """Return the results of case `n`; raise `Wrong` if an input changed or a type is wrong."""
        for name in outcome.changed[n]:
            kind = "array" if isinstance(self.cases[n][1][name], np.ndarray) else "one"
            raise Wrong(f"your code changed its input {name}. Make a new {kind} instead.")
        got = outcome.results[n]
        for name in self.exercise.outputs:
            value = got.get(name)
            if value is None:
                raise Wrong(f"{name} is None. Is there a `return`?")
            if isinstance(value, Stranger):
                raise Wrong(f"{name} must not be {value.kind}.")
        return got

    def check_shapes(self) -> None:
        """Stage 2."""
        done = zip(self.done, self.got, self.expected, strict=True)
        for n, ((case, _), got, expected) in enumerate(done):
            for name in self.exercise.outputs:
                a, b = got[name], expected[name]
                if isinstance(b, np.ndarray | np.generic | float):
                    self.check_array(name, a, np.asarray(b), n)
                elif type(as_lists(a)) is not type(as_lists(b)) or isinstance(a, np.ndarray):
                    raise Wrong(
                        f"{name} must be a {type(as_lists(b)).__name__}, but is {_kind(a)}, in "
                        f"the case “{case}”."
                    )

    def check_array(self, name: str, got: Any, expected: Any, n: int) -> None:
        """Raise `Wrong` unless a result of case `n` is an array of the expected shape and type."""
        case, inputs = self.cases[n]
        if not isinstance(got, np.ndarray | np.generic | int | float):
            raise Wrong(f"{name} must be a NumPy array of numbers, but is {_kind(got)}.")
        got = np.asarray(got)
        if got.shape != expected.shape:
            arrays = [
                f"{key} {inputs[key].shape}"
                for key in self.names_shown()
                if isinstance(inputs[key], np.ndarray) and inputs[key].ndim
            ]
            raise Wrong(
                f"{name} has the shape {got.shape}, expected {expected.shape}, in the case "
                f"“{case}”.\nGiven: {', '.join(arrays)}{self.causes(n, name)}"
            )
        if expected.dtype == np.float64 and got.dtype != np.float64 and expected.ndim:
            floats = any(np.asarray(value).dtype == np.float64 for value in inputs.values())
            why = "and all inputs are float64. What changed it?" if floats else "expected float64."
            raise Wrong(f"{name} is {got.dtype}, {why}")

    def check_values(self, names: tuple[str, ...]) -> None:
        """Stage 3: first look for a case in which the difference can be seen."""
        for tolerance in (VISIBLE, self.exercise.tolerance):
            for n, (got, expected) in enumerate(zip(self.got, self.expected, strict=True)):
                wrong = [k for k in names if differs(got[k], expected[k], tolerance)]
                if wrong:
                    causes = self.causes(n, wrong[0])
                    raise Wrong(self.difference(n, wrong, names) + causes)

    def difference(self, n: int, wrong: list[str], names: tuple[str, ...]) -> str:
        """Return what was given, expected and returned in case `n`."""
        (case, inputs), name = self.cases[n], wrong[0]
        got, expected = self.got[n][name], self.expected[n][name]
        rows = [f"In the case “{case}”, the simplest that shows it:", ""]
        rows += ["    given     " + shown(key, inputs[key]) for key in self.names_shown()]
        rows += ["", "    expected  " + shown(name, expected), "    yours     " + shown(name, got)]
        if len(names) > 1:
            fine = [key for key in names if key not in wrong]
            some = ", ".join(fine[:5]) + (" …" if len(fine) > 5 else "")
            rows += ["", f"wrong: {', '.join(wrong)}.  right: {some or 'none'}."]
        if isinstance(expected, str | bytes | list | tuple | dict):
            return "\n".join([*rows, "", first_difference(name, got, expected)])
        if not isinstance(expected, np.ndarray) or not expected.ndim:
            if isinstance(expected, float | np.floating) and not differs(got, expected, VISIBLE):
                rows += ["", f"{name} is {got:.12g}, expected {expected:.12g}."]
            return "\n".join(rows)
        off = np.nan_to_num(np.abs(got - expected), nan=np.inf)
        at = tuple(int(k) for k in np.unravel_index(off.argmax(), off.shape))
        digits = 5 if off[at] > VISIBLE else 12
        index = f"{name}[{', '.join(map(str, at))}]"
        last = f"{index} is {got[at]:.{digits}g}, expected {expected[at] + 0.0:.{digits}g}."
        if self.exercise.slopes and n < self.exercise.n_small and name not in self.exercise.forward:
            slope = self.exercise.slopes(self.lesson.module(), inputs)[name][at] + 0.0
            last += f"\nMeasured slope (one number moved by ±0.00001): {numbers(slope)}."
        return "\n".join([*rows, "", last])

    def causes(self, n: int, first: str) -> str:
        """Name the known mistakes that explain the first wrong output, of case `n`."""
        how, found = self.known_mistakes.behind(n, first)
        if found:
            return self.likely(found, how)
        return "\n\nThis is none of the mistakes we know. Compare your lines with the page."

    def likely(self, found: list[Mistake], how: str = "Likely cause") -> str:
        """Name the mistakes that were found, and note where to read again."""
        found = self.without_right_parts(found)
        self.verdict.place = found[0].place or self.exercise.place
        self.verdict.mistakes = [m.name for m in found]
        if len(found) == 1:
            return f"\n\n{how}: {found[0].why}"
        rows = "".join(f"\n  - {m.why}" for m in found[:MAX_CAUSES])
        return f"\n\n{how}, one of:{rows}"

    def without_right_parts(self, found: list[Mistake]) -> list[Mistake]:
        """Leave out mistakes of the exercises that this one uses, where the learner's is right."""
        parts = {m.name.partition(":")[0] for m in found} & {*self.exercise.includes}
        right = {
            each
            for each in parts
            if mark(self.folder, self.lesson, self.lesson.exercises[each], self.seed).right
        }
        return [m for m in found if m.name.partition(":")[0] not in right] or [
            m._replace(why=f"as {m.why[3:]}") for m in found
        ]

    def check_slopes(self, ours: Any) -> None:
        """Stage 4. Results are compared with ours before, so this one checks the course itself."""
        assert self.exercise.slopes is not None
        for (case, inputs), got in list(zip(self.done, self.got, strict=True))[
            : self.exercise.n_small
        ]:
            for name, slope in self.exercise.slopes(ours, inputs).items():
                if differs(got[name], slope, SLOPE_TOLERANCE):
                    raise Wrong(
                        f"{name} is not the measured slope in “{case}”, and our own is not "
                        "either: a mistake of the course. Please report it."
                    )

    def check_losses(self, outcome: Outcome, ours: Any) -> None:
        """Stage 5."""
        if outcome.error_in_model is not None:
            self.explain(outcome.error_in_model)
        theirs = outcome.losses or []
        for step, (a, b) in enumerate(
            zip(losses_with(self.lesson, self.exercise, ours), theirs, strict=True)
        ):
            if not abs(a - b) <= LOSS_TOLERANCE:
                raise Wrong(
                    f"alone it is right, but in a model step {step} has the loss {b:.6f}; with "
                    f"our {self.exercise.used_in}, {a:.6f}. Does it keep something from call to "
                    "call, or compute in another precision?"
                )


def _kind(value: Any) -> str:
    if isinstance(value, Stranger):
        return value.kind
    return f"of the type {type(value).__name__}"
