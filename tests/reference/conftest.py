"""What the comparisons share: the table printed at their end, and data that is not ours."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

CHECKOUT = Path(__file__).parents[2]


@dataclass
class Comparison:
    """A row of the table: what is held against what, and how near it has to be."""

    what: str
    against: str
    limit: float | None = None  # none: equal
    cases: int = 0  # arrays, or ids, merges, texts
    largest: float = 0.0


TABLE = [
    Comparison("softmax, cross-entropy, gradients, float64", "PyTorch", 1e-10),
    Comparison("softmax, cross-entropy, gradients, float32", "PyTorch", 1e-5),
    Comparison("outputs of layers, float64", "PyTorch", 1e-10),
    Comparison("outputs of layers, float32", "PyTorch", 1e-5),
    Comparison("gradients of layers, float64", "PyTorch", 1e-10),
    Comparison("gradients of layers, float32", "PyTorch", 1e-5),
    Comparison("logits of the model, float64", "PyTorch", 1e-10),
    Comparison("logits of the model, float32", "PyTorch", 1e-5),
    Comparison("loss of the model, float64", "PyTorch", 1e-10),
    Comparison("loss of the model, float32", "PyTorch", 1e-5),
    Comparison("gradients of the model, float64", "PyTorch", 1e-10),
    Comparison("gradients of the model, float32", "PyTorch", 1e-5),
    Comparison("learning rates", "LinearLR, CosineAnnealingLR", 1e-10),
    Comparison("clipped gradients, float64", "clip_grad_norm_", 1e-10),
    Comparison("clipped gradients, float32", "clip_grad_norm_", 1e-5),
    Comparison("weights in 100 steps of AdamW, float64", "torch.optim.AdamW", 1e-10),
    Comparison("weights in 100 steps of AdamW, float32", "torch.optim.AdamW", 1e-5),
    Comparison("weights in 100 steps of SGD, float64", "torch.optim.SGD", 1e-10),
    Comparison("weights in 100 steps of SGD, float32", "torch.optim.SGD", 1e-5),
    Comparison("losses in 200 steps of training, float64", "PyTorch", 1e-9),
    Comparison("losses in 200 steps of training, float32", "PyTorch", 2e-3),
    Comparison("tiny GPT-2: logits, float32", "transformers", 1e-4),
    Comparison("tiny GPT-2: loss, float32", "transformers", 1e-4),
    Comparison("tiny GPT-2: gradients, float32", "transformers", 1e-4),
    Comparison("tiny GPT-2: greedy ids, with the cache", "transformers"),
    Comparison("tiny GPT-2: greedy ids, without the cache", "transformers"),
    Comparison("tokens that end a text: greedy ids", "transformers"),
    Comparison("GPT-2 124M: logits, float32", "transformers", 1e-4),
    Comparison("GPT-2 124M: greedy ids", "transformers"),
    Comparison("GPT-2 124M: peak memory, size of the file", "model.safetensors", 0.3),
    Comparison("run folders: ids of a text", "AutoTokenizer"),
    Comparison("run folders: text of ids", "AutoTokenizer"),
    Comparison("run folders: logits, float32", "AutoModelForCausalLM", 1e-5),
    Comparison("run folders: greedy ids", "AutoModelForCausalLM"),
    Comparison("model folders: logits, float64", "AutoModelForCausalLM", 1e-10),
    Comparison("model folders: loss, float64", "AutoModelForCausalLM", 1e-10),
    Comparison("model folders: gradients, float64", "AutoModelForCausalLM", 1e-10),
    Comparison("merges learned from Shakespeare", "BpeTrainer"),
    Comparison("merges learned from many scripts", "BpeTrainer"),
    Comparison("merges learned where most pairs tie", "BpeTrainer"),
    Comparison("ids by our ranks", "tokenizers"),
    Comparison("ids by our ranks", "tiktoken"),
    Comparison("ids by GPT-2's ranks", "tokenizers"),
    Comparison("ids by GPT-2's ranks", "tiktoken"),
    Comparison("ids where special tokens are allowed", "tokenizers"),
    Comparison("ids where special tokens are allowed", "tiktoken"),
    Comparison("ids where special tokens are text", "tiktoken"),
    Comparison("text of ids", "tokenizers"),
    Comparison("text of ids", "tiktoken"),
    Comparison("tokenizer files: ids and text", "tokenizers"),
    Comparison("tokenizer files: ids and text", "transformers"),
    Comparison("folders of any kind: ids", "transformers"),
    Comparison("kept tokens", "transformers"),
    Comparison("how many are kept among ties", "transformers"),
    Comparison("log-probabilities of kept tokens, float64", "transformers", 1e-12),
    Comparison("probabilities of all tokens, float64", "transformers", 1e-12),
    Comparison("greedy ids, repetition penalty", "transformers"),
    Comparison("log-probabilities of greedy choices, float32", "transformers", 1e-5),
    Comparison("log-probabilities of drawn tokens, float32", "transformers", 1e-5),
    Comparison("prompts side by side: greedy ids", "transformers"),
    Comparison("prompts side by side: logits, float64", "transformers", 1e-10),
    Comparison("prompts side by side: logits, float32", "transformers", 1e-5),
    Comparison("stop strings: tokens until the end", "StopStringCriteria"),
    Comparison("stop strings: text before the end", "AutoTokenizer"),
    Comparison("loss of a text with a stride, float64", "transformers", 1e-12),
    Comparison("loss of a text with a stride, float32", "transformers", 1e-6),
    Comparison("loss of a text without a stride, float64", "transformers", 1e-12),
    Comparison("loss of a text without a stride, float32", "transformers", 1e-6),
    Comparison("perplexity as the guide weighs it, float32", "transformers", 1e-4),
    Comparison("perplexity, bits per byte, float64", "their definitions", 1e-12),
]


def row(what: str, against: str | None = None) -> Comparison:
    """Find the row of the table that is about `what`."""
    (found,) = [c for c in TABLE if c.what == what and against in (None, c.against)]
    return found


@pytest.fixture(scope="session")
def deviation() -> Callable:
    """Return a function that fails if two arrays are further apart than the table allows.

    The deviation is the largest difference of two entries, relative to the largest entry of the
    reference array. Relative to each entry by itself it would say nothing: many entries are sums
    of large terms that cancel, some are zero but for rounding. The gradient of a key's bias is
    one of these, as softmax does not see what is added to all scores of a row; or, at T = 1, the
    gradient of all queries and keys, as a single weight is always 1. They lie in one array with
    the values' gradients, and are held against the size of those. `scale=1` makes it absolute.
    It is absolute, too, where the reference has nothing but zeros.
    """

    def compare(what: str, ours, theirs, scale: float | None = None) -> None:
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        assert ours.shape == theirs.shape, f"{what}: shape {ours.shape}, expected {theirs.shape}"
        largest_entry = np.abs(theirs).max() if scale is None else scale
        found = float(np.abs(ours - theirs).max() / (largest_entry or 1))
        comparison = row(what)
        assert found <= comparison.limit, (
            f"{what}: {found:.1e} away from {comparison.against}, allowed is {comparison.limit:.0e}"
        )
        comparison.cases += 1
        comparison.largest = max(comparison.largest, found)

    return compare


@pytest.fixture(scope="session")
def equal() -> Callable:
    """Return a function that fails if ours is not exactly theirs, and counts `cases` if it is."""

    def compare(what: str, against: str, ours, theirs, cases: int = 1) -> None:
        comparison = row(what, against)
        assert comparison.limit is None
        assert ours == theirs, f"{what}: not as {against} has it"
        comparison.cases += cases

    return compare


def pytest_terminal_summary(terminalreporter) -> None:
    made = [comparison for comparison in TABLE if comparison.cases]
    if not made:
        return
    widths = max(len(c.what) for c in made), max(len(c.against) for c in made)
    line = f"{{:{widths[0]}}}  {{:{widths[1]}}}  {{:>10}}  {{:>9}}  {{:>7}}".format
    terminalreporter.section("how far miniGPT is from its references")
    terminalreporter.line(line("what", "against", "cases", "deviation", "allowed"))
    for c in made:
        measured = ("equal", "equal") if c.limit is None else (f"{c.largest:.1e}", f"{c.limit:.0e}")
        terminalreporter.line(line(c.what, c.against, f"{c.cases:,}", *measured))


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return a function that finds `shakespeare.txt`, `gpt2/vocab.json` or `gpt2/merges.txt`.

    They lie in the folder that MINIGPT_DATA names, or in ../shared/data beside the checkout; or
    else they are downloaded, once.
    """

    def find(name: str) -> Path:
        folder = os.environ.get("MINIGPT_DATA") or CHECKOUT.parent / "shared" / "data"
        path = Path(folder, name)
        if path.exists():
            return path
        if name == "shakespeare.txt":
            from minigpt.text.corpus.fetch import fetch

            return fetch("shakespeare")
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download("openai-community/gpt2", name.removeprefix("gpt2/")))

    return find


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Let PyTorch leave the processor to others: what is compared here is small."""
    torch.set_num_threads(1)
