"""A training step on several threads, which divide either the batch or the matrix products.

In a narrow model, the batch is divided: each thread passes a shard of it through a replica of the
model, and the gradients are added. NumPy lets other threads run while it computes, so all cores
work on everything: matrix products, softmax, GELU. This is faster than a single Python thread in
which only the matrix products use all cores.

In a wide model, nearly all time goes into matrix products anyway. There each product is divided
instead, which needs no second array of gradients. The layers do not notice either way.
"""

from __future__ import annotations

import copy
import ctypes
import sys
from typing import TYPE_CHECKING, Self

import numpy as np

from minigpt.core.checks import check_threads
from minigpt.core.checks_model import check_model
from minigpt.core.functional import Array
from minigpt.core.layers import twin
from minigpt.core.model import lay_flat
from minigpt.fast.threads import Threads, available_cores, one_thread_of_blas, share_out

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT

WIDE_D_MODEL = 768
"""From this d_model on, matrix products are divided instead of the batch. A step of GPT-2 on 4 × 64
tokens then needs a third less memory, not counting the weights. Narrower models are faster with a
divided batch, by a sixth at d_model 512."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h


class Replicas(Threads):
    """Copies of a model that share its weights, while each has its own gradients and activations.

    Use it in a `with` block, in which `share_out` also uses these threads. For a given number of
    threads, the results are the same to the bit each time: the batch is divided, and the gradients
    are added, in a fixed order.

    Parameters
    ----------
    model : the model to train, which is the first replica.
    n_threads : number of threads; 0 for one per core.
    """

    def __init__(self, model: miniGPT, n_threads: int = 0) -> None:
        check_model(model)
        check_threads(n_threads=n_threads)
        super().__init__(n_threads or available_cores())
        self.model = model
        self.models = [model]
        for _ in range(1, self.n if model.d_model < WIDE_D_MODEL else 1):
            shared = {id(param): param for param in model.params().values()}
            replica = copy.deepcopy(model, shared)  # does not copy what is in `shared`
            replica.flat = lay_flat(replica, model.flat.params)
            self.models.append(replica)

    def __enter__(self) -> Self:
        _keep_freed_memory()
        return super().__enter__()

    def reseed(self, *seed: int) -> None:
        """Seed the dropout of all replicas."""
        for i, model in enumerate(self.models):
            fresh = np.random.default_rng([*seed, i])
            model.rng.bit_generator.state = fresh.bit_generator.state

    def learn(self, x: Array, y: Array, weight: float = 1.0) -> float:
        """Run the forward and backward pass of a batch (B, T), its rows divided among the threads.

        Returns
        -------
        `weight` times the mean loss. The model's gradients are then those of this number, as if no
        other replica existed.
        """
        if len(x) != len(y):
            raise ValueError(
                f"x and y must have the same number of rows, got {len(x)} and {len(y)}"
            )
        n = min(len(self.models), len(x))
        if n <= 1:  # or a batch of one row, which cannot be divided
            with one_thread_of_blas():
                return _forward_backward(self.model, x, y, weight)
        shards = [
            (model, x_part, y_part, weight * len(x_part) / len(x))
            for model, x_part, y_part in zip(
                self.models, np.array_split(x, n), np.array_split(y, n), strict=False
            )
        ]
        losses = self.map(lambda shard: _forward_backward(*shard), shards)
        others = [model.flat.grads for model in self.models[1:n]]

        def add_up(part: slice) -> None:
            for grads in others:
                self.model.flat.grads[part] += grads[part]

        share_out(add_up, self.model.flat.grads.size)
        return sum(losses)


def _keep_freed_memory() -> None:
    """Keep the memory of freed arrays for the next step, if the C library is glibc.

    By default, glibc returns large arrays to the system, which fills their memory with zeros before
    it is used again. In a small model, this takes a sixth of the time of a step.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_MMAP_THRESHOLD, 2**25)  # the maximum: larger arrays are still returned


def _forward_backward(model: miniGPT, x: Array, y: Array, weight: float) -> float:
    """Write the gradients of `weight` times the loss, and return this number.

    A twin of the model runs the pass, so that other threads cannot disturb it.
    """
    model = twin(model).train()
    # No warnings about overflow: the caller checks the loss.
    with np.errstate(over="ignore", invalid="ignore"):
        return model.learn(x, y, weight)
