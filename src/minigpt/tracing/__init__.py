"""Everything a model computes on one text, to look at: see `trace`.

Read `activations` for what there is, `record` for how it is taken, `walk` for how it is told in
words, `file` for how it is kept.
"""

from minigpt.tracing.activations import Activations, BlockActivations, Target, Trace
from minigpt.tracing.record import trace

__all__ = ["Activations", "BlockActivations", "Target", "Trace", "trace"]
