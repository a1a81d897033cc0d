"""The models that may be looked at: told at the start, and chosen by their number."""

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

MOST_OPEN = 4
"""Models that are kept in memory."""


class Models:
    """The models of some folders; of a run's folder, those of its checkpoints too.

    Each is opened when it is first asked for.

    Parameters
    ----------
    names : folders, or names of models as `minigpt.support.hub.find_model` knows them.
    which : the checkpoint that stands for a run: see `minigpt.runs.model_of_run.find_checkpoint`.
    say : is told of one that is not the last.

    Raises
    ------
    FileNotFoundError, ValueError
        If a folder is no model.
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
        self._first: list[int] = []  # of each, the one that stands for its run
        self._examples: dict[int, str] = {}
        named = []
        for name in names:
            folder = find_model(name)
            # A path is nobody's business: the page shows the last part.
            title = Path(name).resolve().name if folder == Path(name) else name
            chosen, note = find_checkpoint(name, which)
            if note is not None:
                say(note)
            title = visible(title)
            named.append(len(self._folders))
            self._folders.append((title, chosen))
            for step in steps_of(folder):
                self._folders.append((f"{title}, step {step}", path_of(folder, step)))
            self._first += [named[-1]] * (len(self._folders) - len(self._first))
        self.memory = Memory()
        self._open: OrderedDict[int, Looker] = OrderedDict()
        self._lock = threading.Lock()
        for index in named:
            self._read(index)

    def __len__(self) -> int:
        return len(self._folders)

    def __getitem__(self, index: int) -> Looker:
        """Open a model.

        Raises
        ------
        Problem
            404 if there is none of that number, or no longer.
        """
        if not 0 <= index < len(self._folders):
            raise Problem(404, f"there is no model {index}, they go from 0 to {len(self) - 1}")
        with self._lock:
            if index not in self._open:
                try:
                    self._read(index)
                except (OSError, ValueError):  # whose text has the path in it
                    name = self._folders[index][0]
                    raise Problem(404, f"{name} cannot be read: it is damaged or gone") from None
            self._open.move_to_end(index)
            return self._open[index]

    def names(self) -> list[str]:
        """Return what each is called."""
        return [name for name, _ in self._folders]

    def describe(self, index: int) -> dict[str, Any]:
        """Return the sizes of a model, and a text to begin with, one for all models of a run."""
        from minigpt.show.summary import n_parameters

        example = self._example(self._first[index]) if 0 <= index < len(self) else ""
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
        """Look once into the first model, so that whoever types first need not wait.

        Weights come from their file page by page as they are first read: for GPT-2's that takes a
        second, a key's answer then a fifth of one.
        """
        from minigpt.web.look.answers import Asked

        with suppress(Problem):  # which whoever asks is told
            self[0].look(Asked(self.describe(0)["example"], (), ()))

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
        while len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)
