"""A run is a folder: a model that others can open, and beside it how it came to be.

    config.json, model.safetensors, tokenizer.json …    see `minigpt.checkpoint`
    training.json                 all settings, the seed, the version, how far it is
    training_state.safetensors    what the optimizer remembers
    metrics.jsonl                 one line for each step
    layers.jsonl                  gradients and updates by layer, ten times between evaluations
    samples.txt                   what the model wrote while it learned
    checkpoint-250/, …            all of these but for the last three, as they were after step 250

With these, training goes on where it stopped, to the bit; see `minigpt.runs.checkpoints`.
"""

from minigpt.runs.keeper import RunNotWritten
from minigpt.runs.run import Run

__all__ = ["Run", "RunNotWritten"]
