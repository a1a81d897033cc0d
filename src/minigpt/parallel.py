"""Several threads, one model: each takes a shard of the batch, and the gradients are added up.

While one thread waits for nothing but arithmetic, NumPy lets the others run, so all cores work on
everything: matrix products, softmax, GELU. It beats one Python thread whose matrix products alone
use all cores. The layers know nothing of it.
"""

from __future__ import annotations

import copy
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

import numpy as np

from minigpt.functional import Array

if TYPE_CHECKING:
    from minigpt.model import miniGPT


class Replicas:
    """Copies of a model that share its weights, while each has its own gradients and activations.

    Use it in a `with` block. Inside, every matrix product is done by the thread that asks for it.
    For a given number of threads the result is the same to the bit each time: shards are cut, and
    their gradients added, in a fixed order.

    Parameters
    ----------
    model : the model to train; the first of the replicas.
    n_threads : how many threads; 0 for one a core.
    """

    def __init__(self, model: miniGPT, n_threads: int = 0) -> None:
        self.model = model
        self.models = [model]
        for _ in range(1, n_threads or available_cores()):
            shared = {id(param): param for param in model.params().values()}
            replica = copy.deepcopy(model, shared)  # which copies nothing that is in `shared`
            replica.bind(model.flat.params)
            self.models.append(replica)

    def __enter__(self) -> Self:
        from threadpoolctl import threadpool_limits

        with ExitStack() as stack:
            if len(self.models) > 1:
                stack.enter_context(threadpool_limits(1, user_api="blas"))
            self.threads = stack.enter_context(ThreadPoolExecutor(len(self.models)))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def reseed(self, *seed: int) -> None:
        """Let all dropout from here on follow from `seed` alone."""
        for i, model in enumerate(self.models):
            fresh = np.random.default_rng([*seed, i])
            model.rng.bit_generator.state = fresh.bit_generator.state

    def backward(self, x: Array, y: Array) -> float:
        """Do a forward and backward pass over a batch (B, T), rows shared out among the threads.

        Returns
        -------
        The mean loss. The gradients are then those of the model, as if it had done it alone.
        """
        n = min(len(self.models), len(x))
        shards = list(zip(self.models, np.array_split(x, n), np.array_split(y, n), strict=False))
        losses = list(self.threads.map(_forward_backward, *zip(*shards, strict=True)))
        weights = [len(shard) / len(x) for _, shard, _ in shards]

        total = self.model.flat.grads
        total *= weights[0]
        for model, weight in zip(self.models[1:n], weights[1:], strict=True):
            total += weight * model.flat.grads
        return sum(loss * weight for loss, weight in zip(losses, weights, strict=True))


def _forward_backward(model: miniGPT, x: Array, y: Array) -> float:
    # Whoever asked looks at the loss, so that numbers out of range need no warning here.
    with np.errstate(over="ignore", invalid="ignore"):
        _, loss = model.forward(x, targets=y)
        model.backward()
    assert loss is not None
    return loss


def available_cores() -> int:
    """Count the processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
