"""The texts and vocabularies for benchmarks: found on this machine, downloaded, or generated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.configurations import Configuration
from minigpt import BPETokenizer, get_batch, load_tokenizer, token_array
from minigpt.core.functional import Array
from minigpt.text.corpus import plays, scenes
from minigpt.text.corpus.fetch import fetch
from minigpt.text.tokenizers.stream import PIECE_CHARS, cut_between_words
from minigpt.text.tokenizers.vocabulary import Vocabulary


def find(name: str) -> Path | None:
    """Return a path in `MINIGPT_DATA` or in `shared/data` beside the repository, or None."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    for folder in (os.environ.get("MINIGPT_DATA"), beside):
        if folder and (path := Path(folder) / name).exists():
            return path
    return None


@cache
def text(quick: bool = False) -> str:
    """Return the tiny Shakespeare text, 1.1 MB; in a test run, some built-in plays."""
    if quick:
        return plays(30_000).text
    path = find("shakespeare.txt") or fetch("shakespeare")
    return path.read_text(encoding="utf-8")


@cache
def vocabulary(quick: bool = False) -> Vocabulary:
    """Return GPT-2's vocabulary; in a test run, one learned from the plays."""
    if quick:
        return BPETokenizer().train(text(quick), 500).vocabulary
    if (folder := find("gpt2")) is None:
        from huggingface_hub import hf_hub_download

        hf_hub_download("openai-community/gpt2", "merges.txt")
        folder = Path(hf_hub_download("openai-community/gpt2", "vocab.json")).parent
    return load_tokenizer(folder).vocabulary


@cache
def tokens(vocab_size: int) -> Array:
    """Return the ids of Shakespeare, in 65 characters or 50,257 GPT-2 tokens, or of the plays."""
    if vocab_size == 65:
        return np.unique(list(text()), return_inverse=True)[1]
    if vocab_size == 50257:
        ids = BPETokenizer.from_vocabulary(vocabulary()).encode(text())
        return token_array(ids, vocab_size)
    return np.frombuffer(text(quick=True).encode("ascii"), np.uint8)


def batch_of(c: Configuration, seed: int = 0) -> tuple[Array, Array]:
    """Draw a batch of ids x and targets y, (batch, T) each."""
    return get_batch(tokens(c.V), c.T, c.batch, np.random.default_rng(seed))


def write_plays(path: Path, size: int, quick: bool = False) -> Path:
    """Write a file of about `size` bytes: `text`, then plays until a scene exceeds the size.

    The plays alone have too few different words for a large vocabulary. Each 10 MB of plays have
    their own seed.
    """
    with path.open("w", encoding="utf-8", newline="\n") as file:
        written = file.write(text(quick)[:size])
        seed = 0
        while written < size:
            seed += 1
            end = min(size, written + 10_000_000)
            for scene in scenes(seed):
                if written >= end:
                    break
                written += file.write(scene.text)
    return path


def read(path: Path) -> Iterator[str]:
    """Yield a text piece by piece."""
    with path.open(encoding="utf-8", newline="") as file:
        yield from cut_between_words(iter(lambda: file.read(PIECE_CHARS), ""))
