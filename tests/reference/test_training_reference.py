"""Optimizers, clipping, schedule and whole trainings against those of PyTorch."""

import math

import numpy as np
import pytest
import torch
from tiny import tiny_model
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grads_with_norm_, get_total_norm
from torch.optim import lr_scheduler
from torch_model import GPT, as_in_torch

from minigpt import (
    AdamW,
    CharTokenizer,
    Dataset,
    Settings,
    clip_gradients,
    get_batch,
    load_corpus,
    miniGPT,
    train,
    warmup_cosine,
)
from minigpt.core.optim import SGD

STEPS, WARMUP, PEAK, FINAL = 100, 10, 1e-2, 1e-3
both_dtypes = pytest.mark.parametrize("dtype", ["float64", "float32"])


def torch_optimizer(theirs: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Return the optimizer that `settings` describe; only matrices decay."""
    s = settings
    if s.optimizer == "sgd":
        return torch.optim.SGD(theirs.parameters(), lr=s.learning_rate)
    decayed = [p for p in theirs.parameters() if p.ndim >= 2]
    others = [p for p in theirs.parameters() if p.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": s.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=s.learning_rate, betas=(s.beta1, s.beta2), eps=1e-8)


def torch_schedule(
    optimizer: torch.optim.Optimizer, steps: int, warmup: int, final: float
) -> lr_scheduler.LRScheduler:
    """Rise in a straight line, then follow half a cosine, as `warmup_cosine` does."""
    rise = lr_scheduler.LinearLR(optimizer, 1 / (warmup + 1), total_iters=warmup)
    fall = lr_scheduler.CosineAnnealingLR(optimizer, steps - warmup, eta_min=final)
    return lr_scheduler.SequentialLR(optimizer, [rise, fall], [warmup])


def torch_clip(theirs: nn.Module, max_norm: float) -> None:
    """Shorten the gradients of `theirs` to the length `max_norm` exactly, if they are longer.

    PyTorch adds 1e-6 to the length, against a division by zero. We do not, so it is taken off.
    """
    norm = get_total_norm([p.grad for p in theirs.parameters()])
    clip_grads_with_norm_(theirs.parameters(), max_norm, norm - 1e-6)


def small_model(dtype: str, **options) -> miniGPT:
    """Return a model whose training magnifies no rounding.

    From the small weights a model is born with, AdamW may: with tied weights and no biases, 200
    steps of PyTorch in float32 end 1e-2 apart when the first weights differ by 1e-7.
    """
    # 66 tokens: the characters of the text, and <unk>
    return tiny_model(66, max_len=16, d_model=24, noise=0.1, dtype=dtype, **options)


@pytest.mark.parametrize(("steps", "warmup"), [(100, 10), (100, 1), (7, 6), (2000, 100)])
def test_warmup_cosine(deviation, steps, warmup):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=PEAK)
    schedule = torch_schedule(optimizer, steps, warmup, FINAL)
    for step in range(steps):
        ours = warmup_cosine(step, steps, warmup, PEAK, FINAL)
        deviation("learning rates", ours, schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()


@both_dtypes
def test_clip_gradients(deviation, dtype):
    for seed, max_norm in enumerate([1e5, 2e5, 4e5, 1e7]):  # so long that 1e-6 is not seen
        grads = np.random.default_rng(seed).normal(0, 1e4, 10_000).astype(dtype)
        parameter = nn.Parameter(torch.zeros(10_000, dtype=getattr(torch, dtype)))
        parameter.grad = torch.tensor(grads)
        their_norm = clip_grad_norm_([parameter], max_norm)
        deviation(f"clipped gradients, {dtype}", clip_gradients(grads, max_norm), their_norm)
        deviation(f"clipped gradients, {dtype}", grads, parameter.grad)


@both_dtypes
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_optimizer_with_decay_clipping_and_schedule(deviation, optimizer, dtype):
    ours, what = {"adamw": (AdamW, "AdamW"), "sgd": (SGD, "SGD")}[optimizer]
    model = small_model(dtype)
    theirs = GPT(model)
    settings = Settings(optimizer=optimizer, learning_rate=PEAK, weight_decay=0.1)
    our_optimizer = ours(model)
    their_optimizer = torch_optimizer(theirs, settings)
    schedule = torch_schedule(their_optimizer, STEPS, WARMUP, FINAL)
    rng = np.random.default_rng(1)
    usual_length = math.sqrt(model.flat.grads.size)
    for step in range(STEPS):
        # Gradients of all sizes, and about half of them longer than they may be.
        size = 10 ** rng.uniform(-3, 3)
        model.flat.grads[...] = rng.normal(0, size, model.flat.grads.size)
        for name, gradient in as_in_torch(model.grads(), theirs).items():
            theirs.get_parameter(name).grad = torch.tensor(gradient)

        clip_gradients(model.flat.grads, usual_length)
        our_optimizer.step(warmup_cosine(step, STEPS, WARMUP, PEAK, FINAL))
        torch_clip(theirs, usual_length)
        their_optimizer.step()
        schedule.step()
        for name, values in as_in_torch(model.params(), theirs).items():
            assert values.dtype == dtype
            theirs_now = theirs.get_parameter(name).detach()
            deviation(f"weights in 100 steps of {what}, {dtype}", values, theirs_now)


@pytest.fixture(scope="module")
def shakespeare(shared_data) -> Dataset:
    corpus = load_corpus([shared_data("shakespeare.txt")])
    return Dataset.from_corpus(corpus, CharTokenizer().train(corpus.train))


def torch_losses(theirs: nn.Module, data: np.ndarray, settings: Settings) -> list[float]:
    """Train `theirs` on the batches that `minigpt.train` draws; give the loss of each step."""
    s = settings
    optimizer = torch_optimizer(theirs, s)
    schedule = torch_schedule(optimizer, s.steps, s.warmup, s.final_learning_rate)
    losses = []
    for number in range(1, s.steps + 1):
        rng = np.random.default_rng([s.seed, number])
        optimizer.zero_grad()
        total = 0.0
        for _ in range(s.accumulate):
            _, loss = theirs(*get_batch(data, s.block_size, s.batch_size, rng))
            (loss / s.accumulate).backward()
            total += loss.item() / s.accumulate
        torch_clip(theirs, s.clip)
        optimizer.step()
        schedule.step()
        losses.append(total)
    return losses


@both_dtypes
@pytest.mark.parametrize(
    ("options", "changes"),
    [
        ({}, {"threads": 1}),
        ({"tie_weights": True, "bias": False}, {"threads": 1, "accumulate": 3}),
        ({"tie_weights": True}, {"threads": 2}),
        ({"activation": "relu"}, {"threads": 3, "accumulate": 2}),
        ({}, {"threads": 1, "optimizer": "sgd", "learning_rate": 0.5}),
    ],
    ids=["plain", "tied-no-bias-accumulate", "tied-2-threads", "relu-3-threads-accumulate", "sgd"],
)
def test_losses_of_200_steps(deviation, shakespeare, options, changes, dtype):
    settings = Settings(steps=200, warmup=20, batch_size=8, block_size=16).replace(changes)
    model = small_model(dtype, **options)
    theirs = GPT(model)
    ours = [step.loss for step in train(model, shakespeare, settings)]
    expected = torch_losses(theirs, shakespeare.train, settings)
    assert expected[-1] < expected[0] - 0.5  # it did learn, so there was something to compare
    for our_loss, their_loss in zip(ours, expected, strict=True):
        deviation(f"losses in 200 steps of training, {dtype}", our_loss, their_loss, scale=1)
