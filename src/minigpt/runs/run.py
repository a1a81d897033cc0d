"""A training run: created or resumed, trained step by step, and saved in its folder."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Generator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from minigpt.core.model import miniGPT
from minigpt.fast.machines import ALONE, World
from minigpt.folders.pretrained import write_pretrained
from minigpt.folders.weights import write_tensors
from minigpt.runs import checkpoints
from minigpt.runs.divergence import MAX_SETBACKS, usual_loss
from minigpt.runs.keeper import Keeper
from minigpt.runs.layer_metrics import measure_layers
from minigpt.runs.own_text import fingerprint, started_in
from minigpt.runs.progress import Progress, progress_of
from minigpt.runs.resuming import open_resumed
from minigpt.runs.starting import (
    STATE,
    begin,
    check_place,
    open_checkpoint,
)
from minigpt.support.brief import brief
from minigpt.support.displayed import as_html
from minigpt.support.lock import FolderLock
from minigpt.text.data import Dataset
from minigpt.text.tokenizers import Tokenizer
from minigpt.training.loop import Step, TrainingDiverged, train
from minigpt.training.optimizers import Optimizer, optimizer_of
from minigpt.training.settings import Settings


def _silent(text: str) -> None:
    pass


@dataclass
class Run:
    """A training run: create one with `new` or `resume`, then loop over `steps`."""

    folder: Path
    settings: Settings
    tokenizer: Tokenizer
    dataset: Dataset
    model: miniGPT
    optimizer: Optimizer
    say: Callable[[str], None] = _silent
    world: World = ALONE
    base: Path = field(default_factory=Path.cwd)
    """The folder to which the names in `settings.data` are relative."""

    __repr__ = brief
    _repr_html_ = as_html

    def __post_init__(self) -> None:
        self.keeper = Keeper(self.folder)

    @property
    def progress(self) -> Progress:
        """How far the run is."""
        return self.keeper.progress

    @cached_property
    def text(self) -> dict[str, Any]:
        """The fingerprint of the text of the run."""
        return fingerprint(self.dataset)

    @property
    def step(self) -> int:
        """Number of steps done so far."""
        return self.progress.step

    @property
    def stopped_early(self) -> bool:
        """Whether the run stopped because too many evaluations brought no improvement."""
        return self.progress.stopped_early(self.settings)

    @classmethod
    def new(
        cls,
        settings: Settings,
        folder: Path,
        say: Callable[[str], None] = _silent,
        free: Collection[str] = (),
    ) -> Run:
        """Create a run: its text, tokenizer, tokens, untrained model and folder.

        Parameters
        ----------
        settings : how to train.
        folder : the run folder; it must not exist, or be empty.
        say : is called with each line of the report.
        free : names of settings to fit to the size of the text: see `minigpt.training.fitting`.
        """
        check_place(folder)
        settings, tokenizer, dataset, model = begin(settings, say, free)
        optimizer = optimizer_of(settings, model)
        run = cls(folder, settings, tokenizer, dataset, model, optimizer, say)
        was_there = folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        with run.keeper.locked():
            run.keeper.mark_new(was_there)
            try:
                run.save()
            except BaseException:
                run.keeper.remove_if_unused()
                raise
        return run

    @classmethod
    def resume(
        cls,
        folder: Path,
        changes: dict[str, Any],
        say: Callable[[str], None] = _silent,
        *,
        unfinished: bool = False,
        world: World = ALONE,
    ) -> Run:
        """Resume the run in `folder` from its newest intact checkpoint.

        Parameters
        ----------
        folder : the run folder. If anything is wrong, nothing in it changes.
        changes : settings with new values from now on; `data` says where the text is now.
        say : is called with a line about each damaged checkpoint, and each setback later.
        unfinished : whether to raise if the run has done all its steps, or stopped early.
        world : the processes that will share the batch.
        """
        checkpoints.require_run(folder)
        with FolderLock(folder) as lock:
            found = open_resumed(folder, changes, say, unfinished, world)
            run = cls(
                folder,
                found.settings,
                found.tokenizer,
                found.dataset,
                found.model,
                found.optimizer,
                say,
                base=found.base,
            )
            run.keeper = Keeper(folder, lock)
            run.keeper.continue_from(found.progress, from_checkpoint=found.origin != folder)
            run.keeper.newest = max(checkpoints.steps_of(folder), default=-1)
            with run.keeper.locked():
                run.keeper.tidy()
        return run

    def steps(self) -> Generator[Step]:
        """Train to the end, yield each step, log it, and save checkpoints.

        Training stops early if `patience` evaluations in a row have brought no improvement.

        If training diverges and `on_divergence` is "back", the run returns to its last checkpoint,
        and the numbers of the yielded steps continue from there.

        Raises
        ------
        TrainingDiverged
            If the loss is not finite or far above its running mean, and the run may not return to
            a checkpoint or has done so too often.
        RunNotWritten
            If something cannot be written; the message says how to continue.
        RuntimeError
            If another process trains in this folder, or has done so in the meantime.
        """
        with self.keeper.locked():
            self.keeper.tidy()
            try:
                while not self.stopped_early:
                    try:
                        yield from self._steps()
                        return
                    except TrainingDiverged as error:
                        self._go_back(error)
            finally:
                self.keeper.remove_if_unused()

    def save(self) -> None:
        """Write a checkpoint of this step if there is none, and remove old checkpoints."""
        self.keeper.save(self._write_into, self.settings.keep)

    def _steps(self) -> Generator[Step]:
        progress = self.progress
        for step in train(
            self.model,
            self.dataset,
            self.settings,
            self.tokenizer,
            self.optimizer,
            self.step,
            self.world,
        ):
            progress.usual_loss = usual_loss(
                progress.usual_loss, step, self.settings.spike, self.model.vocab_size
            )
            progress.note(step)
            self.keeper.log_step(step, self._layers(step))
            if step.val_loss is not None:
                self.save()
                if warning := progress.warning(self.settings):
                    self.say(warning)
            yield step
            if self.stopped_early:
                return

    def _layers(self, step: Step) -> dict[str, Any] | None:
        # It costs 1/40 of a step of the demo, ten times between two evaluations: negligible.
        every = max(1, self.settings.eval_every // 10)
        if self.world.rank > 0 or (step.number > 1 and step.number % every):
            return None
        return measure_layers(self.model, self.optimizer, step, self.settings.clip)

    def _write_into(self, folder: Path) -> None:
        from minigpt import __version__

        write_pretrained(self.model, folder, self.tokenizer)
        if self.optimizer.state:
            write_tensors(folder / STATE, self.optimizer.state)
        record = {
            "version": __version__,
            **asdict(self.progress),
            "floor_bits_per_character": self.dataset.floor,
            "text": self.text,
            "started_in": started_in(self.base, self.folder),
            "settings": self.settings.to_dict(),
        }
        checkpoints.seal(folder, record)

    def _go_back(self, error: TrainingDiverged) -> None:
        """Return to the newest checkpoint with half the learning rate, or raise `error`.

        If this checkpoint did not help before, return to the one before it: the weights may have
        been harmed before the loss showed it.
        """
        setbacks = self.progress.setbacks
        if self.settings.on_divergence == "stop" or len(setbacks) >= MAX_SETBACKS:
            self.keeper.is_unused = False  # the user may resume from what is there
            raise error
        if self.world.rank == 0:
            self._restore(error)
        self.synchronize()

    def _restore(self, error: TrainingDiverged) -> None:
        diverged_at, setbacks = self.step, self.progress.setbacks
        steps = [step for step in checkpoints.steps_of(self.folder) if step <= self.keeper.saved]
        if len(steps) > 1 and setbacks and setbacks[-1]["back_to"] == self.keeper.saved:
            del steps[0]
        below = steps[0] + 1 if steps else math.inf
        origin = checkpoints.newest_intact(self.folder, self.say, below)
        self.model, _, self.optimizer = open_checkpoint(origin, self.settings)
        progress = progress_of(checkpoints.read_record(origin), self.folder)
        self.keeper.continue_from(progress, from_checkpoint=origin != self.folder)
        rates = {
            name: getattr(self.settings, name) / 2
            for name in ("learning_rate", "final_learning_rate")
        }
        self.settings = self.settings.replace(rates)
        setback = {"after": diverged_at, "back_to": self.step, **rates, "why": str(error)}
        self.progress.setbacks = [*setbacks, setback]
        self.keeper.tidy()
        self.say(
            f"{error}. Going back to step {self.step}, learning rate {rates['learning_rate']:g}"
        )

    def synchronize(self) -> None:
        """Copy settings, progress, weights and optimizer state of rank 0 to all processes."""
        parts: Any = None
        if self.world.rank == 0:
            parts = self.settings, self.progress, self.model.flat.params, self.optimizer.state
        settings, progress, params, state = self.world.broadcast(parts)
        if self.world.rank > 0:
            self.settings, self.keeper.progress = settings, progress
            self.model.flat.params[...] = params
            self.optimizer.state.update(state)
