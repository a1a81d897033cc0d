"""`minigpt explain`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minigpt.commands.output import choose_model, say_names
from minigpt.commands.parsing import MODEL, add_allow_special, add_checkpoint, command, typed_text


def add_explain(subparsers: Any) -> None:
    """Add the command and its flags."""
    parser = command(
        subparsers,
        "explain",
        explain,
        'runs/demo "my dear"\ngpt2 "My dear friend," -o friend.html\nruns/demo - < text.txt',
    )
    parser.add_argument("model", metavar="MODEL", help=MODEL)
    add_checkpoint(parser)
    parser.add_argument(
        "text",
        type=typed_text,
        metavar="TEXT",
        help="text to explain, in which \\n is a new line; or - for standard input",
    )
    add_allow_special(parser)
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("explain.html"),
        metavar="FILE",
        help="the page, an .html file that works offline (explain.html)",
    )


def explain(args: argparse.Namespace) -> int:
    """Write the page, and print its path."""
    from minigpt.folders.pretrained import load_model_and_tokenizer
    from minigpt.show.explain.page import check_extra
    from minigpt.show.explain.walk import explain as page_of
    from minigpt.support.files import write_text
    from minigpt.support.terminal import say
    from minigpt.text.documents import read_stdin

    if args.out.suffix.lower() != ".html":
        raise ValueError(f"the page must be an .html file, got {str(args.out)!r}")
    if not args.out.parent.is_dir():
        raise ValueError(f"the folder {args.out.parent}, for the page, does not exist: create it")
    check_extra()
    text = read_stdin() if args.text == "-" else args.text
    folder = choose_model(args.model, args.checkpoint)
    model, tokenizer = load_model_and_tokenizer(folder)
    say_names(text, tokenizer, args.allow_special)
    page = page_of(model, tokenizer, text, _scenes(folder), args.allow_special)
    write_text(args.out, page)
    say(f"{args.out.stat().st_size / 1e6:.1f} MB, most of it plotly.js; open it in a browser")
    print(args.out)
    return 0


def _scenes(folder: Path) -> str:
    """Return scenes of the built-in plays if the model in `folder` was trained on them, else ""."""
    from minigpt.runs.checkpoints import read_record
    from minigpt.text.data import load_corpus

    if not (folder / "training.json").is_file():
        return ""
    data = read_record(folder).get("settings", {}).get("data")
    return load_corpus(["plays"]).val if data == ["plays"] else ""
