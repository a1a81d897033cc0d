"""`minigpt` in one of several processes that mpiexec started, with faults on request.

mpi_rank.py FOLDER FAULT ARGUMENTS…

FAULT befalls process 1: error, bug or weights at step 5, norm in all steps; or none.
"""

import os
import sys
from pathlib import Path

from minigpt.commands import cli
from minigpt.training import loop as training

folder, fault, *arguments = sys.argv[1:]
rank = int(os.environ["PMI_RANK"])
(Path(folder) / f"pid-{rank}").write_text(str(os.getpid()), encoding="utf-8")
clip_gradients, gradient_norm = training.clip_gradients, training.gradient_norm
calls = 0


def broken(grads, *rest):
    global calls
    calls += 1
    if calls == 5 and fault == "error":
        raise ValueError("a cosmic ray")
    if calls == 5 and fault == "bug":
        raise AssertionError("nobody has thought of this")
    if calls == 5 and fault == "weights":
        grads[7] += 1
    return clip_gradients(grads, *rest)


if rank == 1:
    training.clip_gradients = broken
if rank == 1 and fault == "norm":
    training.gradient_norm = lambda grads: 1.001 * gradient_norm(grads)
sys.exit(cli.main(arguments))
