"""The command line: parse, call, print. Results go to stdout, everything else to stderr.

Without a command, it prints the help. Exit codes:

0 success; 1 an error, explained in one sentence; 2 a wrong command line; 129 stopped by SIGHUP;
130 stopped by Ctrl-C; 141 the reader of stdout has closed it; 143 stopped by SIGTERM.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from minigpt import __version__, _assemble
from minigpt.commands.check import add_check
from minigpt.commands.course import add_course
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
    add_course,
    add_fetch,
)
"""The order in which --help lists them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # The default encoding on Windows is not UTF-8. Half a character is shown as \udc80.
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
            except SystemExit as end:  # argparse has already printed the reason
                code = int(end.code or 0)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        return machines.leave(130)
    except BrokenPipeError:  # the reader of our output has closed it
        return machines.leave(141)
    except (ValueError, TypeError, OSError, ArithmeticError, RuntimeError, ImportError) as error:
        message = error_message(error)
        return machines.leave(1, with_flags(message, args) if args else message)
    except MemoryError as error:
        return machines.leave(1, f"there is not enough memory for this: {error}")
    except Exception:  # unexpected, so it is our fault: show the traceback
        sys.excepthook(*sys.exc_info())
        return 1


def _parse_together(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line, and check that all processes of this training run the same command.

    A process that left without this check would keep the others waiting for ever.
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
        "let it write, and look inside.",
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
