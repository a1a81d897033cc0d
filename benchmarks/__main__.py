"""Run benchmarks: `python -m benchmarks NAME`; `--quick` only tests that they run."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from benchmarks import machine, page
from benchmarks.configurations import ALL
from benchmarks.options import Options
from benchmarks.report import save, show

NAMES = {
    "training": "training step: against PyTorch, and against the rate of matrix products",
    "profile": "training step: time of each kind of work",
    "memory": "training step: peak memory against PyTorch",
    "scaling": "training step: time against length, width, depth and batch",
    "processes": "training on several processes (MPI) against threads",
    "generation": "generation against transformers, and against memory bandwidth",
    "tokenizers": "training and encoding against tokenizers and tiktoken; worst cases",
    "startup": "import, --help, size on disk, time to the first token",
}
FOLDER = Path(__file__).resolve().parent


def main() -> int:
    """Run the benchmarks of the command line, and return the exit code."""
    args = _parse()
    if sys.platform == "win32":
        print("benchmarks: memory can only be measured on Linux and macOS", file=sys.stderr)
        return 1
    try:
        _measure(args)
    except ModuleNotFoundError as error:
        print(f"benchmarks: {error}; install the extra: pip install -e '.[bench]'", file=sys.stderr)
        return 1
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    return 0


def _measure(args: argparse.Namespace) -> None:
    """Measure, print the tables, and save them."""
    names = list(NAMES) if args.name == "all" else [args.name]
    console = Console(width=None if sys.stdout.isatty() else 120)
    with machine.threads(args.threads) as n_threads:
        out = args.out or (Path("build/benchmarks") if args.quick else FOLDER / "results")
        plots = args.plots or (out if args.quick else FOLDER.parent / "docs")
        options = Options(args.rounds, n_threads, args.quick, out, plots, args.only)
        for name in names:
            began = time.perf_counter()
            tables = importlib.import_module(f"benchmarks.{name}").run(options)
            for table in tables:
                show(table, console)
            save(
                out / f"{name}.json",
                name,
                tables,
                quick=args.quick,
                seconds=round(time.perf_counter() - began, 1),
                machine=machine.describe(n_threads),
            )
        if out == FOLDER / "results":
            page.fill(FOLDER.parent / "docs" / "performance.md", out)


def _parse() -> argparse.Namespace:
    lines = "\n".join(f"  {name:<12}{what}" for name, what in NAMES.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure miniGPT against its peers and against the limits of the machine.",
        epilog=f"what to measure:\n{lines}\n  all         all of these, an hour or more",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", choices=[*NAMES, "all"], metavar="NAME", help="what to measure")
    parser.add_argument(
        "--rounds",
        type=_count,
        default=0,
        metavar="N",
        help="rounds of each comparison (10, or 5 if slow)",
    )
    parser.add_argument(
        "--threads", type=_count, default=0, metavar="N", help="threads for both sides (all cores)"
    )
    parser.add_argument(
        "--only", nargs="+", choices=ALL, default=list(ALL), metavar="C",
        help=f"configurations for training and memory ({' '.join(ALL)})",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, only to test that it runs"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="folder for JSON (benchmarks/results)"
    )
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="folder for pictures (docs)")
    return parser.parse_args()


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {count}")
    return count


if __name__ == "__main__":
    sys.exit(main())
