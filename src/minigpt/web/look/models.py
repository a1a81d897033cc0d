"""The models on the page: named at the start, and chosen by their number."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigpt.support.terminal import visible
from minigpt.web.memory import Memory
from minigpt.web.problems import Problem

if TYPE_CHECKING:
    from minigpt.web.look.answers import Looker

MAX_OPEN_MODELS = 4
"""Models that are kept in memory."""


class Models:
    """The models in some folders, including the checkpoints of run folders.

    A model is opened when it is first needed.

    Parameters
    ----------
    names : folders, or names of models: see `minigpt.support.hub.find_model`.
    which : the checkpoint that represents a run: see `minigpt.runs.model_of_run.find_checkpoint`.
    say : called with a message if this checkpoint is not the last.

    Raises
    ------
    FileNotFoundError, ValueError
        If a folder is not a model.
    """

    def __init__(
        self,
        names: Sequence[str],
        which: str = "best",
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        from minigpt.runs.checkpoints import path_of, steps_of
        from minigpt.runs.model_of_run import find_checkpoint
        from minigpt.support.hub import find_model

        self._folders: list[tuple[str, Path]] = []
        self._representatives: list[int] = []  # for each model, the index of its run's model
        self._examples: dict[int, str] = {}
        named = []
        for name in names:
            folder = find_model(name)
            # The page shows only the last part of a path: the rest is private.
            title = Path(name).resolve().name if folder == Path(name) else name
            chosen, note = find_checkpoint(name, which)
            if note is not None:
                say(note)
            title = visible(title)
            named.append(len(self._folders))
            self._folders.append((title, chosen))
            for step in steps_of(folder):
                self._folders.append((f"{title}, step {step}", path_of(folder, step)))
            self._representatives += [named[-1]] * (len(self._folders) - len(self._representatives))
        self.memory = Memory()
        self._open: OrderedDict[int, Looker] = OrderedDict()
        self._lock = threading.Lock()
        for index in named:
            self._read(index)

    def __len__(self) -> int:
        return len(self._folders)

    def __getitem__(self, index: int) -> Looker:
        """Return a model, opened if necessary.

        Raises
        ------
        Problem
            404 if there is no model of this number, or its folder is gone or damaged.
        """
        if not 0 <= index < len(self._folders):
            raise Problem(404, f"there is no model {index}: choose one from 0 to {len(self) - 1}")
        with self._lock:
            if index not in self._open:
                try:
                    self._read(index)
                except (OSError, ValueError):  # the message contains the path
                    name = self._folders[index][0]
                    raise Problem(404, f"{name} cannot be read: it is damaged or gone") from None
            self._open.move_to_end(index)
            return self._open[index]

    def names(self) -> list[str]:
        """Return the names of all models."""
        return [name for name, _ in self._folders]

    def describe(self, index: int) -> dict[str, Any]:
        """Return the sizes of a model, and a first text, the same for all models of a run."""
        from minigpt.show.summary import n_parameters

        example = self._example(self._representatives[index]) if 0 <= index < len(self) else ""
        model = self[index].model
        return {
            "index": index,
            "name": self._folders[index][0],
            "n_layers": model.n_layers,
            "n_heads": model.blocks[0].attention.n_heads,
            "d_model": model.d_model,
            "vocab_size": model.vocab_size,
            "max_len": model.max_len,
            "n_parameters": n_parameters(model),
            "example": example,
        }

    def warm_up(self) -> None:
        """Run the first model once, so that the first answer is fast.

        The system reads a file of weights page by page when they are first used. For GPT-2 this
        takes a second; afterwards the answer to a keystroke takes a fifth of a second.
        """
        from minigpt.web.look.answers import Question

        with suppress(Problem):  # the first request reports it
            self[0].look(Question(self.describe(0)["example"], (), ()))

    def _example(self, index: int) -> str:
        from minigpt.web.first_text import example_of

        if index not in self._examples:
            looker = self[index]
            folder = self._folders[index][1]
            self._examples[index] = example_of(folder, looker.model, looker.tokenizer)
        return self._examples[index]

    def _read(self, index: int) -> None:
        from minigpt.folders.pretrained import load_model_and_tokenizer
        from minigpt.web.look.answers import Looker

        self._open[index] = Looker(*load_model_and_tokenizer(self._folders[index][1]), self.memory)
        while len(self._open) > MAX_OPEN_MODELS:
            self._open.popitem(last=False)
