"""Training as an iterator: each turn of the loop takes one step and reports how it went."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
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
    number : number of steps done so far, from 1.
    loss : mean cross-entropy on the batch, nats per token.
    gradient_norm : length of the gradient before clipping.
    learning_rate : the learning rate of this step.
    tokens_per_second : tokens trained on, per second of this step.
    val_loss, val_bits : loss on the validation sample, in nats per token and in bits per
        character; None if this step had no evaluation.
    sample : text that the model writes after this step; None if no sample was due.
    spelling_bits : the part of val_bits that spells ``<unk>`` tokens, or None.
    loss_bits : the training loss in bits per character, comparable with val_bits: it is converted
        with the tokens per character and the spelling of the validation text.
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
    """The loss or the gradient is no longer a finite number."""


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
    model : the model to train; it is changed in place.
    dataset : tokens for training and for validation.
    settings : how to train; see `minigpt.training.settings.Settings`.
    tokenizer : decodes samples; without a tokenizer there are no samples.
    optimizer : the optimizer to continue with; if None, a new one is made from `settings`.
    start : number of steps done before. The batches of a step depend only on its number and on
        the seed, so training can continue where it stopped.
    world : the processes that share the work, see `minigpt.fast.machines.world`. Each process
        calls `train` with the same model, and trains on its rows of each batch. With dropout,
        the losses depend on the number of processes, but only as they depend on the seed.

    Raises
    ------
    ValueError
        If there are more processes than rows in a batch, or if the dataset was made with another
        tokenizer.
    TrainingDiverged
        If the loss or the gradient is not finite; the model then keeps its weights. Also if the
        validation loss is not finite.
    RuntimeError
        If another thread trains the same model. It is safe to generate or to evaluate meanwhile.

    Examples
    --------
    >>> for step in train(model, dataset, Settings(steps=500), tokenizer):
    ...     print(step.number, step.loss)
    """
    s = settings
    _check_arguments(model, dataset, s, tokenizer, optimizer, start)
    world.check_batch(s.batch_size)
    optimizer = optimizer or optimizer_of(s, model)
    if s.recompute:
        recompute(model)
    with Replicas(model, s.threads or world.threads) as replicas:
        for number in range(start + 1, s.steps + 1):
            began = time.perf_counter()
            rate = warmup_cosine(
                number - 1, s.steps, s.warmup, s.learning_rate, s.final_learning_rate
            )
            with _only_trainer(model):
                loss, norm = take_step(replicas, optimizer, dataset.train, s, number, rate, world)
            seconds = time.perf_counter() - began
            val_loss = None
            if number % s.eval_every == 0 or number in (1, s.steps):
                val_loss = _validate(model, dataset.val, s, number, world)
            sample = None
            if world.rank == 0 and tokenizer and s.sample_every and number % s.sample_every == 0:
                sample = write_sample(
                    model, tokenizer, s.prompt, s.sample_tokens, s.seed, s.allow_special
                )
            yield Step(
                number,
                loss,
                gradient_norm=norm,
                learning_rate=rate,
                tokens_per_second=s.batch_size * s.block_size * s.accumulate / seconds,
                val_loss=val_loss,
                val_bits=None if val_loss is None else dataset.bits_per_character(val_loss),
                sample=sample,
                spelling_bits=None if val_loss is None else dataset.spelling_bits or None,
                loss_bits=dataset.bits_per_character(loss),
            )


