"""The optimizer that the settings name."""

from __future__ import annotations

from typing import TypeAlias

from minigpt.core.checks import check_known
from minigpt.core.model import miniGPT
from minigpt.core.optim import SGD, AdamW
from minigpt.training.settings import Settings

Optimizer: TypeAlias = SGD | AdamW


def optimizer_of(settings: Settings, model: miniGPT) -> Optimizer:
    """Return a new optimizer for `model`, as described by `settings`."""
    s = settings
    if check_known("optimizer", s.optimizer, ("adamw", "sgd")) == "sgd":
        return SGD(model)
    return AdamW(model, s.beta1, s.beta2, s.weight_decay)
