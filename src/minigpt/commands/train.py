"""`minigpt demo` and `minigpt train`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigpt.commands.arguments import (
    add_settings,
    as_flags,
    given_settings,
    preset_name,
    settings_from,
)
from minigpt.commands.output import print_text, write
from minigpt.commands.parsing import add_with, command, use_learner
from minigpt.commands.what_next import prompt_of, what_next
from minigpt.core.sampling import Sampling
from minigpt.fast.machines import world
from minigpt.support.signals import StopSignal
from minigpt.support.terminal import say
from minigpt.support.wording import counted, for_shell
from minigpt.training.settings import PRESETS, Settings, preset

if TYPE_CHECKING:
    from minigpt.runs import Run


def add_demo(subparsers: Any) -> None:
    """Add the command and its flags."""
    parser = command(
        subparsers,
        "demo",
        demo,
        "\n--out runs/my-first --seed 1",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="run folder (runs/demo)")
    _add_tensorboard(parser)
    add_with(parser)
    add_settings(parser, ("seed", "steps", "threads"), preset("demo"))


def add_train(subparsers: Any) -> None:
    """Add the command and its flags."""
    parser = command(
        subparsers,
        "train",
        train,
        "--data my-text.txt\n"
        "--data my-text.txt --preset shakespeare-char --out runs/mine\n"
        "--data books/ --tokenizer bpe --vocab-size 1024 --steps 5000 --dropout 0.1\n"
        "--config settings.toml\n"
        "--init-from gpt2 --freeze 6 --data my-text.txt --steps 200 --learning-rate 1e-4\n"
        "--resume runs/mine",
    )
    where = parser.add_argument_group("run")
    where.add_argument("--out", type=Path, metavar="FOLDER", help="run folder (runs/NAME)")
    where.add_argument("--resume", type=Path, metavar="FOLDER", help="continue this run")
    where.add_argument(
        "--preset",
        type=preset_name,
        metavar="NAME",
        help="; ".join(f"{name}: {text}" for name, (text, _) in PRESETS.items()),
    )
    where.add_argument("--config", type=Path, metavar="FILE", help="TOML file with settings")
    _add_tensorboard(where)
    add_with(where)
    add_settings(parser)


def _add_tensorboard(group: Any) -> None:
    group.add_argument(
        "--tensorboard", action="store_true", help="also write an event file for TensorBoard"
    )


def demo(args: argparse.Namespace) -> int:
    """Train on the built-in plays, then write scenes."""
    _check_tensorboard(args)
    use_learner(args)
    settings = preset("demo").replace(given_settings(args))
    run = _new_run(settings, args.out, "demo")
    code = _train(run, args.tensorboard)
    if code == 0 and run.world.rank == 0:
        steps = counted(run.settings.steps, "step")
        say(f"\nThree scenes by a model that knew nothing {steps} ago:\n")
        written = ""
        for text in write(run.folder, "\n\n", 600, Sampling(temperature=0.8), seed=1):
            print_text(text)
            written += text
            if written.count("\n\n") == 3:
                break
        _say_what_next(run)
    return code


def train(args: argparse.Namespace) -> int:
    """Start a run, or continue one."""
    from minigpt.runs import Run
    from minigpt.runs.shared_run import run_on_all
    from minigpt.text.sources import name_of

    _check_tensorboard(args)
    use_learner(args)
    if args.resume is not None:
        for name in ("preset", "config", "out"):
            if getattr(args, name) is not None:
                raise ValueError(
                    f"--resume continues with the settings and the folder of the run: leave out "
                    f"--{name}, and give changed settings as flags"
                )
        changes = given_settings(args)
        world().check_command(f"train --resume {args.resume} {as_flags(changes)}".strip())

        def resume() -> Run:
            return Run.resume(args.resume, changes, say, unfinished=True, world=world())

        run = run_on_all(world(), resume)
        say(f"continuing {args.resume} after step {run.step}")
    else:
        settings, free = settings_from(args)
        if args.learner is not None and "dropout" in free:  # the layers of the course have none
            settings = settings.replace({"dropout": 0.0})
            free = [name for name in free if name != "dropout"]
        run = _new_run(settings, args.out, name_of(settings.data[0]), free)
    code = _train(run, args.tensorboard)
    if code == 0:
        _say_what_next(run)
    return code


def _new_run(settings: Settings, folder: Path | None, name: str, free: Sequence[str] = ()) -> Run:
    from minigpt.runs import Run
    from minigpt.runs.shared_run import run_on_all
    from minigpt.runs.starting import free_folder

    world().check_batch(settings.batch_size)
    out, usual = "" if folder is None else f"--out {folder} ", Settings().to_dict()
    chosen = {name: v for name, v in settings.to_dict().items() if v != usual[name]}
    world().check_command(f"train {out}{as_flags(chosen)}".strip())
    return run_on_all(world(), lambda: Run.new(settings, folder or free_folder(name), say, free))


def _check_tensorboard(args: argparse.Namespace) -> None:
    if args.tensorboard:
        from minigpt.runs.events import find_writer

        find_writer()  # raises now, before there is a run folder


def _train(run: Run, tensorboard: bool = False) -> int:
    from minigpt.runs.events import EventFile
    from minigpt.show.display import TrainingDisplay
    from minigpt.training.loop import TrainingDiverged

    steps, start, stopped = run.steps(), run.step, False
    events = None
    try:
        with (
            ExitStack() as stack,
            StopSignal() as stop,
            TrainingDisplay(run.settings.steps, run.dataset.floor) as display,
        ):
            for step in steps:
                display.show(step)
                if tensorboard and run.world.rank == 0:
                    events = events or stack.enter_context(EventFile(run.folder, start))
                    events.show(step)
                if stopped := run.world.any(stop.requested):  # all stop after the same step
                    run.save()
                    break
    except TrainingDiverged as error:
        say(
            f"minigpt: {error}. The last good state is in {run.folder}: continue from it with "
            f"--resume {for_shell(run.folder)} and this change, or use --on-divergence back"
        )
        return 1
    finally:
        steps.close()
    if stopped and run.step < run.settings.steps:
        say(f"\nstopped after step {run.step}; everything is saved in {run.folder}")
        folder, prompt = for_shell(run.folder), prompt_of(run)
        say(f"  continue:  minigpt train --resume {folder}")
        say(f"  generate:  minigpt generate {folder}" + (f" --prompt {prompt}" if prompt else ""))
        return stop.code or 130  # 130 if another process was told to stop
    return 0


def _say_what_next(run: Run) -> None:
    from minigpt.runs import checkpoints
    from minigpt.runs.memorised import memorised
    from minigpt.runs.model_of_run import find_checkpoint

    folder, best = run.folder, run.progress.best
    if run.stopped_early:
        say(
            f"\nstopped early, after step {run.step} of {run.settings.steps}: the last "
            f"{run.progress.worse} evaluations brought no new best (--patience)"
        )
    if best is not None and best["step"] != run.step:
        say(
            f"\nThe validation loss was lowest after step {best['step']}: commands now open this "
            f"checkpoint. The last is in {checkpoints.path_of(folder, run.step)}"
        )
    if run.world.rank == 0 and run.settings.data != ("plays",):
        # The plays are made of a few patterns; repeating these is what the model should learn.
        opened = find_checkpoint(folder)[0]
        say(f"\n{memorised(opened, run.dataset, run.settings.seed)}")
    say(f"\nThe model is in {folder}. What to try next:\n{what_next(run)}")
