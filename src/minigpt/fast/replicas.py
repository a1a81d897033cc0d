"""A training step on several threads: the batch is cut, or the matrix products are.

Cut the batch, and each thread takes a shard of it through a replica of the model; the gradients are
added up. While one thread waits for nothing but arithmetic, NumPy lets the others run, so all cores
work on everything: matrix products, softmax, GELU. In a narrow model that beats one Python thread
whose matrix products alone use all cores.

In a wide model nearly all of the time goes to matrix products anyway. There they are cut instead,
and it takes no second array of gradients. The layers know nothing of it.
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
"""From this d_model on, the matrix products are cut in place of the batch. GPT-2's step on 4 × 64
tokens then takes a third less memory beyond the weights'. A narrower model is faster the other way,
by a sixth at d_model 512."""

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h


class Replicas(Threads):
    """Copies of a model that share its weights, while each has its own gradients and activations.

    Use it in a `with` block; inside, what goes through `share_out` is shared out among the threads.
    For a given number of threads the result is the same to the bit each time: shards are cut, and
    their gradients added, in a fixed order.

    Parameters
    ----------
    model : the model to train; the first of the replicas.
    n_threads : how many threads; 0 for one a core.
    """

    def __init__(self, model: miniGPT, n_threads: int = 0) -> None:
        check_model(model)
        check_threads(n_threads=n_threads)
        super().__init__(n_threads or available_cores())
        self.model = model
        self.models = [model]
        for _ in range(1, self.n if model.d_model < WIDE_D_MODEL else 1):
            shared = {id(param): param for param in model.params().values()}
            replica = copy.deepcopy(model, shared)  # which copies nothing that is in `shared`
            replica.flat = lay_flat(replica, model.flat.params)
            self.models.append(replica)

    def __enter__(self) -> Self:
        _keep_freed_memory()
        return super().__enter__()

    def reseed(self, *seed: int) -> None:
        """Seed all dropout from here on."""
        for i, model in enumerate(self.models):
            fresh = np.random.default_rng([*seed, i])
            model.rng.bit_generator.state = fresh.bit_generator.state

    def learn(self, x: Array, y: Array, weight: float = 1.0) -> float:
        """Do a forward and backward pass over a batch (B, T), rows shared out among the threads.

        Returns
        -------
        `weight` times the mean loss. Its gradients are then those of the model, as if it had
        done it alone.
        """
        if len(x) != len(y):
            raise ValueError(f"x and y must have as many rows, got {len(x)} and {len(y)}")
        n = min(len(self.models), len(x))
        if n <= 1:  # also of a batch of one row, which cannot be cut
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
    """Keep the memory of freed arrays for those of the next step, where the C library is glibc.

    It gives large arrays back to the system, which clears them before they come again: of a step
    of a small model, that takes a sixth of the time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_MMAP_THRESHOLD, 2**25)  # the most that it takes: larger ones go back still


def _forward_backward(model: miniGPT, x: Array, y: Array, weight: float) -> float:
    """Write the gradients of `weight` times the loss, and return that.

    The pass is that of a twin, which other threads cannot disturb.
    """
    model = twin(model).train()
    # Whoever asked looks at the loss, so that numbers out of range need no warning here.
    with np.errstate(over="ignore", invalid="ignore"):
        return model.learn(x, y, weight)
