"""`--with my-gpt/`: every model of this process is built of the learner's finished layers."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigpt.core import layers, model
from minigpt.core.kernels import PLAIN, plug_in
from minigpt.course.folder import is_course
from minigpt.course.grades import mark_all
from minigpt.course.joined import (
    LOSS,
    OPTIMIZERS,
    SEATS,
    joined_class,
    joined_optimizer,
    loss_of,
)
from minigpt.course.lesson_folder import Lesson, find, lessons
from minigpt.training import optimizers


def use(folder: Path, say: Callable[[str], None]) -> None:
    """Build models of the learner's layers from now on, where they are right; the rest is ours.

    A learner's optimizer that is right trains them.

    All of it runs in the plain form, since the fast forms would go past the learner's code.

    Parameters
    ----------
    folder : the learner's. Its code is run in this process.
    say : is told which layers are the learner's.

    Raises
    ------
    ValueError
        If nothing in the folder is ready to be used.
    """
    if not is_course(folder):
        raise ValueError(f"{folder} has no lessons: `minigpt course start {folder}` makes them")
    say(f"marking {folder}")
    theirs = finished(folder)
    if not theirs:
        raise ValueError(
            f"nothing in {folder} can be used in a model yet. The first that can is cross_entropy "
            "of lesson 1, with its backward"
        )
    plug_in(PLAIN)
    for name, made in theirs.items():
        if name == LOSS:
            plug_in({"head_loss": made})
        elif name in OPTIMIZERS:
            setattr(optimizers, OPTIMIZERS[name].__name__, joined_optimizer(name, made))
        else:
            _replace(name, made)
    ours = [name for name in (*SEATS, LOSS, *OPTIMIZERS) if name not in theirs]
    say(f"yours: {', '.join(theirs)}.  ours: {', '.join(ours) or 'nothing'}")


def finished(folder: Path) -> dict[str, Any]:
    """Return the learner's layers and optimizers that are right, by name; the loss if it is."""
    right: dict[str, Lesson] = {}
    needed = SEATS.keys() | OPTIMIZERS.keys() | {LOSS, f"{LOSS}_backward"}
    chosen = [(lesson, each) for lesson, each in find("", lessons()) if each.name in needed]
    for (lesson, exercise), verdict in zip(chosen, mark_all(folder, chosen), strict=True):
        if verdict.right:
            right[exercise.name] = lesson  # of two lessons with one class, the later
    sys.path.append(str(folder.resolve()))
    modules = {name: importlib.import_module(lesson.stem) for name, lesson in right.items()}
    found = {n: getattr(module, n) for n, module in modules.items() if not n.startswith(LOSS)}
    if right.keys() >= {LOSS, f"{LOSS}_backward"}:
        of_loss = modules[LOSS]
        found[LOSS] = loss_of(of_loss.cross_entropy, of_loss.cross_entropy_backward)
    return found


def _replace(name: str, made: Any) -> None:
    """Build models with a class of the learner's in the place of ours."""
    kind = joined_class(name, made)
    for module in (layers, model):
        if hasattr(module, SEATS[name].ours.__name__):
            setattr(module, SEATS[name].ours.__name__, kind)
