"""`minigpt eval`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigpt.commands.output import choose_model
from minigpt.commands.parsing import MODEL, add_allow_special, add_checkpoint, add_reading, command
from minigpt.support.brief import brief
from minigpt.support.terminal import progress, say

if TYPE_CHECKING:
    from minigpt.core.functional import Array
    from minigpt.text.tokenizers import Tokenizer
    from minigpt.training.evaluation import Evaluation


def add_eval(subparsers: Any) -> None:
    """Add the command and its flags."""
    parser = command(
        subparsers,
        "eval",
        evaluate,
        "runs/demo\nruns/demo --data my-text.txt\ngpt2 --data my-text.txt --stride 512",
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    add_checkpoint(parser)
    parser.add_argument(
        "--data",
        nargs="+",
        metavar="TEXT",
        help="another text, evaluated in full (formats: see train --help), or the model's own text "
        "if its path has changed",
    )
    add_reading(parser)
    add_allow_special(parser)
    parser.add_argument(
        "--stride",
        type=int,
        metavar="N",
        help="move the window by only N tokens at a time, so that windows overlap: each token is "
        "predicted from more context, but it takes longer (windows do not overlap)",
    )


@dataclass(frozen=True)
class _Text:
    """A text to evaluate on: its ids, and `result_of`, which turns a loss into an `Evaluation`."""

    name: str
    ids: Array
    floor: float | None
    result_of: Callable[[float], Evaluation]

    __repr__ = brief


def evaluate(args: argparse.Namespace) -> int:
    """Print the loss of a model on a text."""
    from minigpt.folders.pretrained import load_model_and_tokenizer
    from minigpt.support.wording import counted
    from minigpt.text.prepared import prepared_folder
    from minigpt.training.evaluation import evaluate

    folder = choose_model(args.model, args.checkpoint)
    model, tokenizer = load_model_and_tokenizer(folder)
    record = _record(args, folder)
    how = vars(args) if args.data is not None else _run_reading(args, folder, record, tokenizer)
    if (tokens := prepared_folder(how["data"])) is not None:
        text = _prepared_text(tokens, how, tokenizer)
    else:
        text = _corpus_text(args, how, record, tokenizer)
    loss = evaluate(model, text.ids, stride=args.stride, track=progress("reading"))
    windows = f"windows of {model.max_len}"
    if args.stride is not None:
        windows += f", moved by {counted(args.stride, 'token')}"
    _print_results(text, loss, windows, tokenizer)
    return 0


def _record(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return the record of the run in `folder`; it must be there unless --data is given."""
    from minigpt.runs.own_text import record_of_run

    try:
        record = record_of_run(folder)
    except ValueError:  # damaged, but another text does not need it
        if args.data is None:
            raise
        return {}
    if args.data is None and not record:
        raise ValueError(f"{args.model} has no text of its own: give one with --data")
    return record


def _run_reading(
    args: argparse.Namespace, folder: Path, record: dict[str, Any], tokenizer: Tokenizer
) -> dict[str, Any]:
    """Return the settings of a run that say how its text is read, with the path of the text."""
    from minigpt.runs.own_text import find_run_text

    if "-" in record["settings"]["data"]:
        raise ValueError(
            f"the text of {args.model} came from standard input and was not saved: give it with "
            "--data"
        )
    for name in ("field", "skip_undecodable", "allow_special"):
        if vars(args)[name]:
            raise ValueError(f"{name} is for another text: give it with --data")
    return {**record["settings"], "data": find_run_text(folder, record, tokenizer)[0]}


def _prepared_text(tokens: Path, how: Mapping[str, Any], tokenizer: Tokenizer) -> _Text:
    """Return the validation part of a folder of tokens."""
    from minigpt.text.prepared import (
        check_reading_options,
        first_text_note,
        open_dataset,
        tokenizer_of,
    )
    from minigpt.training.evaluation import evaluation_of

    check_reading_options(tokens, how.get("field"), how.get("skip_undecodable", False))
    dataset = open_dataset(tokens, tokenizer_of(tokens, model_tokenizer=tokenizer))
    if note := first_text_note(tokens, dataset, tokenizer):
        say(note)
    return _Text(
        f"validation part of {dataset.name}",
        dataset.val,
        None,
        lambda loss: evaluation_of(tokens, dataset, tokenizer, loss),
    )


def _corpus_text(
    args: argparse.Namespace,
    how: Mapping[str, Any],
    record: dict[str, Any],
    tokenizer: Tokenizer,
) -> _Text:
    """Return the validation part of the run's own text, or another text in full."""
    from minigpt.runs.own_text import is_corpus_of
    from minigpt.runs.starting import report_special_names
    from minigpt.text.data import encode, load_corpus
    from minigpt.training.evaluation import Evaluation

    corpus = load_corpus(how["data"], how.get("field"), how.get("skip_undecodable", False), say)
    allow = how.get("allow_special", False)
    if args.data is not None:
        report_special_names(corpus, tokenizer, allow, say)
    if allow:
        corpus = corpus.with_whole_names(tokenizer)
    name, floor, text, ends = corpus.name, None, corpus.train + corpus.val, corpus.ends
    if args.data is None or is_corpus_of(record, corpus):
        name, floor = f"validation part of {corpus.name}", corpus.floor
        text, ends = corpus.val, corpus.val_ends
    ids = encode(text, tokenizer, ends, allow_special=allow)
    texts = tokenizer.without_special(text) if allow else [text]

    def result_of(loss: float) -> Evaluation:
        return Evaluation.of(loss, len(ids), texts, sum(map(tokenizer.spelling_nats, texts)))

    return _Text(name, ids, floor, result_of)


def _print_results(text: _Text, loss: float, windows: str, tokenizer: Tokenizer) -> None:
    import numpy as np

    from minigpt.show.display import against_floor
    from minigpt.support.wording import counted, decimal, percent
    from minigpt.text.tokenizers.vocabulary import UNKNOWN

    result, n_tokens = text.result_of(loss), len(text.ids)
    size = f"{counted(result.n_characters, 'character')}, {counted(n_tokens, 'token')}"
    print(f"text                {text.name}, {size}")
    print(f"loss                {decimal(loss, 4)} nats/token ({windows})")
    n_unknown = int(np.count_nonzero(text.ids == tokenizer.special_tokens.get(UNKNOWN, -1)))
    if n_unknown:
        print(
            f"unknown             {UNKNOWN} occurs {counted(n_unknown, 'time')}, "
            f"{percent(n_unknown / n_tokens, 1)} of all tokens: the cost of spelling these words "
            "is included per byte and per character, but not per token"
        )
    per_word = f", {decimal(result.word_perplexity)} per word" if result.n_words else ""
    print(f"perplexity          {decimal(result.perplexity)} per token{per_word}")
    print(f"bits per byte       {decimal(result.bits_per_byte, 3)}")
    bits = against_floor(result.bits_per_character, text.floor, result.spelling_bits, unit="")
    print(f"bits per character  {bits}")
