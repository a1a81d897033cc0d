"""Generation against transformers, and against the rate at which memory delivers weights.

Both sides have the same weights, always choose the likeliest token, and write the same number of
tokens. Before anything is timed, their ids must be equal. Each token reads all weights once, except
the embedding tables, where it only looks up a row. A head that is tied to the token embedding does
read that table.
"""

from __future__ import annotations

import tempfile
import warnings

import numpy as np
import torch
from transformers import GPT2LMHeadModel

from benchmarks.ceilings import matrix_vector
from benchmarks.configurations import TINY, L
from benchmarks.interleave import Work, always, interleave
from benchmarks.options import Options
from benchmarks.plots import draw_bars
from benchmarks.report import Table
from minigpt import miniGPT, preset
from minigpt.core.functional import Array

N_NEW = 128
DEMO_TOKENS_PER_SECOND = 2000


def gpt2_model(quick: bool) -> miniGPT:
    """Return a model of GPT-2's size with random weights, as slow to read as trained ones."""
    if quick:
        return miniGPT(TINY.V, 32, TINY.d_model, TINY.n_heads, 2, tie_weights=True, seed=0)
    return miniGPT(L.V, 1024, L.d_model, L.n_heads, L.n_layers, tie_weights=True, seed=0)


def demo_model() -> miniGPT:
    """Return a model of the demo's size."""
    s = preset("demo")
    assert s.vocab_size is not None
    return miniGPT(s.vocab_size, s.block_size, s.d_model, s.n_heads, s.n_layers, seed=0)


def transformers_model(ours: miniGPT) -> GPT2LMHeadModel:
    """Return the model of transformers with the weights of `ours`."""
    with tempfile.TemporaryDirectory() as folder:
        ours.save_pretrained(folder)
        return GPT2LMHeadModel.from_pretrained(folder).eval()


def writers(ours: miniGPT, theirs: GPT2LMHeadModel, ids: Array, n_new: int) -> dict[str, Work]:
    """Return the work of both sides, after a check that they write the same ids."""
    prompt = torch.from_numpy(ids)
    mask = torch.ones_like(prompt)

    def write_theirs() -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return theirs.generate(
                prompt,
                attention_mask=mask,
                max_new_tokens=n_new,
                min_new_tokens=n_new,
                do_sample=False,
                use_cache=True,
                pad_token_id=0,
            ).numpy()

    def write_ours() -> Array:
        return ours.generate(ids, n_new, temperature=0)

    if not np.array_equal(write_ours(), write_theirs()):
        raise RuntimeError(
            f"the two sides write different ids after a prompt {ids.shape}, {n_new} new tokens"
        )
    return {"ours": write_ours, "transformers": write_theirs}


def run(options: Options) -> list[Table]:
    """Measure all cases and return their tables."""
    ours = gpt2_model(options.quick)
    theirs = transformers_model(ours)
    n_new = 8 if options.quick else N_NEW
    name = "tiny" if options.quick else "GPT-2 124M"
    long_prompt = 20 if options.quick else 900
    cases = [  # batch, prompt, new tokens, target
        (1, 16, n_new, 1.6),
        (8, 16, n_new, 1.2),
        (1, long_prompt, 1, 1.0),
    ]
    against = Table(
        "Generation, against transformers",
        [f"{name}, random weights, temperature 0, float32, all cores; both sides use a cache."],
        "times as fast",
    )
    shares = Table("Generation, against memory bandwidth", (), "share")
    ceiling = matrix_vector(options.quick)
    shares.notes = [f"The ceiling: {ceiling.what}, measured once in each round."]
    for batch, length, n, target in cases:
        options.say(f"batch {batch}, prompt {length}, {n} new")
        ids = np.random.default_rng(0).integers(0, ours.vocab_size, (batch, length))
        sides = {side: always(work) for side, work in writers(ours, theirs, ids, n).items()}
        if batch == 1 and n > 1:
            sides["ceiling"] = always(ceiling.work)
        rounds = interleave(sides, options.large, options.at_least)
        what = f"batch {batch}, prompt {length}, {n} new"
        speeds = [batch * n / rounds.median(side) for side in ("ours", "transformers")]
        unit = "tokens/s"
        if n == 1:
            what = f"first token after a prompt of {length}"
            speeds, unit = [1 / speed for speed in speeds], "s"
        ratio = rounds.ratio("transformers", "ours")
        against.add(what, unit, *speeds, ratio, None if options.quick else target)
        if "ceiling" in sides:
            bytes_per_token = 4 * (ours.flat.params.size - ours.max_len * ours.d_model)
            share = rounds.ratio("ceiling", "ours").times(n * bytes_per_token / ceiling.amount)
            rates = [
                n * bytes_per_token / rounds.median("ours") / 1e9,
                ceiling.amount / rounds.median("ceiling") / 1e9,
            ]
            shares.add(what, "GB/s", *rates, share, None if options.quick else 0.65)
    demo = demo_speed(options)
    draw_bars(options.plots / "generation.svg", against.title, against.rows, against.ratio_is)
    top = ceiling.table("Matrix times vector, float32, all cores", "GB/s")
    return [top, against, shares, demo]


def demo_speed(options: Options) -> Table:
    """Measure the speed of generation with a model of the demo's size."""
    model = demo_model()
    n_new = 100
    ids = np.zeros((1, 1), int)
    work = always(lambda: model.generate(ids, n_new, seed=0))
    rounds = interleave({"ours": work}, options.small, options.at_least)
    table = Table("Generation, a model of the demo's size")
    target = None if options.quick else DEMO_TOKENS_PER_SECOND
    table.add(
        f"batch 1, prompt 1, {n_new} new", "tokens/s", n_new / rounds.median("ours"), target=target
    )
    return table
