"""A run is a folder: a model that others can open, and beside it how it came to be.

    config.json, model.safetensors, tokenizer.json …    see `minigpt.folders.pretrained`
    training.json                 all settings, the seed, the version, how far it is
    training_state.safetensors    what the optimizer remembers
    metrics.jsonl                 one line for each step
    layers.jsonl                  gradients and updates by layer, ten times between evaluations
    samples.txt                   what the model wrote while it learned
    checkpoint-250/, …            all of these but for the last three, as they were after step 250

The model at the top is the best so far by its loss on the validation text; the newest is in the
checkpoint with the highest number.

With these, training goes on where it stopped, to the bit; see `minigpt.runs.checkpoints`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigpt.runs.keeper import RunNotWritten
    from minigpt.runs.run import Run

__all__ = ["Run", "RunNotWritten"]


def __getattr__(name: str) -> Any:
    """Import what trains when it is first used: to open a model of a run it is not needed."""
    if name not in __all__:
        raise AttributeError(f"module 'minigpt.runs' has no attribute {name!r}")
    return getattr(import_module(f"minigpt.runs.{'run' if name == 'Run' else 'keeper'}"), name)


def __dir__() -> list[str]:
    return [*__all__]
