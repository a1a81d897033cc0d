"""A parser of command lines with better messages than argparse's, and shared flags."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from minigpt.commands.command_table import COMMANDS
from minigpt.support.terminal import say

MODEL = "model folder or run folder, or gpt2, gpt2-medium, gpt2-large, gpt2-xl, distilgpt2"

FLAGS_OF_OTHER_PROGRAMS = {
    "--lr": "--learning-rate",
    "--min-lr": "--final-learning-rate",
    "--epochs": "--steps",
    "--iters": "--steps",
    "--max-iters": "--steps",
    "--max-steps": "--steps",
    "--context": "--block-size",
    "--seq-len": "--block-size",
    "--grad-clip": "--clip",
    "--resume-from": "--resume",
    "--input": "--data",
    "--length": "--max-new-tokens",
    "--max-tokens": "--max-new-tokens",
    "--num-samples": "--samples",
}
"""Flags as other programs call them, and our names for them."""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Wraps the description to the width of the terminal, and keeps the lines of the examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else textwrap.fill(text, width)


class Parser(argparse.ArgumentParser):
    """Accepts only full names of flags, and suggests the nearest name for an unknown one.

    A text may begin with a dash: `--prompt -hello`, `tokenize -hello`. argparse alone would read
    it as a flag.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=Formatter, **options)

    def error(self, message: str) -> NoReturn:
        """Print the error in three lines, without argparse's list of all flags, and exit."""
        try:
            self.exit(
                2, f"{self.prog}: {message}\n{self.format_usage()}For help: {self.prog} --help\n"
            )
        except SystemExit as end:
            end.add_note(
                f"{self.prog}: {message}"
            )  # for other processes, see `minigpt.fast.machines`
            raise

    def _print_message(self, message: str, file: Any = None) -> None:
        file.write(message)  # argparse would ignore an OSError

    def format_usage(self) -> str:
        """Return one line with the required arguments."""
        return f"usage: {self._usage_line()}\n"

    def format_help(self) -> str:
        """Return the help, with the same line of usage; the flags are explained below it."""
        self.usage = self._usage_line()
        return super().format_help()

    def _usage_line(self) -> str:
        needed = [action for action in self._get_optional_actions() if action.required]
        formatter = Formatter(self.prog, width=200)
        formatter.add_usage(None, [*needed, *self._get_positional_actions()], [])
        return f"{formatter.format_help().removeprefix('usage: ').strip()} [flags]"

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str], namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse `args`; an unknown flag is reported before any other error."""
        return super().parse_known_args(self._marked(args), namespace)

    def _marked(self, args: Sequence[str]) -> list[str]:
        """Return `args` with values that begin with a dash written as --flag=-x or after `--`."""
        marked: list[str] = []
        dashed: list[str] = []
        n_plain, i, in_list = 0, 0, False
        while i < len(args) and args[i] != "--":
            arg = args[i]
            if (flag := self._flag(arg)) is not None:
                in_list = flag.nargs == "+"
                if flag.nargs is None and "=" not in arg and i + 1 < len(args):
                    i, value = i + 1, args[i + 1]
                    if value == "--" or self._flag(value) is not None:
                        self.error(f"{arg} needs a value; if it is {value!r}, write {arg}={value}")
                    arg = f"{arg}={value}"
            elif arg[:1] == "-" and arg != "-":
                dashed.append(arg)
            elif self._subparsers is not None:
                break  # the rest belongs to the command
            else:
                n_plain += not in_list
            marked.append(arg)
            i += 1
        positionals = self._get_positional_actions()
        has_room = n_plain == len(positionals) - 1 and "text" in [each.dest for each in positionals]
        if has_room and len(dashed) == 1 and i == len(args):
            marked.remove(dashed[0])
            return [*marked, "--", dashed[0]]
        for arg in dashed:
            short = self._flag(arg[:2])
            if short is None or short.nargs is not None:  # not of the form -oFILE
                self.error(self._unknown_flag(arg))
        return [*marked, *args[i:]]

    def _flag(self, arg: str) -> argparse.Action | None:
        return self._option_string_actions.get(arg.partition("=")[0])

    def _unknown_flag(self, arg: str) -> str:
        name = arg.partition("=")[0]
        flags = [each for each in self._option_string_actions if each[:2] == "--"]
        from minigpt.core.checks import nearest

        guess = FLAGS_OF_OTHER_PROGRAMS.get(name)
        guess = guess if guess in flags else nearest(name, flags)
        hint = f": did you mean {guess!r}?" if guess else ""
        if Path(arg).exists():
            hint += f"; for the file of that name, write ./{arg}"
        return f"unknown flag {name!r:.100}{hint}"

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        if action.option_strings and arg_strings == ["--"]:  # Python 3.11 would remove it
            return self._get_value(action, "--")
        return super()._get_values(action, arg_strings)

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError as error:
            for kind, words in (("int", "a whole number"), ("float", "a number")):
                if error.message == f"invalid {kind} value: {arg_string!r}":
                    error.message = f"must be {words}, got {arg_string!r}"
            raise

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            from minigpt.core.checks import unknown

            what = str(action.metavar or action.dest).lower()
            raise argparse.ArgumentError(None, unknown(what, str(value), action.choices))


def command(subparsers: Any, name: str, work: Any, examples: str, help: str = "") -> Parser:
    """Add a command: its name, the function that runs it, and examples.

    `help` is one line; that of the commands in `COMMANDS` stands there.
    """
    help = help or COMMANDS[name].help
    parser: Parser = subparsers.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + "."
    )
    lines = "\n".join(f"  {parser.prog} {line}".rstrip() for line in examples.splitlines())
    parser.epilog = f"examples:\n{lines}"
    parser.set_defaults(command=work, parser=parser)
    return parser


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add the flag that chooses among the checkpoints of a run."""
    parser.add_argument(
        "--checkpoint",
        default="best",
        metavar="WHICH",
        help="checkpoint of a run: best (by validation loss), last, or a number of steps (best)",
    )


