"""`minigpt eval`."""

from __future__ import annotations

import argparse
from typing import Any

from minigpt.commands.output import choose_model
from minigpt.commands.parsing import MODEL, add_allow_special, add_checkpoint, add_reading, command
from minigpt.support.terminal import progress, say


def add_eval(subparsers: Any) -> None:
    """Add the command and its flags."""
    parser = command(
        subparsers,
        "eval",
        evaluate,
        "measure a model's loss on the validation part of its text, or on another text",
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


def evaluate(args: argparse.Namespace) -> int:
    """Print the loss of a model on a text."""
    import numpy as np

    from minigpt.folders.pretrained import load_model_and_tokenizer
    from minigpt.runs.own_text import find_run_text, is_corpus_of, record_of_run
    from minigpt.runs.starting import report_special_names
    from minigpt.show.display import against_floor
    from minigpt.support.wording import counted, decimal, percent
    from minigpt.text.data import encode, load_corpus
    from minigpt.text.prepared import (
        check_reading_options,
        first_text_note,
        open_dataset,
        prepared_folder,
        tokenizer_of,
    )
    from minigpt.text.tokenizers.vocabulary import UNKNOWN
    from minigpt.training.evaluation import Evaluation, evaluate, evaluation_of

    folder = choose_model(args.model, args.checkpoint)
    model, tokenizer = load_model_and_tokenizer(folder)
    try:
        record = record_of_run(folder)
    except ValueError:  # damaged, but another text does not need it
        if args.data is None:
            raise
        record = {}
    if args.data is None and not record:
        raise ValueError(f"{args.model} has no text of its own: give one with --data")
    if args.data is None and "-" in record["settings"]["data"]:
        raise ValueError(
            f"the text of {args.model} came from standard input and was not saved: give it with "
            "--data"
        )
    how = vars(args)
    if args.data is None:
        for name in ("field", "skip_undecodable", "allow_special"):
            if how[name]:
                raise ValueError(f"{name} is for another text: give it with --data")
        how = {**record["settings"], "data": find_run_text(folder, record, tokenizer)[0]}
    floor = None
    if (tokens := prepared_folder(how["data"])) is not None:
        check_reading_options(tokens, how.get("field"), how.get("skip_undecodable", False))
        dataset = open_dataset(tokens, tokenizer_of(tokens, model_tokenizer=tokenizer))
        if beginning := first_text_note(tokens, dataset, tokenizer):
            say(beginning)
        what, ids = f"validation part of {dataset.name}", dataset.val
    else:
        corpus = load_corpus(how["data"], how.get("field"), how.get("skip_undecodable", False), say)
        allow = how.get("allow_special", False)
        if args.data is not None:
            report_special_names(corpus, tokenizer, allow, say)
        if allow:
            corpus = corpus.with_whole_names(tokenizer)
        if args.data is None or is_corpus_of(record, corpus):
            what, floor = f"validation part of {corpus.name}", corpus.floor
            text, ends = corpus.val, corpus.val_ends
        else:
            what, text, ends = corpus.name, corpus.train + corpus.val, corpus.ends
        ids = encode(text, tokenizer, ends, allow_special=allow)
        texts = tokenizer.without_special(text) if allow else [text]
    loss = evaluate(model, ids, stride=args.stride, track=progress("reading"))
    if tokens is not None:
        result = evaluation_of(tokens, dataset, tokenizer, loss)
    else:
        spelled = sum(map(tokenizer.spelling_nats, texts))
        result = Evaluation.of(loss, len(ids), texts, spelled)
    windows = f"windows of {model.max_len}"
    if args.stride is not None:
        windows += f", each {counted(args.stride, 'token')} on"
    size = f"{counted(result.n_characters, 'character')}, {counted(len(ids), 'token')}"
    print(f"text                {what}, {size}")
    print(f"loss                {decimal(loss, 4)} nats/token ({windows})")
    n_unknown = int(np.count_nonzero(ids == tokenizer.special_tokens.get(UNKNOWN, -1)))
    if n_unknown:
        print(
            f"unknown             {UNKNOWN} occurs {counted(n_unknown, 'time')}, "
            f"{percent(n_unknown / len(ids), 1)} of all tokens: the cost of spelling these words "
            "is included per byte and per character, but not per token"
        )
    per_word = f", {decimal(result.word_perplexity)} per word" if result.n_words else ""
    print(f"perplexity          {decimal(result.perplexity)} per token{per_word}")
    print(f"bits per byte       {decimal(result.bits_per_byte, 3)}")
    bits = against_floor(result.bits_per_character, floor, result.spelling_bits, unit="")
    print(f"bits per character  {bits}")
    return 0
