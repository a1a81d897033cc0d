"""Training on many machines: each process computes gradients on its part of the batch.

    mpiexec -n 4 minigpt train …

starts four processes, on one machine or on several. They communicate by MPI, through mpi4py. Each
process holds the whole model and uses its own rows of the same batch. Then the gradients are
summed, and all processes take the same step, so that their weights stay the same to the bit.

Without mpiexec there is a `World` of one process, and MPI is not imported.
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
from minigpt.support.processes import launched

Value = TypeVar("Value")


class World:
    """The processes that train one model together; in this base class, a single process.

    Attributes
    ----------
    rank : number of this process, from 0. Only rank 0 reports and saves.
    size : number of processes.
    threads : number of threads for this process; 0 for one per core.
    """

    rank = 0
    size = 1
    threads = 0

    def part(self, n_rows: int) -> slice:
        """Return the rows of a batch that belong to this process."""
        return slice(n_rows * self.rank // self.size, n_rows * (self.rank + 1) // self.size)

    def all_reduce(self, grads: Array, loss: float) -> float:
        """Sum `grads` in place over all processes, and return the sum of `loss`.

        All processes get the same bits.
        """
        return loss

    def broadcast(self, value: Value) -> Value:
        """Return rank 0's `value` in every process."""
        return value

    def any(self, value: bool) -> bool:
        """Return, in every process, whether `value` is True in at least one."""
        return value

    def gather(self, value: Value) -> list[Value]:
        """Return, in every process, the values of all processes, in order of rank."""
        return [value]

    def check_batch(self, batch_size: int) -> None:
        """Raise ValueError unless each process gets at least one row of the batch."""
        if batch_size < self.size:
            raise ValueError(
                f"batch_size is {batch_size}, but {self.size} processes share the batch: give each "
                "at least one row, by a larger batch_size or fewer processes"
            )

    def check_command(self, command: str) -> None:
        """Raise RuntimeError unless all processes were given the same command."""

    def check_same(self, params: Array) -> None:
        """Raise RuntimeError unless all processes have the same weights, to the bit."""


ALONE = World()


class Processes(World):
    """Processes started by mpiexec. All of them must call the same methods in the same order.

    Sums use `MPI_Allreduce`. The standard requires that all processes get identical results, and
    recommends that the same numbers in the same places give the same result each time.
    Source: MPI 4.0, sections 6.9.1 and 6.9.6.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI
        from threadpoolctl import threadpool_limits

        self._mpi, self._comm = MPI, comm
        self.rank, self.size = comm.rank, comm.size
        here = comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.threads = _share_of_cores(here.allgather(_processors()), here.rank)
        # Work outside of training, such as evaluation, must also keep to this share of the cores.
        threadpool_limits(self.threads, user_api="blas")
        sys.excepthook = self._end_all

    def all_reduce(self, grads: Array, loss: float) -> float:
        """See `World`. The flat gradient takes one all-reduce."""
        with self._communicating():
            self._comm.Allreduce(self._mpi.IN_PLACE, grads)
            return float(self._comm.allreduce(loss))

    def broadcast(self, value: Value) -> Value:
        """See `World`."""
        with self._communicating():
            return self._comm.bcast(value)

    def any(self, value: bool) -> bool:
        """See `World`."""
        with self._communicating():
            return bool(self._comm.allreduce(value, self._mpi.LOR))

    def gather(self, value: Value) -> list[Value]:
        """See `World`."""
        with self._communicating():
            return list(self._comm.allgather(value))

    def check_same(self, params: Array) -> None:
        """See `World`."""
        with self._communicating():
            sums = self._comm.allgather(zlib.crc32(params.data))
        if len(set(sums)) > 1:
            raise RuntimeError(
                f"the processes no longer have the same weights (checksums {sums}): a machine may "
                "have computed wrongly. Continue from the last save, with the same version of "
                "NumPy and the same kind of processor on all machines"
            )

    def check_command(self, command: str) -> None:
        """See `World`."""
        with self._communicating():
            commands = self._comm.allgather(command)
        for rank, other in enumerate(commands):
            if other != commands[0]:
                raise RuntimeError(
                    "all processes need the same command, but process 0 has the command "
                    f"{commands[0]!r}, and process {rank} {other!r}"
                )

    @contextmanager
    def _communicating(self) -> Iterator[None]:
        try:
            yield
        except self._mpi.Exception as error:  # usually, mpiexec notices first
            what = str(error).splitlines()[0]
            raise RuntimeError(
                f"another process no longer answers ({what}): if it was killed, or its machine "
                "has stopped, continue from the last save with --resume"
            ) from None

    def end(self, code: int) -> None:
        """End all processes; otherwise the others would wait for this one forever."""
        sys.stderr.flush()
        time.sleep(0.5)  # mpiexec forwards output only until the job ends
        self._comm.Abort(code)

    def _end_all(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        sys.__excepthook__(kind, error, trace)
        self.end(1)


def _processors() -> list[int] | None:
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def _share_of_cores(processors: list[list[int] | None], index: int) -> int:
    """Return this process's share of the cores, which it divides with those that use the same."""
    return max(1, available_cores() // processors.count(processors[index]))


_world: World | None = None


def world() -> World:
    """Return the world that this process belongs to.

    Raises
    ------
    RuntimeError
        If mpiexec started this process, but mpi4py is missing or was built for another MPI.
    """
    global _world
    if _world is None:
        _, size = launched()
        _world = ALONE if size == 1 else _join(size)
    return _world


def _join(size: int) -> World:
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py finds no MPI
        raise RuntimeError(
            f"mpiexec started {size} processes, which need mpi4py to train together ({error}): "
            "pip install 'minigpt-numpy[mpi]'"
        ) from None
    if MPI.COMM_WORLD.size != size:
        raise RuntimeError(
            f"mpiexec started {size} processes, but mpi4py sees {MPI.COMM_WORLD.size}: it was "
            f"built for another MPI. Use the mpiexec in {Path(sys.executable).parent}"
        )
    return Processes(MPI.COMM_WORLD)


@contextmanager
def only_rank_0_prints() -> Iterator[None]:
    """Join the world. Within the block, only rank 0 prints; other output is discarded."""
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
    """Print an error `sentence` and return the exit code; end the other processes, if any."""
    rank, size = launched()
    who = "minigpt" if rank == 0 else f"minigpt, process {rank} of 0 to {size - 1}"
    if rank > 0:
        # Rank 0 reports an error that all processes share, and ends this process while it waits.
        time.sleep(2)
    if sentence and (rank == 0 or _world is not None):
        print(f"{who}: {sentence}", file=sys.stderr, flush=True)
    if isinstance(_world, Processes):
        _world.end(code)
    return code
