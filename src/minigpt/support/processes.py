"""What this process is and can do: one of several that mpiexec started; starting threads."""

import os
import threading

LAUNCHERS = (  # environment variables set by mpiexec: rank and number of processes
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI, Microsoft MPI, Slurm
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
)


def launched() -> tuple[int, int]:
    """Return the rank of this process and the number of processes; (0, 1) without mpiexec."""
    for rank, size in LAUNCHERS:
        if rank in os.environ and size in os.environ:
            return int(os.environ[rank]), int(os.environ[size])
    return 0, 1


def can_start_threads() -> bool:
    """Return whether this process can start a thread. WebAssembly and tight containers cannot."""
    thread = threading.Thread(target=int)
    try:
        thread.start()
    except RuntimeError:
        return False
    thread.join()
    return True
