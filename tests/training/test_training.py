import math
from functools import partial

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import (
    SGD,
    AdamW,
    BPETokenizer,
    CharTokenizer,
    Corpus,
    Dataset,
    Settings,
    TrainingDiverged,
    clip_gradients,
    get_batch,
    train,
    warmup_cosine,
)
from minigpt.fast.replicas import Replicas

TEXT = "the quick brown fox jumps over the lazy dog. my dear goose, my dear fox! " * 30
TOKENIZER = CharTokenizer().train(TEXT)
DATASET = Dataset.from_corpus(Corpus("x", TEXT, TEXT[:600]), TOKENIZER)
SETTINGS = Settings(
    block_size=16,
    steps=30,
    batch_size=6,
    eval_every=10,
    eval_tokens=64,
    sample_every=15,
    sample_tokens=12,
    warmup=5,
    learning_rate=3e-3,
    threads=1,
)


small = partial(tiny_model, TOKENIZER.vocab_size, max_len=16, d_model=24)


def test_train_yields_steps_and_the_loss_falls():
    steps = list(train(small(), DATASET, SETTINGS, TOKENIZER))
    assert [step.number for step in steps] == list(range(1, 31))
    assert steps[0].loss == pytest.approx(math.log(TOKENIZER.vocab_size), abs=0.2)
    assert steps[-1].loss < 0.85 * steps[0].loss
    assert [s.number for s in steps if s.val_loss is not None] == [1, 10, 20, 30]
    assert [s.number for s in steps if s.sample is not None] == [15, 30]
    assert all(s.gradient_norm > 0 and s.tokens_per_second > 0 for s in steps)
    rates = [warmup_cosine(i, 30, 5, 3e-3, 1e-4) for i in range(30)]
    assert [s.learning_rate for s in steps] == rates
    last = steps[-1]
    assert last.val_bits == pytest.approx(last.val_loss / math.log(2))  # each token is a character
    assert all(s.loss_bits == DATASET.bits_per_character(s.loss) for s in steps)


def test_train_step_is_forward_backward_clip_and_update():
    model, twin = small(), small()
    settings = SETTINGS.replace({"optimizer": "sgd", "clip": 0.1, "steps": 3})
    for step in train(model, DATASET, settings):
        rng = np.random.default_rng([settings.seed, step.number])
        x, y = get_batch(DATASET.train, 16, 6, rng)
        _, loss = twin.forward(x, targets=y)
        twin.backward()
        norm = clip_gradients(twin.flat.grads, 0.1)
        SGD(twin).step(step.learning_rate)
        assert (step.loss, step.gradient_norm) == (loss, norm)
        np.testing.assert_array_equal(model.flat.params, twin.flat.params)


def test_accumulation_equals_one_large_batch():
    model = small(dtype=np.float64)
    settings = SETTINGS.replace({"optimizer": "sgd", "accumulate": 3, "steps": 1, "clip": 99.0})
    before = model.flat.params.copy()
    (step,) = train(model, DATASET, settings)

    twin = small(dtype=np.float64)
    rng = np.random.default_rng([settings.seed, 1])
    batches = [get_batch(DATASET.train, 16, 6, rng) for _ in range(3)]
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    _, loss = twin.forward(x, targets=y)
    twin.backward()
    assert step.loss == pytest.approx(loss)
    expected = before - step.learning_rate * twin.flat.grads
    np.testing.assert_allclose(model.flat.params, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("n_threads", [2, 3, 8])
def test_gradients_on_threads_equal_those_of_one(n_threads):
    model, alone = small(dtype=np.float64), small(dtype=np.float64)
    x, y = get_batch(DATASET.train, 16, 7, np.random.default_rng(0))
    _, expected = alone.forward(x, targets=y)
    alone.backward()
    with Replicas(model, n_threads) as replicas:
        loss = replicas.learn(x, y)
        once = model.flat.grads.copy()
        replicas.learn(x, y)
    assert loss == pytest.approx(expected)
    np.testing.assert_allclose(once, alone.flat.grads, rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(model.flat.grads, once)


def test_replicas_share_only_the_weights():
    with Replicas(small(), 2) as replicas:
        first, second = replicas.models
        first.flat.params[...] = 0.5
        assert (second.head.weight == 0.5).all()
        assert not np.shares_memory(first.flat.grads, second.flat.grads)


@pytest.mark.parametrize("threads", [1, 2])
def test_training_is_reproducible_to_the_bit(threads):
    settings = SETTINGS.replace({"threads": threads, "steps": 8})
    one, other = small(dropout=0.2), small(dropout=0.2)
    list(train(one, DATASET, settings))
    list(train(other, DATASET, settings))
    np.testing.assert_array_equal(one.flat.params, other.flat.params)


def test_resumed_training_equals_uninterrupted_training():
    whole, halves = small(dropout=0.2), small(dropout=0.2)
    list(train(whole, DATASET, SETTINGS))
    optimizer = AdamW(halves)
    for step in train(halves, DATASET, SETTINGS, optimizer=optimizer):
        if step.number == 13:
            break
    # A new process does not know the state of dropout's random numbers.
    halves.rng.bit_generator.state = np.random.default_rng(99).bit_generator.state
    list(train(halves, DATASET, SETTINGS, optimizer=optimizer, start=13))
    np.testing.assert_array_equal(whole.flat.params, halves.flat.params)


def test_training_stops_before_a_step_that_is_not_finite():
    model = small()
    settings = SETTINGS.replace({"optimizer": "sgd", "learning_rate": 1e30, "warmup": 0})
    good = model.flat.params.copy()
    with pytest.raises(TrainingDiverged, match=r"step 1: .*lower learning rate \(now 1e\+30\)"):
        list(train(model, DATASET, settings))
    model.flat.params[...] = good
    model.final_norm.scale[...] = np.nan
    good = model.flat.params.copy()
    with pytest.raises(TrainingDiverged, match="step 1: the loss is nan"):
        list(train(model, DATASET, settings))
    np.testing.assert_array_equal(model.flat.params, good)


def test_samples_continue_the_prompt():
    tokenizer = BPETokenizer().train(TEXT, vocab_size=260)
    dataset = Dataset.from_corpus(Corpus("x", TEXT, TEXT), tokenizer)
    model = tiny_model(260, max_len=16, n_layers=1)
    settings = SETTINGS.replace({"prompt": "my dear", "steps": 15})
    *_, last = train(model, dataset, settings, tokenizer)
    assert last.sample.startswith("my dear")
    assert last.sample != "my dear"


def test_samples_can_begin_a_new_document():
    tokenizer = BPETokenizer().train(TEXT, vocab_size=260)
    dataset = Dataset.from_corpus(Corpus("x", TEXT, TEXT), tokenizer)
    settings = SETTINGS.replace({"prompt": "", "steps": 15})
    named = settings.replace({"prompt": "<|endoftext|>", "allow_special": True})
    samples = []
    for each in (settings, named):
        *_, last = train(tiny_model(260, max_len=16, n_layers=1), dataset, each, tokenizer)
        samples.append(last.sample)
    assert samples[0] == samples[1]
    assert samples[0].startswith("<|endoftext|>")
    characters = CharTokenizer().train(TEXT)
    dataset = Dataset.from_corpus(Corpus("x", TEXT, TEXT), characters)
    model = tiny_model(characters.vocab_size, max_len=16, n_layers=1)
    with pytest.raises(ValueError, match="an empty prompt has nothing to continue"):
        next(train(model, dataset, settings, characters))