def add_with(parser: Any) -> None:
    """Add the flag that builds models of a learner's layers; see `use_learner`."""
    parser.add_argument(
        "--with",
        dest="learner",
        type=Path,
        metavar="FOLDER",
        help="use the layers that you have built in the course, where they are right; runs your "
        "code, and is slower",
    )


def use_learner(args: argparse.Namespace) -> None:
    """Build models of the layers in --with, if it was given."""
    if args.learner is not None:
        from minigpt.course.in_use import use

        use(args.learner, say)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add the flags for reading texts; in `train` they are settings."""
    parser.add_argument(
        "--field",
        metavar="NAME",
        help="field of .jsonl and .json, or column of .parquet, with the text (text)",
    )
    parser.add_argument(
        "--skip-undecodable", action="store_true", help="leave out files that are not UTF-8"
    )


def add_allow_special(parser: argparse.ArgumentParser) -> None:
    """Add the flag for names of special tokens; in `train` it is a setting."""
    parser.add_argument(
        "--allow-special",
        action="store_true",
        help="read the name of a special token in the text, such as <|endoftext|>, as that token; "
        "otherwise it is ordinary text",
    )


def typed_text(text: str) -> str:
    r"""Return the text typed in a shell: \n stands for a new line, \\n for a backslash and n."""
    return re.sub(r"(\\?)\\n", lambda found: "\\n" if found[1] else "\n", text)


def with_flags(message: str, args: argparse.Namespace) -> str:
    """Return a message in which parameters are named as flags: d_model becomes --d-model.

    The checks that write these messages also serve Python, where the name is d_model. So it is in
    a file of settings: a message that begins with the path of that file stays unchanged.
    """
    if message.startswith(f"{getattr(args, 'config', None)}: "):
        return message
    for action in args.parser._actions:
        flag, name = "".join(action.option_strings[-1:]), action.dest
        if flag.startswith("--no-"):
            flag = action.option_strings[0]
        if flag == f"--{name}":  # an ordinary word: replaced only where it must be the name
            message = re.sub(rf"^(?:n_)?{name}(?= (?:must|cannot|needs|comes)\b)", flag, message)
        elif flag:
            message = re.sub(rf"(?<![\w./\\'\"-]){name}(?![\w/\\])", flag, message)
            message = message.replace(f"{flag}=", f"{flag} ")
    return message


def whole_number(text: str) -> int:
    """Return the integer that is written in `text`, 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, got {text!r}")
    return int(text)
