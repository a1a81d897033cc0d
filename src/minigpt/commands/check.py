"""`minigpt check`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minigpt.commands.output import choose_model
from minigpt.commands.parsing import MODEL, add_checkpoint, command, whole_number
from minigpt.support.terminal import console, log_progress


def add_check(subparsers: Any) -> None:
    """Add the command and its flags."""
    parser = command(
        subparsers,
        "check",
        check,
        "\nruns/demo",
    )
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help=f"{MODEL}; if left out, a new, tiny model"
    )
    add_checkpoint(parser)
    parser.add_argument(
        "--seed",
        type=whole_number,
        default=0,
        metavar="N",
        help="seed of the new model's weights and of all inputs (0)",
    )


def check(args: argparse.Namespace) -> int:
    """Print a table of proofs; return 1 if one of them fails."""
    from minigpt.check.proof import check_folder, check_new_model
    from minigpt.check.verdict import show
    from minigpt.support.processes import can_start_threads
    from minigpt.support.tables import stdout_console

    if args.model and Path(args.model).suffix == ".py":
        raise ValueError(
            f"check opens model folders, but {args.model} is a program. To check a layer of your "
            "own, call minigpt.check_gradients(layer, x) in that program"
        )
    if args.model:
        checks = check_folder(choose_model(args.model, args.checkpoint), args.seed)
    else:
        checks = check_new_model(args.seed)
    found = []
    stderr = console(stderr=True)
    if stderr.is_terminal and can_start_threads():  # the status line needs one
        with stderr.status("checking") as status:
            for result in checks:
                found.append(result)
                status.update(f"checked {result.name}")
    else:
        found += log_progress(checks, "checked")
    return 0 if show(found, stdout_console()) else 1
