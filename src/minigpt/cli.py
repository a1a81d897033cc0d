"""The command line: parse, call, print. Results go to stdout, all else to stderr.

Exit codes: 0 all well, 1 something is wrong (a sentence says what), 2 the command makes no sense,
130 stopped by Ctrl-C, 143 by SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from minigpt import __version__, commands
from minigpt.arguments import add_settings, preset_name
from minigpt.checks import unknown
from minigpt.settings import PRESETS
from minigpt.terminal import sentence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # Windows' consoles still have their own; half a character is shown by number.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    args = _parse(sys.argv[1:] if argv is None else argv)
    try:
        return int(args.command(args))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, TypeError, OSError, ArithmeticError, RuntimeError, ImportError) as error:
        print(f"minigpt: {sentence(error)}", file=sys.stderr)
        return 1
    except MemoryError as error:
        print(f"minigpt: there is not enough memory for this: {error}", file=sys.stderr)
        return 1


MODEL = "folder of a model; or gpt2, gpt2-medium, gpt2-large, gpt2-xl, distilgpt2"


class _Parser(argparse.ArgumentParser):
    """Full names only, and for an unknown one the nearest."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options
        )

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nFor help: {self.prog} --help\n")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="minigpt",
        description="GPT from scratch in NumPy: train a language model on your text, "
        "let it write, look at its tokens.",
        epilog="Start with:  minigpt demo",
    )
    parser.add_argument("--version", action="version", version=f"minigpt {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    adders = (
        _demo,
        _train,
        _runs,
        _plot,
        _generate,
        _eval,
        _prepare,
        _tokenize,
        _explore,
        _check,
        _fetch,
    )
    for add in adders:
        add(subparsers)
    args, rest = parser.parse_known_args(argv)
    if rest:
        known = [option for option in args.parser._option_string_actions if option[:2] == "--"]
        args.parser.error(unknown("argument", rest[0], known))
    return args


def _command(subparsers: Any, name: str, command: Any, help: str, examples: str) -> _Parser:
    lines = "\n".join(f"  minigpt {name} {line}".rstrip() for line in examples.splitlines())
    parser: _Parser = subparsers.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".", epilog=f"examples:\n{lines}"
    )
    parser.set_defaults(command=command, parser=parser)
    return parser


def _demo(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "demo",
        commands.demo,
        "train a small GPT on the built-in plays, two to three minutes, and let it write",
        "\n--out runs/my-first --seed 1",
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="run folder (runs/demo)")
    _tensorboard(parser)
    add_settings(parser, only=("seed", "steps", "threads"))


def _train(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "train",
        commands.train,
        "train a model on a text, and keep it in a run folder",
        "--data my-text.txt\n"
        "--data my-text.txt --preset shakespeare-char --out runs/mine\n"
        "--data books/ --tokenizer bpe --vocab-size 1024 --steps 5000 --dropout 0.1\n"
        "--config settings.toml\n"
        "--init-from gpt2 --freeze 6 --data my-text.txt --steps 200 --learning-rate 1e-4\n"
        "--resume runs/mine",
    )
    where = parser.add_argument_group("run")
    where.add_argument("--out", type=Path, metavar="FOLDER", help="run folder (runs/NAME)")
    where.add_argument("--resume", type=Path, metavar="FOLDER", help="go on with this run")
    where.add_argument(
        "--preset",
        type=preset_name,
        metavar="NAME",
        help="; ".join(f"{name}: {text}" for name, (text, _) in PRESETS.items()),
    )
    where.add_argument("--config", type=Path, metavar="FILE", help="settings in a TOML file")
    _tensorboard(where)
    add_settings(parser)


def _tensorboard(group: Any) -> None:
    group.add_argument(
        "--tensorboard", action="store_true", help="also write an event file for TensorBoard"
    )


def _runs(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "runs",
        commands.runs,
        "list run folders, newest first: settings, how far, lowest validation loss, speed",
        "\nruns/ old-runs/\n--json",
    )
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="run folders, or folders of them (runs/)",
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON for each run")


def _plot(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "plot",
        commands.plot,
        "draw how the loss of runs came down, as a page, a picture or text",
        "runs/demo\nruns/a runs/b -o both.html\nruns/a runs/b -o both.png\nruns/demo --text",
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run folder")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("curves.html"),
        metavar="FILE",
        help="an .html, which needs no network, or a .png (curves.html)",
    )
    how.add_argument("--text", action="store_true", help="draw in the terminal")


