"""`minigpt generate`."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from typing import Any

from minigpt.commands.output import choose_model, print_text, say_names, write
from minigpt.commands.parsing import (
    MODEL,
    add_allow_special,
    add_checkpoint,
    command,
    typed_text,
    whole_number,
)
from minigpt.core.sampling import Sampling
from minigpt.support.terminal import json_line, progress


def add_generate(subparsers: Any) -> None:
    """Add the command and its flags."""
    parser = command(
        subparsers,
        "generate",
        generate,
        'runs/demo --prompt "A windy tavern, at noon. Enter"\n'
        'gpt2 --prompt "My dear friend," --top-p 0.9 --stop "\\n"\n'
        'runs/demo --prompt "my dear" --prompt "a goose" --samples 3 --json\n'
        "runs/demo --prompt - < beginning.txt",
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    add_checkpoint(parser)
    parser.add_argument(
        "--prompt",
        action="append",
        type=typed_text,
        metavar="TEXT",
        help="text to continue, in which \\n is a new line; or - for standard input; an empty text "
        "begins a new document; repeat the flag for several prompts (\\n)",
    )
    add_allow_special(parser)
    parser.add_argument(
        "--max-new-tokens", type=int, default=200, metavar="N", help="number of tokens to add (200)"
    )
    parser.add_argument(
        "--samples", type=int, default=1, metavar="N", help="number of texts for each prompt (1)"
    )
    parser.add_argument(
        "--stop",
        action="append",
        type=typed_text,
        default=[],
        metavar="TEXT",
        help="end before this text, in which \\n is a new line; repeat the flag for several",
    )
    parser.add_argument(
        "--seed", type=whole_number, metavar="N", help="the same seed makes the same choices"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a line of JSON for each text: prompt, text, ids, log-probabilities, reason for "
        "the end",
    )
    how = parser.add_argument_group("how a token is chosen, in this order")
    how.add_argument(
        "--repetition-penalty",
        type=float,
        default=1.0,
        metavar="X",
        help="above 1, tokens that have already occurred become less likely (1)",
    )
    how.add_argument(
        "--temperature",
        type=float,
        default=0.8,
        metavar="X",
        help="0: always the likeliest token; 1: the probabilities as learned; more: bolder (0.8)",
    )
    how.add_argument(
        "--top-k", type=int, metavar="K", help="choose only among the K likeliest tokens"
    )
    how.add_argument(
        "--top-p",
        type=float,
        metavar="P",
        help="choose only among the likeliest tokens, as many as together reach probability P",
    )
    how.add_argument(
        "--min-p",
        type=float,
        metavar="P",
        help="choose only among tokens at least P times as likely as the likeliest",
    )


def generate(args: argparse.Namespace) -> int:
    """Print what the model writes after each prompt."""
    from minigpt.text.documents import read_stdin

    sampling = Sampling(
        args.temperature, args.top_k, args.top_p, args.min_p, args.repetition_penalty
    )
    prompts = [read_stdin() if text == "-" else text for text in args.prompt or ["\n"]]
    folder = choose_model(args.model, args.checkpoint)
    if len(prompts) == args.samples == 1 and not args.json:
        parts = write(
            folder,
            prompts[0],
            args.max_new_tokens,
            sampling,
            args.seed,
            args.stop,
            args.allow_special,
        )
        for text in itertools.chain(prompts, parts, ["\n"]):
            print_text(text)
        return 0

    from minigpt.folders.pretrained import load_model_and_tokenizer
    from minigpt.text.completion import complete

    model, tokenizer = load_model_and_tokenizer(folder)
    n_tokens = args.max_new_tokens
    track = progress("writing", n_tokens)
    say_names("\n".join(prompts), tokenizer, args.allow_special)
    completions = complete(
        model,
        tokenizer,
        prompts,
        n_tokens,
        sampling,
        args.samples,
        args.stop,
        args.seed,
        track,
        args.allow_special,
    )
    for number, each in enumerate(completions, 1):
        if args.json:
            print(json_line(dataclasses.asdict(each)), end="")
        else:
            print_text(f"──── {number}/{len(completions)} ────\n{each.prompt}{each.text}\n")
    return 0
