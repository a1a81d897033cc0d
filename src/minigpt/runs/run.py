"""A training run: made new or resumed, then trained step by step, and kept in its folder."""

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
from minigpt.runs.keeper import Keeper, ReadOnlyKeeper
from minigpt.runs.layer_metrics import measure_layers
from minigpt.runs.own_text import find_run_text, find_same_text, fingerprint, started_in
from minigpt.runs.progress import Progress, progress_of
from minigpt.runs.starting import (
    STATE,
    begin,
    check_place,
    open_checkpoint,
)
from minigpt.support.brief import brief
from minigpt.support.displayed import as_html
from minigpt.support.lock import FolderLock
from minigpt.support.terminal import error_message
from minigpt.text.data import Dataset
from minigpt.text.prepared import prepared_folder
from minigpt.text.tokenizers import Tokenizer
from minigpt.training.loop import Step, TrainingDiverged, train
from minigpt.training.optimizers import Optimizer, optimizer_of
from minigpt.training.settings import MODEL_SETTINGS, Settings

FIXED_SETTINGS = (
    *MODEL_SETTINGS,
    *("init_from", "freeze", "block_size", "dropout", "optimizer", "seed", "allow_special"),
)
"""Settings that a run keeps for good; the others may change when it goes on.

`data` may lead to the same text at another place.
"""


def _silent(text: str) -> None:
    pass


