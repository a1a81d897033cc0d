import math

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import SGD, AdamW, Settings, clip_gradients, miniGPT
from minigpt.training.optimizers import optimizer_of


@pytest.fixture
def model() -> miniGPT:
    return tiny_model(5, max_len=4, d_model=4, n_heads=2, n_layers=1, dtype=np.float64)


def test_sgd_steps_downhill(model):
    before = model.flat.params.copy()
    model.flat.grads[...] = np.random.default_rng(0).normal(size=before.size)
    SGD(model).step(0.5)
    np.testing.assert_allclose(model.flat.params, before - 0.5 * model.flat.grads)


def test_adamw_equals_the_papers_algorithm(model):
    """The algorithm of the paper, one parameter at a time."""
    rng = np.random.default_rng(0)
    beta1, beta2, decay, eps = 0.9, 0.95, 0.1, 1e-8
    optimizer = AdamW(model, beta1, beta2, decay, eps)
    expected = model.flat.params.copy()
    m, v = [0.0] * expected.size, [0.0] * expected.size
    for t in range(1, 6):
        grads = rng.normal(size=expected.size)
        model.flat.grads[...] = grads
        learning_rate = 0.01 * t
        optimizer.step(learning_rate)
        for i, g in enumerate(grads):
            m[i] = beta1 * m[i] + (1 - beta1) * g
            v[i] = beta2 * v[i] + (1 - beta2) * g * g
            if i < model.flat.n_matrix_params:
                expected[i] -= learning_rate * decay * expected[i]
            m_hat, v_hat = m[i] / (1 - beta1**t), v[i] / (1 - beta2**t)
            expected[i] -= learning_rate * m_hat / (math.sqrt(v_hat) + eps)
        np.testing.assert_allclose(model.flat.params, expected, rtol=1e-12)


def test_weight_decay_applies_only_to_matrices(model):
    params = {name: param.copy() for name, param in model.params().items()}
    model.flat.grads[...] = 0
    AdamW(model, weight_decay=0.5).step(0.1)
    for name, param in model.params().items():
        expected = params[name] * (0.95 if param.ndim == 2 else 1)
        np.testing.assert_allclose(param, expected)


def test_adamw_keeps_float32():
    model = tiny_model()
    optimizer = AdamW(model)
    optimizer.step(1e-3)
    assert model.flat.params.dtype == np.float32
    assert optimizer.state["v"].dtype == np.float32


def test_clipping_limits_the_norm_and_keeps_the_direction():
    grads = np.array([3.0, 4.0])
    assert clip_gradients(grads, 10.0) == pytest.approx(5)
    np.testing.assert_array_equal(grads, [3, 4])
    assert clip_gradients(grads, 1.0) == pytest.approx(5)
    np.testing.assert_allclose(grads, [0.6, 0.8])


def test_unknown_optimizer_gets_a_suggestion(model):
    with pytest.raises(ValueError, match="did you mean 'adamw'"):
        optimizer_of(Settings(optimizer="adam"), model)
