"""The source code that computes each picture, and pages that show its files."""

from __future__ import annotations

import html
import inspect
from functools import cache
from pathlib import Path
from typing import Any

import minigpt

ROOT = Path(minigpt.__file__).parent


@cache
def sources() -> dict[str, list[dict[str, Any]]]:
    """Return the functions of each picture by its name: file, first line and text of each."""
    from minigpt.core.functional import attention, cross_entropy, cross_entropy_backward, softmax
    from minigpt.core.layers import Embedding, MultiHeadAttention, TransformerBlock
    from minigpt.core.model import miniGPT
    from minigpt.core.optim import AdamW, clip_gradients
    from minigpt.core.sampling import Sampling
    from minigpt.inside import logit_lens, pca, without_heads
    from minigpt.runs.layer_metrics import measure_layers
    from minigpt.text.completion import stream
    from minigpt.text.data import get_batch
    from minigpt.text.tokenizers.base import Tokenizer
    from minigpt.training.evaluation import evaluate
    from minigpt.training.loop import take_step, train, write_sample
    from minigpt.training.schedule import warmup_cosine

    shown: dict[str, list[Any]] = {
        "tokens": [Tokenizer.encode, Embedding.forward],
        "attention": [MultiHeadAttention.forward, attention, without_heads],
        "lens": [logit_lens],
        "next": [softmax, Sampling.scores],
        "curve": [train, take_step, evaluate],
        "sample": [write_sample, stream],
        "embeddings": [Embedding.forward, pca],
        "layers": [measure_layers],
        "batch": [get_batch],
        "forward": [miniGPT.learn, miniGPT.hidden, TransformerBlock.forward],
        "losses": [cross_entropy],
        "backward": [cross_entropy_backward, miniGPT.hidden_backward, TransformerBlock.backward],
        "update": [clip_gradients, warmup_cosine, AdamW.step],
    }
    return {name: [_source(function) for function in of] for name, of in shown.items()}


SOURCE_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>{name}</title><link rel="icon" href="data:,">
<style>
body {{ margin: 1.5rem; font: 16px/1.5 system-ui, sans-serif; }}
pre {{ counter-reset: line; overflow-x: auto; font: .85rem/1.5 ui-monospace, monospace; }}
code {{ counter-increment: line; }}
code::before {{ content: counter(line); display: inline-block; width: 3em; margin-right: 1em;
  text-align: right; opacity: .6; }}
code:target {{ background: Mark; color: MarkText; }}
</style></head>
<body><main><h1>{name}</h1><pre tabindex="0" aria-label="Source">{lines}</pre></main></body></html>
"""


def file_page(name: str) -> str | None:
    """Return a page with a file of `sources`, each line with an id such as L7; None if not found.

    The name comes from a request. It is only compared with known names before it becomes a path.
    """
    if name not in {part["file"] for parts in sources().values() for part in parts}:
        return None
    lines = (ROOT.parent / name).read_text("utf-8").splitlines()
    shown = [f'<code id="L{n}">{html.escape(line)}</code>' for n, line in enumerate(lines, 1)]
    return SOURCE_PAGE.format(name=name, lines="\n".join(shown))


def _source(function: Any) -> dict[str, Any]:
    function = inspect.unwrap(function)
    lines, first = inspect.getsourcelines(function)
    n_marks = next(i for i, line in enumerate(lines) if line.lstrip().startswith("def "))
    lines, first = lines[n_marks:], first + n_marks  # without decorators
    path = Path(inspect.getsourcefile(function) or "").relative_to(ROOT.parent)
    return {
        "name": function.__qualname__,
        "file": path.as_posix(),
        "line": first,
        "text": inspect.cleandoc("\n" + "".join(lines)),
    }