@dataclass
class Run:
    """A training run: make one with `new` or `resume`, then loop over `steps`."""

    folder: Path
    settings: Settings
    tokenizer: Tokenizer
    dataset: Dataset
    model: miniGPT
    optimizer: Optimizer
    say: Callable[[str], None] = _silent
    world: World = ALONE
    base: Path = field(default_factory=Path.cwd)
    """The folder in which the names in `settings.data` lead to the text."""

    __repr__ = brief
    _repr_html_ = as_html

    def __post_init__(self) -> None:
        self.keeper = Keeper(self.folder)

    @property
    def progress(self) -> Progress:
        """How far it is."""
        return self.keeper.progress

    @cached_property
    def text(self) -> dict[str, Any]:
        """The fingerprint of its text."""
        return fingerprint(self.dataset)

    @property
    def step(self) -> int:
        """How many steps are done."""
        return self.progress.step

    @property
    def stopped_early(self) -> bool:
        """Whether it has stopped since too many evaluations brought nothing better."""
        return self.progress.stopped_early(self.settings)

    @classmethod
    def together(cls, world: World, make: Callable[[], Run]) -> Run:
        """Create the run in the first process of `world`, and copy it to all others.

        Only the first writes. The others need neither its folder nor the text, which may be on the
        first one's machine alone; but a folder of token files each opens for itself.
        """
        parts: Any = None
        world.any(False)  # whoever was given something wrong has left before anything is made
        if world.rank == 0:
            run = make()
            dataset = None if prepared_folder(run.settings.data) else run.dataset
            parts = run.folder, run.settings, run.tokenizer, dataset, run.model, run.text, run.base
        folder, settings, tokenizer, dataset, model, text, base = world.broadcast(parts)
        problem = None
        if world.rank > 0:
            try:
                dataset = dataset or find_same_text(settings, base, tokenizer, text)
            except (OSError, ValueError) as error:
                problem = error_message(error)
        wrong = [f"process {i}: {p}" for i, p in enumerate(world.gather(problem)) if p is not None]
        if wrong:
            if world.rank == 0:
                run.keeper.remove_if_unused()
            raise RuntimeError("; ".join(wrong))
        if world.rank > 0:
            optimizer = optimizer_of(settings, model)
            run = cls(folder, settings, tokenizer, dataset, model, optimizer, base=base)
            run.keeper = ReadOnlyKeeper(folder)
        run.world = world
        run._share()
        return run

    @classmethod
    def new(
        cls,
        settings: Settings,
        folder: Path,
        say: Callable[[str], None] = _silent,
        free: Collection[str] = (),
    ) -> Run:
        """Prepare a run: text, tokenizer, token arrays, an untrained model, the folder.

        Parameters
        ----------
        settings : all that decides how it goes.
        folder : where it will be kept; not there yet, or empty.
        say : is told what is being done, a line at a time.
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
        """Go on with the run kept in `folder`, from its newest checkpoint that is whole.

        Parameters
        ----------
        folder : the run folder. If anything is wrong, nothing in it changes.
        changes : settings that shall be others from now on; `data` says where its text is now.
        say : is told if a checkpoint is damaged, and of setbacks later.
        unfinished : whether to refuse a run that has done all its steps, or stopped early.
        world : the processes that will share its batch.
        """
        checkpoints.require_run(folder)
        with FolderLock(folder) as lock:
            origin = checkpoints.newest_intact(folder, say)
            record = checkpoints.read_record(origin)
            settings = Settings().replace(record["settings"])
            for name in FIXED_SETTINGS:
                if name in changes and changes[name] != getattr(settings, name):
                    raise ValueError(f"{name} cannot change when a run goes on; start a new one")
            progress = progress_of(record, folder)
            if progress.stopped_early(settings) and changes.keys() & {"steps", "patience"}:
                progress.worse = 0  # it goes on as asked, with new patience
            settings = settings.replace(changes)
            model, tokenizer, optimizer = open_checkpoint(origin, settings)
            world.check_batch(settings.batch_size)
            if unfinished and record["step"] >= settings.steps:
                raise ValueError(f"{folder} has done all its {record['step']} steps: add --steps N")
            if unfinished and progress.stopped_early(settings):
                raise ValueError(
                    f"{folder} stopped early, after step {progress.step}, as {progress.worse} "
                    "evaluations in a row had brought nothing better. To go on all the same, give "
                    "it more patience: --patience N, or 0 for any amount"
                )
            _, base, dataset = find_run_text(folder, record, tokenizer, changes)
            run = cls(folder, settings, tokenizer, dataset, model, optimizer, say, base=base)
            run.keeper = Keeper(folder, lock)
            run.keeper.continue_from(progress, from_checkpoint=origin != folder)
            run.keeper.newest = max(checkpoints.steps_of(folder), default=-1)
            with run.keeper.locked():
                run.keeper.tidy()
        return run

    def steps(self) -> Generator[Step]:
        """Train to the end, yielding each step; metrics and samples are written, models saved.

        The end comes early if so many evaluations as `patience` says have brought nothing better.

        If training diverges and the settings say so, it goes back to the last checkpoint: then
        the numbers of the steps do too.

        Raises
        ------
        TrainingDiverged
            If the loss is no number or far above its usual course, and going back is not allowed
            or does not help.
        RunNotWritten
            If something cannot be written; it says from where the run can go on.
        RuntimeError
            If another process trains in this folder, or has done so in between.
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
        """Write a checkpoint of this step, if there is none; then older ones can go."""
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
        # It takes a fortieth of a step of the demo: not worth a thought between evaluations.
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
        """Return to the newest checkpoint, with half the learning rate; or raise `error`.

        If that did not help before, to the one before it: the harm may be older than it shows.
        """
        setbacks = self.progress.setbacks
        if self.settings.on_divergence == "stop" or len(setbacks) >= MAX_SETBACKS:
            self.keeper.is_unused = False  # the way on is from what is there
            raise error
        if self.world.rank == 0:
            self._restore(error)
        self._share()

    def _restore(self, error: TrainingDiverged) -> None:
        at, setbacks = self.step, self.progress.setbacks
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
        setback = {"after": at, "back_to": self.step, **rates, "why": str(error)}
        self.progress.setbacks = [*setbacks, setback]
        self.keeper.tidy()
        self.say(
            f"{error}. Going back to step {self.step}, learning rate {rates['learning_rate']:g}"
        )

    def _share(self) -> None:
        """Bring all processes to where the first one is."""
        parts: Any = None
        if self.world.rank == 0:
            parts = self.settings, self.progress, self.model.flat.params, self.optimizer.state
        settings, progress, params, state = self.world.broadcast(parts)
        if self.world.rank > 0:
            self.settings, self.keeper.progress = settings, progress
            self.model.flat.params[...] = params
            self.optimizer.state.update(state)
