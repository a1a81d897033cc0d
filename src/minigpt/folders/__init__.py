"""A model on disk: Hugging Face's GPT-2 folders and safetensors files.

Importing this package gives `miniGPT` its methods `save_pretrained` and `from_pretrained`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.model import miniGPT

if TYPE_CHECKING:
    from minigpt.text.tokenizers import Tokenizer


def save_pretrained(self: miniGPT, folder: str | Path, tokenizer: Tokenizer | None = None) -> None:
    """Write a Hugging Face GPT-2 folder: see `minigpt.folders.pretrained.save_pretrained`."""
    from minigpt.folders import pretrained

    pretrained.save_pretrained(self, folder, tokenizer)


def from_pretrained(cls: type[miniGPT], folder: str | Path, dtype: Any = np.float32) -> miniGPT:
    """Read a Hugging Face GPT-2 folder: see `minigpt.folders.pretrained.load_pretrained`."""
    from minigpt.folders import pretrained

    return pretrained.load_pretrained(folder, dtype, cls)


miniGPT.save_pretrained = save_pretrained
miniGPT.from_pretrained = classmethod(from_pretrained)  # type: ignore[assignment]
