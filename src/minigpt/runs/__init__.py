"""A run is a folder: a model that other programs can open, and the record of its training.

    config.json, model.safetensors, tokenizer.json …    see `minigpt.folders.pretrained`
    training.json                 all settings, the seed, the version, how far the run is
    training_state.safetensors    the state of the optimizer
    metrics.jsonl                 one line for each step
    layers.jsonl                  gradients and updates by layer, ten times between evaluations
    samples.txt                   what the model wrote while it learned
    checkpoint-250/, …            all of these except the last three, as they were after step 250

The model in the run folder is the one with the lowest validation loss so far; the newest model is
in the checkpoint with the highest number.

With these files, training continues where it stopped, to the bit; see `minigpt.runs.checkpoints`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigpt.runs.keeper import RunNotWritten
    from minigpt.runs.run import Run

__all__ = ["Run", "RunNotWritten"]


def __getattr__(name: str) -> Any:
    """Import the training code when it is first used: opening a model does not need it."""
    if name not in __all__:
        raise AttributeError(f"module 'minigpt.runs' has no attribute {name!r}")
    return getattr(import_module(f"minigpt.runs.{'run' if name == 'Run' else 'keeper'}"), name)


def __dir__() -> list[str]:
    return [*__all__]
