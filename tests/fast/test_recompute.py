"""Recomputation changes only time and memory."""

import copy

import numpy as np
import pytest
from tiny import tiny_model, tiny_settings

from minigpt import Dataset, Settings, generate, miniGPT, train
from minigpt.fast.attention import BLOCK_LENGTH
from minigpt.fast.recompute import RecomputedBlock, recompute
from minigpt.fast.replicas import Replicas
from minigpt.runs import Run
from minigpt.training.freezing import freeze

LONG = 2 * BLOCK_LENGTH + 3  # long enough for attention in blocks


def two_models(dropout: float = 0.0, T: int = LONG, **options) -> tuple[miniGPT, miniGPT]:
    models = [tiny_model(max_len=T, n_layers=4, dropout=dropout, **options) for _ in range(2)]
    recompute(models[1])
    return models[0], models[1]


@pytest.mark.parametrize("T", [8, LONG])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("threads", [1, 2])
def test_recomputed_gradients_are_the_same_to_the_bit(T, dropout, threads):
    gradients, draws = [], []
    for model in two_models(dropout, T):
        with Replicas(model, threads) as replicas:
            for step in range(2):
                replicas.reseed(5, step)
                x, y = np.random.default_rng(step).integers(0, 11, (2, 4, T))
                replicas.learn(x, y)
        gradients.append(model.flat.grads)
        draws.append(model.rng.random())  # backward must not advance the generator
    np.testing.assert_array_equal(*gradients)
    assert gradients[0].any()
    assert draws[0] == draws[1]


def kept(layer) -> int:
    """Return how many numbers layers hold besides parameters and gradients."""
    return size_of(vars(layer).get("kept")) + sum(kept(child) for _, child in layer.children())


def size_of(value) -> int:
    if isinstance(value, np.ndarray):
        return value.size
    return sum(map(size_of, value)) if isinstance(value, tuple | list) else 0


def test_recomputed_block_keeps_only_its_input(rng):
    _, model = two_models()
    x, y = rng.integers(0, 11, (2, 2, LONG))
    model.forward(x, targets=y)
    model.backward()
    *recomputed, last = model.blocks
    assert [kept(block) for block in recomputed] == [2 * LONG * 12] * 3
    assert kept(last) > 8 * 2 * LONG * 12
    assert ["kept" in vars(block.attention) for block in model.blocks] == [False] * 3 + [True]
    model.eval().forward(x)  # an evaluation in between
    assert [kept(block) for block in recomputed] == [2 * LONG * 12] * 3


def test_recomputation_changes_no_name_score_or_text(rng):
    plain, model = (m.eval() for m in two_models(dropout=0.3))
    assert list(model.params()) == list(plain.params())
    assert str(model) == str(plain)
    ids = rng.integers(0, 11, (2, 8))
    for one in (model, copy.deepcopy(model)):
        assert isinstance(one.blocks[0], RecomputedBlock)
        np.testing.assert_array_equal(one.forward(ids)[0], plain.forward(ids)[0])
        texts = [generate(m, [[1, 2]], 20, seed=0)[0] for m in (one, plain)]
        assert list(texts[0]) == list(texts[1])


def test_recomputed_backward_follows_the_latest_forward(rng):
    x, y = rng.integers(0, 11, (2, 2, 8))
    gradients = []
    for model in two_models():
        model.forward(x[:, ::-1], targets=y)
        model.eval().forward(x, targets=y)
        model.backward()
        gradients.append(model.flat.grads)
    np.testing.assert_array_equal(*gradients)


def test_recomputation_keeps_frozen_blocks_frozen():
    gradients = []
    for model in two_models(dropout=0.2):
        freeze(model, 2)
        x, y = np.random.default_rng(1).integers(0, 11, (2, 2, 8))
        model.forward(x, targets=y)
        model.backward()
        gradients.append(model.flat.grads)
    np.testing.assert_array_equal(*gradients)


def test_recompute_setting_reaches_training():
    ids = np.tile(np.arange(11), 30).astype(np.uint8)
    losses = []
    for on in (False, True):
        model = tiny_model(n_layers=3, dropout=0.2)
        for _ in range(2):
            settings = Settings(
                block_size=8, steps=3, batch_size=4, warmup=1, threads=2, recompute=on
            )
            steps = train(model, Dataset("x", ids, ids, len(ids)), settings)
            losses.append([step.loss for step in steps])
        assert [isinstance(b, RecomputedBlock) for b in model.blocks] == [on, on, False]
    assert losses[:2] == losses[2:]


def test_resumed_run_may_switch_recomputation_on(tmp_path):
    settings = tiny_settings(tmp_path, n_layers=2, steps=4, eval_every=2, dropout=0.1)
    whole = Run.new(settings, tmp_path / "whole")
    list(whole.steps())
    half = Run.new(settings, tmp_path / "half")
    for step in half.steps():
        if step.number == 2:  # this step is saved
            break
    on = Run.resume(tmp_path / "half", {"recompute": True})
    assert [step.number for step in on.steps()] == [3, 4]
    assert isinstance(on.model.blocks[0], RecomputedBlock)
    np.testing.assert_array_equal(on.model.flat.params, whole.model.flat.params)
