"""The machine and versions behind the results, and the number of threads of each side."""

from __future__ import annotations

import datetime
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from minigpt.fast.threads import available_cores

PACKAGES = ("minigpt-numpy", "numpy", "torch", "transformers", "tokenizers", "tiktoken")


@contextmanager
def threads(n: int) -> Iterator[int]:
    """Limit both sides to `n` threads (0: one per core) in a `with` block, and yield the number.

    Enter it before the libraries start their threads: some read the environment only then.
    """
    n = n or available_cores()
    os.environ["RAYON_NUM_THREADS"] = str(n)  # Hugging Face tokenizers
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    os.environ["OMP_NUM_THREADS"] = str(n)  # for child processes
    os.environ["OPENBLAS_NUM_THREADS"] = str(n)
    import numpy as np  # noqa: F401  loads BLAS
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(n)
    with threadpool_limits(n):
        yield n


def describe(n_threads: int) -> dict[str, Any]:
    """Return the facts needed to compare results with those of another machine."""
    from threadpoolctl import threadpool_info

    pools = [
        {key: pool.get(key) for key in ("user_api", "internal_api", "version", "architecture")}
        | {"threads": pool["num_threads"]}
        for pool in threadpool_info()
    ]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": available_cores(),
        "memory_gib": _memory_gib(),
        "threads": n_threads,
        "python": sys.version.split()[0],
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "thread_pools": pools,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    """Return the name of the processor; on Linux, `platform` does not know it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):  # Windows
        return None