def take_step(
    replicas: Replicas,
    optimizer: Optimizer,
    data: Array,
    settings: Settings,
    number: int,
    learning_rate: float,
    world: World,
) -> tuple[float, float]:
    """Run training step `number`: forward, loss, backward, clip, update.

    Threads share the first three inside `replicas.learn`. Processes sum their losses and gradients
    in `world.all_reduce`.

    Returns
    -------
    The loss, and the length of the gradient before clipping.
    """
    s, model = settings, replicas.model
    rng = np.random.default_rng([s.seed, number])
    replicas.reseed(s.seed, number, world.rank)
    rows = world.part(s.batch_size)
    weight = (rows.stop - rows.start) / s.batch_size  # the share of the batch that these rows are

    def learn_batch() -> float:
        x, y = get_batch(data, s.block_size, s.batch_size, rng, rows)
        return replicas.learn(x, y, weight)  # forward, loss, backward: see `miniGPT.learn`

    loss = _mean_of_batches(learn_batch, model.flat.grads, s.accumulate)
    loss = world.all_reduce(model.flat.grads, loss)
    # Another processor may round the norm differently, so all processes use that of rank 0.
    norm = world.broadcast(gradient_norm(model.flat.grads))
    clip_gradients(model.flat.grads, s.clip, norm)
    _check_finite(number, s, loss=loss, gradient=norm)
    optimizer.step(learning_rate)
    return loss, norm


def _mean_of_batches(learn_batch: Callable[[], float], grads: Array, n_batches: int) -> float:
    """Call `learn_batch` n times; return the mean loss, and leave the mean gradient in `grads`."""
    if n_batches == 1:
        return learn_batch()
    total_loss, total_grads = 0.0, np.zeros_like(grads)
    for _ in range(n_batches):
        total_loss += learn_batch()
        total_grads += grads
    np.divide(total_grads, n_batches, out=grads)
    return total_loss / n_batches


def _validate(model: miniGPT, data: Array, s: Settings, number: int, world: World) -> float:
    """Return the loss on the validation sample, measured by rank 0 for all processes."""
    world.check_same(model.flat.params)
    loss = 0.0
    if world.rank == 0:
        loss = evaluate(model, data, s.block_size, max_tokens=s.eval_tokens)
    loss = world.broadcast(loss)
    _check_finite(number, s, validation_loss=loss)
    return loss


def write_sample(
    model: miniGPT,
    tokenizer: Tokenizer,
    prompt: str,
    n_tokens: int,
    seed: int,
    allow_special: bool = False,
) -> str:
    """Return a text that the model writes after `prompt`.

    With the same seed at each call, the samples show how the model improves.
    """
    allowed = drawable(model, tokenizer)
    context = [prompt_ids(model, tokenizer, prompt, allow_special)]
    ids = generate(model, context, n_tokens, temperature=0.8, seed=seed, allowed=allowed)
    return tokenizer.decode(ids[0])


_TRAINED_NOW: dict[int, object] = {}
"""For each model whose step is being taken, by its id: a mark of the thread's own."""


@contextmanager
def _only_trainer(model: miniGPT) -> Iterator[None]:
    """Raise RuntimeError if another thread is taking a step: both would write the gradients."""
    own_mark = object()
    if _TRAINED_NOW.setdefault(id(model), own_mark) is not own_mark:
        raise RuntimeError("another thread trains this model: train a copy.deepcopy of it instead")
    try:
        yield
    finally:
        del _TRAINED_NOW[id(model)]


def _check_arguments(
    model: miniGPT,
    dataset: Dataset,
    settings: Settings,
    tokenizer: Tokenizer | None,
    optimizer: Optimizer | None,
    start: int,
) -> None:
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
            "same id means another piece of text to each. Make the dataset with the tokenizer of "
            "the model: Dataset.from_corpus(corpus, tokenizer)"
        )
    if tokenizer is not None and settings.sample_every:
        prompt_ids(model, tokenizer, settings.prompt)
    if optimizer is not None:
        check_has("optimizer", optimizer, "step", "an AdamW or SGD")
    if start < 0:
        raise ValueError(f"start must be 0 or more, got {start}")


def _check_finite(number: int, s: Settings, **values: float) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise TrainingDiverged(
                f"step {number}: the {name.replace('_', ' ')} is {value:g}, so training cannot "
                f"continue. Try a lower learning rate (now {s.learning_rate:g}), a longer warm-up "
                f"(now {s.warmup} steps) or a lower clip (now {s.clip:g})"
            )
