"""Training on many machines: each process trains on its part of the batch, gradients are summed.

    mpiexec -n 4 minigpt train …

starts four processes, on one machine or on several. MPI, through mpi4py, carries what they tell
each other. Each has all of the model, takes its own rows of the same batch, and after the sum the
same step as all others, so that their weights stay the same to the bit.

Without mpiexec there is a `World` of one process, and nothing of MPI is imported.
"""

from __future__ import annotations

import os
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from minigpt.core.functional import Array
from minigpt.fast.threads import available_cores

Value = TypeVar("Value")

LAUNCHERS = (  # variables by which a process knows that mpiexec started it
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI, Microsoft MPI, Slurm
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
)


class World:
    """The processes that train one model together. This one consists of a single process.

    Attributes
    ----------
    rank : number of this process, from 0. Only the first reports and saves.
    size : how many there are.
    threads : how many threads this process shall use; 0 for one a core.
    """

    rank = 0
    size = 1
    threads = 0

    def part(self, n_rows: int) -> slice:
        """Return this process's rows of a batch."""
        return slice(n_rows * self.rank // self.size, n_rows * (self.rank + 1) // self.size)

    def add_up(self, grads: Array, loss: float) -> float:
        """Sum `grads`, in place, and `loss` over all processes; all get the same to the bit."""
        return loss

    def from_first(self, value: Value) -> Value:
        """Return, in every process, what the first one brings."""
        return value

    def any(self, wish: bool) -> bool:
        """Return, in every process, whether one of them brings True."""
        return wish

    def gather(self, value: Value) -> list[Value]:
        """Return what each process brings, in the order of their ranks, to all of them."""
        return [value]

    def check_batch(self, batch_size: int) -> None:
        """Raise ValueError unless each process gets a row of the batch."""
        if batch_size < self.size:
            raise ValueError(
                f"batch_size is {batch_size}, but {self.size} processes share the batch: give each "
                "at least one row, by a larger batch_size or fewer processes"
            )

    def check_command(self, command: str) -> None:
        """Raise RuntimeError unless all processes have the same command to do."""

    def check_same(self, params: Array) -> None:
        """Raise RuntimeError unless the weights of all processes are the same to the bit."""


ALONE = World()


class Processes(World):
    """Those that mpiexec has started; all of them call the same methods in the same order.

    Sums go by `MPI_Allreduce`. The standard asks that all processes get identical results, and
    recommends that the same numbers, in the same places, give the same result each time.
    Source: MPI 4.0, sections 6.9.1 and 6.9.6.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI
        from threadpoolctl import threadpool_limits

        self._mpi, self._comm = MPI, comm
        self.rank, self.size = comm.rank, comm.size
        here = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.threads = _share_of_cores(here.allgather(_processors()), here.rank)
        # Also what is not trained, such as an evaluation, keeps to this share of the cores.
        threadpool_limits(self.threads, user_api="blas")
        sys.excepthook = self._end_all

    def add_up(self, grads: Array, loss: float) -> float:
        """See `World`: one all-reduce of the flat gradient."""
        with self._asking():
            self._comm.Allreduce(self._mpi.IN_PLACE, grads)
            return float(self._comm.allreduce(loss))

    def from_first(self, value: Value) -> Value:
        """See `World`."""
        with self._asking():
            return self._comm.bcast(value)

    def any(self, wish: bool) -> bool:
        """See `World`."""
        with self._asking():
            return bool(self._comm.allreduce(wish, self._mpi.LOR))

    def gather(self, value: Value) -> list[Value]:
        """See `World`."""
        with self._asking():
            return list(self._comm.allgather(value))

    def check_same(self, params: Array) -> None:
        """See `World`."""
        with self._asking():
            sums = self._comm.allgather(zlib.crc32(params.data))
        if len(set(sums)) > 1:
            raise RuntimeError(
                "the weights of the processes are no longer the same, as if a machine had "
                f"miscalculated (checksums {sums}): go on from the last save, with the same "
                "version of NumPy, and processors of one kind, on all machines"
            )

    def check_command(self, command: str) -> None:
        """See `World`."""
        with self._asking():
            commands = self._comm.allgather(command)
        for rank, other in enumerate(commands):
            if other != commands[0]:
                raise RuntimeError(
                    "all processes need the same command, but process 0 has the command "
                    f"{commands[0]!r}, and process {rank} {other!r}"
                )

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except self._mpi.Exception as error:  # mostly, mpiexec is the first to notice
            what = str(error).splitlines()[0]
            raise RuntimeError(
                f"another process does not answer any more ({what}): if it was killed, or its "
                "machine has stopped, go on from the last save by --resume"
            ) from None

    def end(self, code: int) -> None:
        """End all processes, which would wait for this one for ever, and this one too."""
        sys.stderr.flush()
        time.sleep(0.5)  # mpiexec passes on what was said; once the job is over, no more
        self._comm.Abort(code)

    def _end_all(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        sys.__excepthook__(kind, error, trace)
        self.end(1)


def _processors() -> list[int] | None:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _share_of_cores(processors: list[list[int] | None], index: int) -> int:
    """Divide cores by the processes that have the same; a launcher may give each its own."""
    return max(1, available_cores() // processors.count(processors[index]))


_world: World | None = None


def world() -> World:
    """Return the world that this process belongs to.

    Raises
    ------
    RuntimeError
        If mpiexec started it, but mpi4py is missing or is made for another MPI.
    """
    global _world
    if _world is None:
        _, size = _launched()
        _world = ALONE if size == 1 else _join(size)
    return _world


def _launched() -> tuple[int, int]:
    """Return the rank of this process and how many mpiexec started, (0, 1) without it."""
    for rank, size in LAUNCHERS:
        if rank in os.environ and size in os.environ:
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


def _join(size: int) -> World:
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # the latter: mpi4py without an MPI
        raise RuntimeError(
            f"mpiexec started {size} processes, which need mpi4py to train together ({error}): "
            "pip install 'minigpt-numpy[mpi]'"
        ) from None
    if MPI.COMM_WORLD.size != size:
        raise RuntimeError(
            f"mpiexec started {size} processes, but mpi4py sees {MPI.COMM_WORLD.size}: it goes "
            f"with another MPI. Use the mpiexec in {Path(sys.executable).parent}"
        )
    return Processes(MPI.COMM_WORLD)


@contextmanager
def only_the_first_speaks() -> Iterator[None]:
    """Join the world; within the block, what all but the first process print is dropped."""
    if world().rank == 0:
        yield
        return
    with (
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
    ):
        yield


def leave(code: int, sentence: str = "") -> int:
    """Say what is wrong and give the exit code; where others train along, end them too."""
    rank, size = _launched()
    who = "minigpt" if rank == 0 else f"minigpt, process {rank} of 0 to {size - 1}"
    if rank > 0:
        # What is wrong everywhere the first process tells, and ends this one while it waits.
        time.sleep(2)
    if sentence and (rank == 0 or _world is not None):
        print(f"{who}: {sentence}", file=sys.stderr, flush=True)
    if isinstance(_world, Processes):
        _world.end(code)
    return code
