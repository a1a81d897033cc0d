"""`minigpt prepare`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minigpt.commands.parsing import add_allow_special, add_reading, command, whole_number
from minigpt.support.terminal import progress, say
from minigpt.support.wording import counted, for_shell


def add_prepare(subparsers: Any) -> None:
    """Add the command and its flags."""
    parser = command(
        subparsers,
        "prepare",
        prepare,
        "books/ -o data\n"
        "books/*.txt.gz --vocab-size 8192 -o data\n"
        "stories.jsonl --field story --tokenizer gpt2 -o data",
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="text files (one document each), .jsonl (one per line), .json (a list of them), these "
        "also as .gz; .parquet (one per row); folders of files; patterns; or shakespeare",
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FOLDER",
        help="folder for train.bin, val.bin and tokenizer.json; after a stop, repeat the command "
        "to continue",
    )  # fmt: skip
    parser.add_argument(
        "--tokenizer",
        default="bpe",
        metavar="T",
        help="bpe, char or word, to train one; or a tokenizer.json, its folder or gpt2 (bpe)",
    )
    parser.add_argument(
        "--vocab-size", type=int, metavar="N", help="tokens in the vocabulary (1024 for bpe)"
    )
    parser.add_argument(
        "--val-fraction",
        type=float,
        default=0.1,
        metavar="X",
        help="share of the text, taken from its end, for validation (0.1)",
    )
    add_reading(parser)
    add_allow_special(parser)
    parser.add_argument(
        "--processes",
        type=whole_number,
        default=0,
        metavar="N",
        help="number of processes (one per core)",
    )


def prepare(args: argparse.Namespace) -> int:
    """Write a folder of tokens from files of any size."""
    from minigpt.text.prepare import prepare

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
            args.skip_undecodable,
            args.allow_special,
        )
    except KeyboardInterrupt:
        say("stopped; the same command continues from here")
        return 130
    for part in ("train", "val"):
        print(
            f"{args.out / part}.bin  {counted(found[f'{part}_tokens'], 'token')}, "
            f"{counted(found[f'{part}_characters'], 'character')}"
        )
    say(f"  train on it:  minigpt train --data {for_shell(args.out)}")
    return 0
