"""Snapshots of a model during training, as many as fit, to go back to earlier steps."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from minigpt.core.functional import Array

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.training.optimizers import Optimizer

SNAPSHOT_BYTES = 2**26
"""Bytes of all snapshots of one lesson."""


class Snapshot(NamedTuple):
    """Copies of the flat parameters and the optimizer's state; training can continue from them."""

    step: int
    params: Array
    state: dict[str, Array]

    def restore(self, model: miniGPT, optimizer: Optimizer) -> None:
        """Copy the snapshot into a model and its optimizer, exact to the bit."""
        model.flat.params[...] = self.params
        for name, value in self.state.items():
            optimizer.state[name][...] = value


class Snapshots:
    """A limited number of snapshots: some spread evenly over all steps, and the latest on request.

    When there are too many, every second of the even ones is dropped. A step in between is reached
    by training again from the snapshot before it, since its number determines its batch.

    Parameters
    ----------
    model, optimizer : the model and the optimizer to copy.
    """

    def __init__(self, model: miniGPT, optimizer: Optimizer) -> None:
        self.model, self.optimizer = model, optimizer
        size = model.flat.params.nbytes + sum(value.nbytes for value in optimizer.state.values())
        self.size = size
        most = min(64, max(6, SNAPSHOT_BYTES // size))
        self.most_even = most * 3 // 4
        self.spacing = 1
        self.even: dict[int, Snapshot] = {}
        self.latest: deque[Snapshot] = deque(maxlen=most - self.most_even)

    @property
    def n_bytes(self) -> int:
        """Bytes of all snapshots."""
        return self.size * (len(self.even) + len(self.latest))

    def take(self, step: int, on_request: bool = False) -> None:
        """Add a snapshot if the step is a multiple of the spacing, or if `on_request`."""
        if step % self.spacing == 0:
            self.even[step] = self._snapshot(step)
            if len(self.even) > self.most_even:
                self.spacing *= 2
                for each in [each for each in self.even if each % self.spacing]:
                    del self.even[each]
        elif on_request:
            self.latest.append(self._snapshot(step))

    def before(self, step: int) -> Snapshot:
        """Return the last snapshot up to `step`; there is always one of step 0."""
        found = [each for each in (*self.even.values(), *self.latest) if each.step <= step]
        return max(found, key=lambda each: each.step)

    def _snapshot(self, step: int) -> Snapshot:
        state = {name: value.copy() for name, value in self.optimizer.state.items()}
        return Snapshot(step, self.model.flat.params.copy(), state)
