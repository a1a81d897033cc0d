"""What each command does. Heavy imports happen in the command that needs them."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from minigpt.arguments import given_settings, settings_from
from minigpt.sampling import Sampling
from minigpt.signals import StopSignal
from minigpt.terminal import progress, say, visible

if TYPE_CHECKING:
    from minigpt.runs import Run
    from minigpt.settings import Settings


def demo(args: argparse.Namespace) -> int:
    """Train on the built-in plays, then write scenes."""
    from minigpt.settings import preset

    _check_tensorboard(args)
    settings = preset("demo").replace(given_settings(args))
    run = _new_run(settings, args.out, "demo")
    code = _train(run, args.tensorboard)
    if code == 0:
        say(f"\nThree scenes by a model that knew nothing {run.settings.steps} steps ago:\n")
        written = ""
        for text in _write(run.folder, "\n\n", 600, Sampling(temperature=0.8), seed=1):
            _print(text)
            written += text
            if written.count("\n\n") == 3:
                break
        _say_what_next(run)
    return code


def train(args: argparse.Namespace) -> int:
    """Train a model, new or half done."""
    from minigpt.runs import Run

    _check_tensorboard(args)
    if args.resume is not None:
        for name in ("preset", "config", "out"):
            if getattr(args, name) is not None:
                raise ValueError(
                    f"--resume goes on with the settings and the folder of the run: leave out "
                    f"--{name}, and give single settings as flags"
                )
        run = Run.resume(args.resume, given_settings(args), say)
        say(f"going on with {args.resume} after step {run.step}")
        if run.step >= run.settings.steps:
            raise ValueError(f"{args.resume} has done all its {run.step} steps: add --steps N")
    else:
        settings = settings_from(args)
        run = _new_run(settings, args.out, Path(settings.data[0]).stem or "text")
    code = _train(run, args.tensorboard)
    if code == 0:
        _say_what_next(run)
    return code


def runs(args: argparse.Namespace) -> int:
    """Print a table of runs."""
    from rich.console import Console

    from minigpt.history import find_runs
    from minigpt.listing import json_lines, read_runs, show_runs

    usual = Path("runs")
    folders = args.folders or ([usual] if usual.is_dir() else [])
    histories, wrong = read_runs(find_runs(folders))
    if args.json:
        print(json_lines(histories, wrong), end="")
    else:
        show_runs(histories, wrong, Console(highlight=False))
    if not histories and not wrong:
        where = " ".join(f"{folder}" for folder in args.folders or [usual])
        say(f"there are no runs in {where} yet: start one with `minigpt demo` or `minigpt train`")
    return 0


def plot(args: argparse.Namespace) -> int:
    """Draw the curves of runs; print the path of the picture, or the picture."""
    from minigpt.history import History

    histories = [History.read(folder) for folder in args.runs]
    if args.text:
        from rich.console import Console

        from minigpt.views.text import loss_text

        console = Console(highlight=False)
        console.print(loss_text(histories, min(console.width, 100)), end="", soft_wrap=True)
        return 0
    from minigpt.views.save import check_ending, save_figure
    from minigpt.views.training import loss_curves

    check_ending(args.out)
    save_figure(loss_curves(histories), args.out, "Loss while training")
    print(args.out)
    return 0


def generate(args: argparse.Namespace) -> int:
    """Print what the model makes of its prompts."""
    sampling = Sampling(
        args.temperature, args.top_k, args.top_p, args.min_p, args.repetition_penalty
    )
    prompts = [_read_stdin() if text == "-" else text for text in args.prompt or ["\n"]]
    stop = [text.replace("\\n", "\n") for text in args.stop]
    if len(prompts) == args.samples == 1 and not args.json:
        parts = _write(args.model, prompts[0], args.max_new_tokens, sampling, args.seed, stop)
        for text in itertools.chain(prompts, parts, ["\n"]):
            _print(text)
        return 0

    from minigpt.checkpoint import load_model_and_tokenizer
    from minigpt.completion import complete

    model, tokenizer = load_model_and_tokenizer(args.model)
    n_tokens = args.max_new_tokens
    track = progress("writing", n_tokens)
    completions = complete(
        model, tokenizer, prompts, n_tokens, sampling, args.samples, stop, args.seed, track
    )
    for number, each in enumerate(completions, 1):
        if args.json:
            print(json.dumps(dataclasses.asdict(each), ensure_ascii=False))
        else:
            _print(f"──── {number}/{len(completions)} ────\n{each.prompt}{each.text}\n")
    return 0


def evaluate(args: argparse.Namespace) -> int:
    """Print the loss of a model on a text."""
    from minigpt.checkpoint import load_model_and_tokenizer
    from minigpt.checkpoints import read_record
    from minigpt.data import encode, load_corpus
    from minigpt.display import against_floor
    from minigpt.evaluation import Evaluation, evaluate
    from minigpt.hub import find_model
    from minigpt.prepared import open_dataset, prepared_folder, texts_of, tokenizer_of

    folder = find_model(args.model)
    model, tokenizer = load_model_and_tokenizer(folder)
    if args.data is None and not (folder / "training.json").is_file():
        raise ValueError(f"{args.model} has no text of its own: give one with --data")
    data = args.data or read_record(folder)["settings"]["data"]
    floor = None
    if (tokens := prepared_folder(data)) is not None:
        dataset = open_dataset(tokens, tokenizer_of(tokens, str(folder), tokenizer))
        what, ids = f"validation part of {dataset.name}", dataset.val
        texts: Iterable[str] = texts_of(ids, tokenizer)
    else:
        corpus = load_corpus(data)
        if args.data is None:
            what, text, floor = f"validation part of {corpus.name}", corpus.val, corpus.floor
        else:
            what, text = corpus.name, corpus.train + corpus.val
        ids, texts = encode(text, tokenizer), [text]
    loss = evaluate(model, ids, stride=args.stride, track=progress("reading"))
    result = Evaluation.of(loss, len(ids), texts)
    windows = f"windows of {model.max_len}"
    if args.stride is not None:
        windows += f", each {args.stride} tokens on"
    print(f"text                {what}, {result.n_characters:,} characters, {len(ids):,} tokens")
    print(f"loss                {loss:.4f} nats/token ({windows})")
    print(
        f"perplexity          {result.perplexity:.2f} per token, "
        f"{result.word_perplexity:,.2f} per word"
    )
    print(f"bits per byte       {result.bits_per_byte:.3f}")
    print(f"bits per character  {against_floor(result.bits_per_character, floor)}")
    return 0


def tokenize(args: argparse.Namespace) -> int:
    """Print a text as its tokens, by several tokenizers."""
    from rich.console import Console

    from minigpt.data import load_corpus
    from minigpt.showdown import showdown
    from minigpt.starting import make_tokenizer
    from minigpt.tokenizers import TOKENIZERS

    text = _read_stdin() if args.text == "-" else args.text
    learn = load_corpus(args.data).train if TOKENIZERS.keys() & set(args.tokenizer) else ""
    tokenizers = {name: make_tokenizer(name, learn, args.vocab_size) for name in args.tokenizer}
    showdown(tokenizers, text, Console(highlight=False))
    return 0


def explore(args: argparse.Namespace) -> int:
    """Serve the live page."""
    from minigpt.explorer.command import explore

    return explore(args)


def check(args: argparse.Namespace) -> int:
    """Print a table of proofs; 1 if one of them fails."""
    from rich.console import Console

    from minigpt.check.layers import check_folder, check_fresh
    from minigpt.check.verdict import show

    checks = check_folder(args.model, args.seed) if args.model else check_fresh(args.seed)
    found = []
    with Console(stderr=True).status("checking") as status:
        for result in checks:
            found.append(result)
            status.update(f"checked {result.name}")
    return 0 if show(found, Console(highlight=False)) else 1


def prepare(args: argparse.Namespace) -> int:
    """Make a folder of tokens out of files of any size."""
    from minigpt.prepare import prepare

    try:
        found = prepare(
            args.files,
            args.out,
            args.tokenizer,
            args.vocab_size,
            args.val_fraction,
            args.field,
            args.processes,
            progress,
            say,
        )
    except KeyboardInterrupt:
        say("stopped; the same command goes on where it was")
        return 130
    for part in ("train", "val"):
        print(
            f"{args.out / part}.bin  {found[f'{part}_tokens']:,} tokens, "
            f"{found[f'{part}_characters']:,} characters"
        )
    say(f"  train on it:  minigpt train --data {args.out}")
    return 0


def fetch(args: argparse.Namespace) -> int:
    """Download a text, and print where it is."""
    from minigpt.corpus.fetch import fetch

    print(fetch(args.name))
    return 0


def _new_run(settings: Settings, folder: Path | None, name: str) -> Run:
    from minigpt.runs import Run
    from minigpt.starting import free_folder

    return Run.new(settings, folder or free_folder(name), say)


def _check_tensorboard(args: argparse.Namespace) -> None:
    if args.tensorboard:
        from minigpt.events import find_writer

        find_writer()  # better now than when there is half a run folder


def _train(run: Run, tensorboard: bool = False) -> int:
    from minigpt.display import TrainingDisplay
    from minigpt.events import EventFile
    from minigpt.training import TrainingDiverged

    steps = run.steps()
    try:
        with (
            EventFile(run.folder, run.step) if tensorboard else nullcontext() as events,
            StopSignal() as stop,
            TrainingDisplay(run.settings.steps, run.dataset.floor) as display,
        ):
            for step in steps:
                display.show(step)
                if events is not None:
                    events.show(step)
                if stop.requested:
                    run.save()
                    break
    except TrainingDiverged as error:
        say(
            f"minigpt: {error}. The last good state is in {run.folder}: go on from it with "
            f"--resume {run.folder} and such a change, or let --on-divergence back do so"
        )
        return 1
    finally:
        steps.close()
    if stop.requested and run.step < run.settings.steps:
        say(f"\nstopped after step {run.step}; all is saved in {run.folder}")
        say(f"  go on:     minigpt train --resume {run.folder}")
        say(f'  generate:  minigpt generate {run.folder} --prompt "my dear"')
        return stop.code
    return 0


def _write(
    name: str | Path,
    prompt: str,
    n_tokens: int,
    sampling: Sampling,
    seed: int | None,
    stop: Sequence[str] = (),
) -> Iterator[str]:
    """Yield what a model writes after `prompt`, as it writes it."""
    from minigpt.checkpoint import load_model_and_tokenizer
    from minigpt.completion import stream_text
    from minigpt.generation import stream

    model, tokenizer = load_model_and_tokenizer(name)
    tokens = stream(model, [tokenizer.encode(prompt)], n_tokens, sampling, seed)
    return stream_text(tokenizer, (int(token[0]) for token in tokens), stop)


def _read_stdin() -> str:
    from minigpt.data import read_text

    return read_text("-")


def _print(text: str) -> None:
    print(visible(text) if sys.stdout.isatty() else text, end="", flush=True)


def _say_what_next(run: Run) -> None:
    from minigpt import checkpoints

    folder, best = run.folder, run.progress.best
    if best is not None and best["step"] != run.step:
        where = checkpoints.path_of(folder, best["step"])
        say(f"\nBest on the validation text: after step {best['step']}, in {where}")
    say(
        f"\nThe model is in {folder}. What to try next:\n"
        f'  minigpt generate {folder} --prompt "my dear"      let it go on\n'
        f"  minigpt eval {folder}      its loss on all of the validation text\n"
        '  minigpt tokenize "my dear friend"      see how tokenizers cut a text\n'
        "  minigpt train --data FILE      a model of your own text"
    )
