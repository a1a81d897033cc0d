"""The lines of our source that compute what a picture shows."""

from __future__ import annotations

import inspect
from functools import cache
from pathlib import Path
from typing import Any

import minigpt

ROOT = Path(minigpt.__file__).parent


@cache
def sources() -> dict[str, list[dict[str, Any]]]:
    """Give name of the picture → its functions, each with file, first line and text."""
    from minigpt.analysis import logit_lens, pca, without_heads
    from minigpt.attention import Attention
    from minigpt.data import get_batch
    from minigpt.evaluation import evaluate
    from minigpt.functional import cross_entropy, cross_entropy_backward, softmax
    from minigpt.generation import stream
    from minigpt.layers import Embedding, MultiHeadAttention, TransformerBlock
    from minigpt.model import miniGPT
    from minigpt.optim import AdamW, clip_gradients, warmup_cosine
    from minigpt.runs.layer_metrics import measure_layers
    from minigpt.sampling import Sampling
    from minigpt.tokenizers.base import Tokenizer
    from minigpt.training import train, write_sample

    shown: dict[str, list[Any]] = {
        "tokens": [Tokenizer.encode, Embedding.forward],
        "attention": [MultiHeadAttention.forward, Attention.forward, without_heads],
        "lens": [logit_lens],
        "next": [softmax, Sampling.scores],
        "curve": [train, evaluate],
        "sample": [write_sample, stream],
        "embeddings": [Embedding.forward, pca],
        "layers": [measure_layers],
        "batch": [get_batch],
        "forward": [miniGPT.forward, miniGPT.hidden, TransformerBlock.forward],
        "losses": [cross_entropy],
        "backward": [cross_entropy_backward, miniGPT.hidden_backward, TransformerBlock.backward],
        "update": [clip_gradients, warmup_cosine, AdamW.step],
    }
    return {name: [_source(function) for function in of] for name, of in shown.items()}


def _source(function: Any) -> dict[str, Any]:
    lines, first = inspect.getsourcelines(function)
    path = Path(inspect.getsourcefile(function) or "").relative_to(ROOT.parent)
    return {
        "name": function.__qualname__,
        "file": path.as_posix(),
        "line": first,
        "text": inspect.cleandoc("\n" + "".join(lines)),
    }
