"""The command line: parse, call, print. Results go to stdout, everything else to stderr.

Without a command, it prints the help. Exit codes:

0 success; 1 an error, explained in one sentence; 2 a wrong command line; 129 stopped by SIGHUP;
130 stopped by Ctrl-C; 141 the reader of stdout has closed it; 143 stopped by SIGTERM.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from minigpt import __version__, _assemble
from minigpt.commands.command_table import COMMANDS
from minigpt.commands.parsing import Parser, with_flags
from minigpt.support.processes import launched
from minigpt.support.terminal import error_message, safe_output


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
        with _only_rank_0_prints():
            try:
                args = _parse_together(argv)
                _assemble()
                code = int(args.command(args))
            except SystemExit as end:  # argparse has already printed the reason
                code = int(end.code or 0)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        return _leave(130)
    except BrokenPipeError:  # the reader of our output has closed it
        return _leave(141)
    except (ValueError, TypeError, OSError, ArithmeticError, RuntimeError, ImportError) as error:
        message = error_message(error)
        return _leave(1, with_flags(message, args) if args else message)
    except MemoryError as error:
        return _leave(1, f"there is not enough memory for this: {error}")
    except Exception:  # unexpected, so it is our fault: show the traceback
        sys.excepthook(*sys.exc_info())
        return 1


def _only_rank_0_prints() -> AbstractContextManager[None]:
    """Join the processes that mpiexec has started, if it has; rank 0 prints for all of them."""
    if launched() == (0, 1):
        return nullcontext()
    from minigpt.fast import machines

    return machines.only_rank_0_prints()


def _leave(code: int, sentence: str = "") -> int:
    """Print an error `sentence` and return the exit code; end the other processes, if any."""
    if launched() == (0, 1):
        if sentence:
            print(f"minigpt: {sentence}", file=sys.stderr, flush=True)
        return code
    from minigpt.fast import machines

    return machines.leave(code, sentence)


def _parse_together(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line, and check that all processes of this training run the same command.

    A process that left without this check would keep the others waiting for ever.
    """
    if launched() == (0, 1):
        return _parse(argv)
    from minigpt.fast.machines import world

    try:
        args = _parse(argv)
    except SystemExit as end:
        world().check_command(" ".join(getattr(end, "__notes__", ["--help"])))
        raise
    world().check_command(args.command.__name__)
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
    chosen = next((each for each in argv if not each.startswith("-")), None)
    for name, entry in COMMANDS.items():
        if name == chosen:
            module = importlib.import_module(f"minigpt.commands.{entry.module}")
            getattr(module, f"add_{name}")(subparsers)
        else:  # named in --help; its module need not be imported
            subparsers.add_parser(name, help=entry.help)
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