def _generate(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "generate",
        commands.generate,
        "let a model write, token by token as it chooses them",
        'runs/demo --prompt "A windy tavern, at noon. Enter"\n'
        'gpt2 --prompt "My dear friend," --top-p 0.9 --stop "\\n"\n'
        'runs/demo --prompt "my dear" --prompt "a goose" --samples 3 --json\n'
        "runs/demo --prompt - < beginning.txt",
    )
    parser.add_argument("model", help=MODEL)
    parser.add_argument(
        "--prompt",
        action="append",
        metavar="TEXT",
        help="text to continue, or - for standard input; give it again for more than one "
        "(default: a new line)",
    )
    parser.add_argument(
        "--max-new-tokens", type=int, default=200, metavar="N", help="how many tokens to add (200)"
    )
    parser.add_argument(
        "--samples", type=int, default=1, metavar="N", help="how many texts for each prompt (1)"
    )
    parser.add_argument(
        "--stop",
        action="append",
        default=[],
        metavar="TEXT",
        help="end before this text, where \\n is a new line; give it again for more than one",
    )
    parser.add_argument(
        "--seed", type=_whole_number, metavar="N", help="the same choices each time"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="one line of JSON for each text: prompt, text, ids, log-probabilities, why it ended",
    )
    how = parser.add_argument_group("how a token is chosen, in this order")
    how.add_argument(
        "--repetition-penalty",
        type=float,
        default=1.0,
        metavar="X",
        help="above 1, what was said already becomes less likely (1)",
    )
    how.add_argument(
        "--temperature", type=float, default=0.8, metavar="X", help="0 greedy, 1 as learned (0.8)"
    )
    how.add_argument("--top-k", type=int, metavar="K", help="choose among the K likeliest")
    how.add_argument("--top-p", type=float, metavar="P", help="among the likeliest that sum to P")
    how.add_argument(
        "--min-p", type=float, metavar="P", help="among those at least P times the likeliest"
    )


def _eval(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "eval",
        commands.evaluate,
        "measure a model's loss on the validation part of its text, or on another text",
        "runs/demo\nruns/demo --data my-text.txt\ngpt2 --data my-text.txt --stride 512",
    )
    parser.add_argument("model", help=MODEL)
    parser.add_argument(
        "--data", nargs="+", metavar="TEXT", help="another text, all of it (see train --help)"
    )
    parser.add_argument(
        "--stride",
        type=int,
        metavar="N",
        help="let windows overlap, and move on by N tokens each time: every token then sees more "
        "of what stands before it, and it takes longer (none: windows one after another)",
    )


def _prepare(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "prepare",
        commands.prepare,
        "make token files of texts of any size, to train on with little memory",
        "books/ -o data\n"
        "books/*.txt.gz --vocab-size 8192 -o data\n"
        "stories.jsonl --field story --tokenizer gpt2/tokenizer.json -o data",
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="text (one document each), .jsonl (one a line), both also as .gz, .parquet (one a "
        "row), folders of such, and patterns",
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="FOLDER",
        help="where train.bin, val.bin and tokenizer.json go; stopped, the same command goes on",
    )  # fmt: skip
    parser.add_argument(
        "--tokenizer",
        default="bpe",
        metavar="T",
        help="bpe, char or word, to be trained; or a tokenizer.json or its folder (bpe)",
    )
    parser.add_argument("--vocab-size", type=int, metavar="N", help="its size (1024 for bpe)")
    parser.add_argument(
        "--val-fraction",
        type=float,
        default=0.1,
        metavar="X",
        help="how much of the text, its end, is for validation (0.1)",
    )
    parser.add_argument(
        "--field",
        default="text",
        metavar="NAME",
        help="field of .jsonl or column of .parquet that has the text (text)",
    )
    parser.add_argument(
        "--processes", type=_whole_number, default=0, metavar="N", help="how many work (one a core)"
    )


def _tokenize(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "tokenize",
        commands.tokenize,
        "show the pieces tokenizers cut a text into, side by side",
        '"my dear friend"\n"my dear friend" --data my-text.txt --vocab-size 1000\n'
        '"my dear friend" --tokenizer runs/demo bpe char',
    )
    parser.add_argument("text", help="text to cut, or - for standard input")
    parser.add_argument(
        "--tokenizer",
        nargs="+",
        default=["bpe", "word", "char"],
        metavar="T",
        help="bpe, word, char (trained on --data), or a tokenizer.json or its folder "
        "(bpe word char)",
    )
    parser.add_argument(
        "--data", nargs="+", default=["plays"], metavar="TEXT", help="text to train them on (plays)"
    )
    parser.add_argument("--vocab-size", type=int, metavar="N", help="their size (1024 for bpe)")


def _explore(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "explore",
        commands.explore,
        "open a page in the browser that shows what a model does while one types",
        "runs/demo\nruns/demo gpt2 --port 9000 --no-browser",
    )
    parser.add_argument(
        "models", nargs="+", metavar="MODEL", help=f"{MODEL}; of a run, its checkpoints too"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (127.0.0.1)"
    )
    parser.add_argument(
        "--port", type=_whole_number, metavar="N", help="port, or the next that is free (8100)"
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the address")


def _check(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "check",
        commands.check,
        "prove that each gradient is right, and softmax, mask, cache, files and tokenizers",
        "\nruns/demo",
    )
    parser.add_argument("model", nargs="?", help=f"{MODEL}; without one, a new one, very small")
    parser.add_argument(
        "--seed",
        type=_whole_number,
        default=0,
        metavar="N",
        help="where its weights and inputs come from (0)",
    )


def _fetch(subparsers: Any) -> None:
    parser = _command(
        subparsers,
        "fetch",
        commands.fetch,
        "download a well-known text, once, into the user's cache",
        "shakespeare",
    )
    parser.add_argument("name", help="shakespeare")


def _whole_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, got {text!r}")
    return int(text)
