"""A run that several processes train together: see `minigpt.fast.machines`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigpt.fast.machines import World
from minigpt.runs.keeper import ReadOnlyKeeper
from minigpt.runs.own_text import find_same_text
from minigpt.runs.run import Run
from minigpt.support.terminal import error_message
from minigpt.text.prepared import prepared_folder
from minigpt.training.optimizers import optimizer_of


def run_on_all(world: World, make: Callable[[], Run]) -> Run:
    """Create a run with `make` in rank 0, copy it to all processes of `world`, and return it.

    Only rank 0 writes. The other processes need neither the run folder nor the text, which rank 0
    sends to them. But each process opens a folder of token files itself.
    """
    parts: Any = None
    world.any(False)  # a process with a wrong command leaves here, before anything is created
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
    problems = [f"process {i}: {p}" for i, p in enumerate(world.gather(problem)) if p is not None]
    if problems:
        if world.rank == 0:
            run.keeper.remove_if_unused()
        raise RuntimeError("; ".join(problems))
    if world.rank > 0:
        optimizer = optimizer_of(settings, model)
        run = Run(folder, settings, tokenizer, dataset, model, optimizer, base=base)
        run.keeper = ReadOnlyKeeper(folder)
    run.world = world
    run.synchronize()
    return run
