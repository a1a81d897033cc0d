"""`minigpt runs` and `minigpt plot`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from minigpt.commands.parsing import command
from minigpt.support.terminal import say


def add_runs(subparsers: Any) -> None:
    """Add the command and its flags."""
    parser = command(
        subparsers,
        "runs",
        runs,
        "\nruns/ old-runs/\n--json",
    )
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="run folders, or folders that contain them (runs/)",
    )
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each run")


def add_plot(subparsers: Any) -> None:
    """Add the command and its flags."""
    parser = command(
        subparsers,
        "plot",
        plot,
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
        help="an .html file, which works offline, or a .png file (curves.html)",
    )
    how.add_argument("--text", action="store_true", help="draw in the terminal")


def runs(args: argparse.Namespace) -> int:
    """Print a table of runs."""
    from minigpt.runs.history import find_runs
    from minigpt.show.run_table import json_lines, read_runs, show_runs
    from minigpt.support.tables import stdout_console

    usual = Path("runs")
    folders = args.folders or ([usual] if usual.is_dir() else [])
    histories, wrong = read_runs(find_runs(folders))
    if args.json:
        print(json_lines(histories, wrong), end="")
    else:
        show_runs(histories, wrong, stdout_console())
    if not histories and not wrong:
        where = " ".join(f"{folder}" for folder in args.folders or [usual])
        say(f"there are no runs in {where} yet: start one with `minigpt demo` or `minigpt train`")
    return 0


def plot(args: argparse.Namespace) -> int:
    """Draw the loss curves of runs; print the path of the file, or the curves themselves."""
    from minigpt.runs.history import History

    histories = [History.read(folder) for folder in args.runs]
    if args.text:
        from minigpt.show.figures.loss_in_terminal import loss_text
        from minigpt.support.tables import stdout_console

        console = stdout_console()
        console.print(loss_text(histories, min(console.width, 100)), end="", soft_wrap=True)
        return 0
    from minigpt.show.figures.figure_file import check_ending, save_figure
    from minigpt.show.figures.loss_curves import loss_curves

    check_ending(args.out)
    save_figure(loss_curves(histories), args.out, "Loss while training")
    print(args.out)
    return 0
