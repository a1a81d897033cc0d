"""Training as an iterator: each turn of the loop is one step of learning, and tells how it went."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from minigpt.core.checks import check_has, check_whole
from minigpt.core.checks_model import check_model
from minigpt.core.functional import Array
from minigpt.core.generation import generate
from minigpt.core.optim import clip_gradients, gradient_norm
from minigpt.fast.machines import ALONE, World
from minigpt.fast.recompute import recompute
from minigpt.fast.replicas import Replicas
from minigpt.support.brief import brief
from minigpt.support.displayed import as_html
from minigpt.text.data import Dataset, get_batch
from minigpt.text.token_roles import check_tokenizer, drawable, prompt_ids
from minigpt.training.evaluation import evaluate
from minigpt.training.optimizers import Optimizer, optimizer_of
from minigpt.training.schedule import warmup_cosine
from minigpt.training.settings import Settings

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.text.tokenizers import Tokenizer


@dataclass(frozen=True)
class Step:
    """What happened in one training step.

    Attributes
    ----------
    number : how many steps are done now, from 1.
    loss : mean cross-entropy on the batch, nats per token.
    gradient_norm : length of the gradient before clipping.
    learning_rate : the one this step was taken with.
    tokens_per_second : tokens trained on, per second of this step.
    val_loss, val_bits : loss on the validation sample, in nats per token and bits per character,
        or None where no evaluation was due.
    sample : text the model writes now, or None where none was due.
    spelling_bits : the part of val_bits that spells what is ``<unk>`` to the tokenizer, or None.
    loss_bits : the loss in bits per character, to be held against val_bits: it is converted by the
        same rule, with the tokens per character and the spelling of the validation text.
    """

    number: int
    loss: float
    gradient_norm: float
    learning_rate: float
    tokens_per_second: float
    val_loss: float | None = None
    val_bits: float | None = None
    sample: str | None = None
    spelling_bits: float | None = None
    loss_bits: float | None = None

    __repr__ = brief

    _repr_html_ = as_html


class TrainingDiverged(ArithmeticError):
    """The loss or the gradient is no longer a number."""


def train(
    model: miniGPT,
    dataset: Dataset,
    settings: Settings,
    tokenizer: Tokenizer | None = None,
    optimizer: Optimizer | None = None,
    start: int = 0,
    world: World = ALONE,
) -> Generator[Step]:
    """Train `model`, and yield a `Step` after each step.

    Parameters
    ----------
    model : changed in place.
    dataset : the tokens to learn from, and those to be examined on.
    settings : how to train; see `minigpt.training.settings.Settings`.
    tokenizer : turns samples into text; without it there are none.
    optimizer : the one to go on with; a new one as `settings` say if None.
    start : how many steps were done before. The batches of a step depend on its number and the
        seed alone, so that training can go on where it stopped.
    world : the processes that share the work, see `minigpt.fast.machines.world`; each calls `train`
        with the same model. The batch is that of all of them together. With dropout, which each
        draws for itself, their number changes the losses, but only as another seed would.

    Raises
    ------
    ValueError
        If there are more processes than rows in a batch, or another tokenizer made the dataset.
    TrainingDiverged
        If the loss or the gradient is not finite: that step is not taken. Or if the loss on the
        validation sample is not.
    RuntimeError
        If another thread trains the same model. To write with it or to evaluate it meanwhile is
        safe.

    Examples
    --------
    >>> for step in train(model, dataset, Settings(steps=500), tokenizer):
    ...     print(step.number, step.loss)
    """
    check_model(model)
    check_has("dataset", dataset, "train", "a Dataset")
    check_has("settings", settings, "learning_rate", "Settings")
    check_whole(start=start)
    made_by = getattr(dataset, "tokenizer", None)
    for each in (tokenizer, made_by):
        if each is not None:
            check_tokenizer(each, model.vocab_size)
    if tokenizer and made_by and tokenizer.vocabulary != made_by.vocabulary:
        raise ValueError(
            f"the dataset was made with another tokenizer, {made_by!r}, than {tokenizer!r}: the "
            "same id is another piece of text to each. Make it with the one of the model, by "
            "Dataset.from_corpus(corpus, tokenizer)"
        )
    if tokenizer is not None and settings.sample_every:
        prompt_ids(model, tokenizer, settings.prompt)
    if optimizer is not None:
        check_has("optimizer", optimizer, "step", "an AdamW or SGD")
    if start < 0:
        raise ValueError(f"start must be 0 or more, got {start}")
    s = settings
    world.check_batch(s.batch_size)
    optimizer = optimizer or optimizer_of(settings, model)
    if s.recompute:
        recompute(model)
    with Replicas(model, s.threads or world.threads) as replicas:
        for number in range(start + 1, s.steps + 1):
            began = time.perf_counter()
            learning_rate = warmup_cosine(
                number - 1, s.steps, s.warmup, s.learning_rate, s.final_learning_rate
            )
            with _alone(model):
                loss = _mean_gradients(replicas, dataset.train, s, number, world)
                # Libraries may round a norm otherwise on another processor: the first one's counts.
                norm = world.from_first(gradient_norm(model.flat.grads))
                clip_gradients(model.flat.grads, s.clip, norm)
                _check_finite(number, s, loss=loss, gradient=norm)
                optimizer.step(learning_rate)
            seconds = time.perf_counter() - began

            val_loss = sample = None
            if number % s.eval_every == 0 or number in (1, s.steps):
                world.check_same(model.flat.params)
                val_loss = world.from_first(_examine(model, dataset, s) if world.rank == 0 else 0.0)
                _check_finite(number, s, validation_loss=val_loss)
            if world.rank == 0 and tokenizer and s.sample_every and number % s.sample_every == 0:
                sample = write_sample(
                    model, tokenizer, s.prompt, s.sample_tokens, s.seed, s.allow_special
                )
            yield Step(
                number,
                loss,
                norm,
                learning_rate,
                s.batch_size * s.block_size * s.accumulate / seconds,
                val_loss,
                None if val_loss is None else dataset.bits_per_character(val_loss),
                sample,
                None if val_loss is None else dataset.spelling_bits or None,
                dataset.bits_per_character(loss),
            )


_STEPPING: dict[int, object] = {}


@contextmanager
def _alone(model: miniGPT) -> Iterator[None]:
    """Raise a RuntimeError if a step of `model` is being taken, since steps share the gradient."""
    ours = object()
    if _STEPPING.setdefault(id(model), ours) is not ours:
        raise RuntimeError("another thread trains this model: train a copy.deepcopy of it instead")
    try:
        yield
    finally:
        del _STEPPING[id(model)]


def _examine(model: miniGPT, dataset: Dataset, s: Settings) -> float:
    return evaluate(model, dataset.val, s.block_size, max_tokens=s.eval_tokens)


def _check_finite(number: int, s: Settings, **values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise TrainingDiverged(
                f"step {number}: the {name.replace('_', ' ')} is {value:g}, no number to go on "
                f"with. Try a lower learning rate (now {s.learning_rate:g}), a longer warm-up "
                f"(now {s.warmup} steps) or a lower clip (now {s.clip:g})"
            )


def _mean_gradients(
    replicas: Replicas, data: Array, s: Settings, number: int, world: World
) -> float:
    """Return the loss, and leave the gradients, averaged over the batches of step `number`."""
    rng = np.random.default_rng([s.seed, number])
    replicas.reseed(s.seed, number, world.rank)
    part = world.part(s.batch_size)
    weight = (part.stop - part.start) / s.batch_size

    def backward() -> float:
        return replicas.backward(*get_batch(data, s.block_size, s.batch_size, rng, part), weight)

    grads = replicas.model.flat.grads
    if s.accumulate == 1:
        return world.add_up(grads, backward())
    total_loss, total_grads = 0.0, np.zeros_like(grads)
    for _ in range(s.accumulate):
        total_loss += backward()
        total_grads += grads
    np.divide(total_grads, s.accumulate, out=grads)
    return world.add_up(grads, total_loss / s.accumulate)


def write_sample(
    model: miniGPT,
    tokenizer: Tokenizer,
    prompt: str,
    n_tokens: int,
    seed: int,
    allow_special: bool = False,
) -> str:
    """Return what the model writes after `prompt`; with one seed, samples show it improve."""
    allowed = drawable(model, tokenizer)
    context = [prompt_ids(model, tokenizer, prompt, allow_special)]
    ids = generate(model, context, n_tokens, temperature=0.8, seed=seed, allowed=allowed)
    return tokenizer.decode(ids[0])
