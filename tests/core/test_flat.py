import copy
import pickle

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import AdamW, Dataset, Settings, miniGPT, train
from minigpt.training.freezing import freeze

X = np.arange(24).reshape(3, 8) ** 2 % 11
Y = X[::-1] * 3 % 11


def small(tie_weights: bool = False, **options) -> miniGPT:
    return tiny_model(n_layers=3, tie_weights=tie_weights, dtype=np.float64, **options)


def gradients(model: miniGPT) -> dict:
    model.forward(X, targets=Y)
    model.backward()
    return {name: grad.copy() for name, grad in model.grads().items()}


def frozen_names(n_blocks: int, model: miniGPT) -> set:
    starts = ("token_", "position_", *(f"blocks.{i}." for i in range(n_blocks)))
    return {name for name in model.params() if name.startswith(starts)}


@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("n_blocks", [1, 2, 3])
def test_frozen_layers_have_zero_gradients_and_others_the_usual(n_blocks, tie_weights):
    free = gradients(small(tie_weights))
    model = small(tie_weights)
    gradients(model)  # what was written before must not stay
    freeze(model, n_blocks)
    below = frozen_names(n_blocks, model)
    for name, grad in gradients(model).items():
        np.testing.assert_array_equal(grad, np.zeros_like(grad) if name in below else free[name])
    assert model.flat.params.size == sum(
        param.size for name, param in model.params().items() if name not in below
    )


def test_frozen_layers_do_not_learn_on_threads():
    model = small()
    freeze(model, 2)
    before = {name: param.copy() for name, param in model.params().items()}
    ids = np.tile(np.arange(11), 30).astype(np.uint8)
    settings = Settings(block_size=8, steps=4, batch_size=6, warmup=1, threads=2, eval_tokens=32)
    list(train(model, Dataset("x", ids, ids, len(ids)), settings))
    below = frozen_names(2, model)
    for name, param in model.params().items():
        assert (param == before[name]).all() == (name in below), name
    assert AdamW(model).state["m"].size == model.flat.params.size


def test_frozen_model_has_the_same_losses_on_threads():
    ids = np.tile(np.arange(11), 30).astype(np.uint8)
    losses = []
    for threads in (1, 2):
        model = small(tie_weights=True)
        freeze(model, 1)
        settings = Settings(block_size=8, steps=4, batch_size=6, warmup=1, threads=threads)
        losses.append([s.loss for s in train(model, Dataset("x", ids, ids, len(ids)), settings)])
    np.testing.assert_allclose(*losses, rtol=1e-12)


@pytest.mark.parametrize("n_blocks", [0, -1, 4])
def test_freeze_refuses_a_wrong_number_of_blocks(n_blocks):
    with pytest.raises(ValueError, match=f"from 1 to 3, the blocks of the model, got {n_blocks}"):
        freeze(small(), n_blocks)


def test_params_are_views_of_the_flat_arrays_also_in_a_copy():
    for model in (small(), copy.deepcopy(small()), small(tie_weights=True)):
        assert all(np.shares_memory(p, model.flat.params) for p in model.params().values())
        assert all(np.shares_memory(g, model.flat.grads) for g in model.grads().values())
        assert model.head.weight is not None
        assert np.shares_memory(model.head.weight, model.flat.params)


@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("through", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copied_model_has_right_gradients_before_flat_is_used(through, tie_weights):
    model = small(tie_weights)
    expected = gradients(model)
    for name, grad in gradients(through(model)).items():
        np.testing.assert_array_equal(grad, expected[name])
