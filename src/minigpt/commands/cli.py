"""The command line: parse, call, print. Results go to stdout, all else to stderr.

Without a command, it prints the help. Exit codes: 0 all well, 1 something is wrong (a sentence says
what), 2 the command makes no sense, 129 stopped by SIGHUP, 130 by Ctrl-C, 143 by SIGTERM, 141
nobody reads the results any more.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from minigpt import __version__, _assemble
from minigpt.commands.check import add_check
from minigpt.commands.evaluate import add_eval
from minigpt.commands.explain import add_explain
from minigpt.commands.explore import add_explore
from minigpt.commands.fetch import add_fetch
from minigpt.commands.generate import add_generate
from minigpt.commands.parsing import Parser, with_flags
from minigpt.commands.prepare import add_prepare
from minigpt.commands.runs import add_plot, add_runs
from minigpt.commands.tokenize import add_tokenize
from minigpt.commands.train import add_demo, add_train
from minigpt.fast import machines
from minigpt.support.terminal import error_message, safe_output

COMMANDS = (
    add_demo,
    add_train,
    add_runs,
    add_plot,
    add_generate,
    add_eval,
    add_explain,
    add_explore,
    add_prepare,
    add_tokenize,
    add_check,
    add_fetch,
)
"""In the order of --help."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # Windows' consoles still have their own; half a character is shown by number.
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    with safe_output():
        return _run(sys.argv[1:] if argv is None else argv)


def _run(argv: Sequence[str]) -> int:
    args = None
    try:
        with machines.only_rank_0_prints():
            try:
                args = _parse_together(argv)
                _assemble()
                code = int(args.command(args))
            except SystemExit as end:  # of argparse, which has said why
                code = int(end.code or 0)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        return machines.leave(130)
    except BrokenPipeError:  # whoever read our output has seen enough
        return machines.leave(141)
    except (ValueError, TypeError, OSError, ArithmeticError, RuntimeError, ImportError) as error:
        message = error_message(error)
        return machines.leave(1, with_flags(message, args) if args else message)
    except MemoryError as error:
        return machines.leave(1, f"there is not enough memory for this: {error}")
    except Exception:  # nobody has thought of it: a fault of ours
        sys.excepthook(*sys.exc_info())
        return 1


def _parse_together(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; if other processes train along, see that theirs is of this kind.

    Whoever leaves here would keep them waiting for ever.
    """
    world = machines.world()
    try:
        args = _parse(argv)
    except SystemExit as end:
        world.check_command(" ".join(getattr(end, "__notes__", ["--help"])))
        raise
    world.check_command(args.command.__name__)
    return args


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        prog="minigpt",
        description="GPT from scratch in NumPy: train a language model on your text, "
        "let it write, look at its tokens.",
        epilog="Start with:  minigpt demo",
    )
    parser.add_argument("--version", action="version", version=f"minigpt {__version__}")
    parser.set_defaults(command=_help, parser=parser)
    subparsers = parser.add_subparsers(metavar="COMMAND")
    for add in COMMANDS:
        add(subparsers)
    args, rest = parser.parse_known_args(argv)
    if rest:
        takes_texts = "--data" in args.parser._option_string_actions
        is_text = takes_texts and Path(rest[0]).exists()
        hint = f": did you mean --data {rest[0]}?" if is_text else ""
        args.parser.error(f"unexpected argument {rest[0]!r}{hint}")
    return args


def _help(args: argparse.Namespace) -> int:
    args.parser.print_help()
    return 0
