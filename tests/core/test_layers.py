import math

import numpy as np
import pytest

from minigpt import (
    GELU,
    Dropout,
    Embedding,
    FeedForward,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    PositionalEncoding,
    ReLU,
    TransformerBlock,
    check_gradients,
    softmax,
)

F64 = np.float64
X = (2, 5, 12)

LAYERS = {
    "Linear": lambda dtype: Linear(12, 7, seed=0, dtype=dtype),
    "Linear without bias": lambda dtype: Linear(12, 7, bias=False, seed=0, dtype=dtype),
    "PositionalEncoding": lambda dtype: PositionalEncoding(5, 12, seed=0, dtype=dtype),
    "PositionalEncoding with room": lambda dtype: PositionalEncoding(8, 12, seed=0, dtype=dtype),
    "LayerNorm": lambda dtype: LayerNorm(12, dtype=dtype),
    "LayerNorm without bias": lambda dtype: LayerNorm(12, bias=False, dtype=dtype),
    "GELU": lambda dtype: GELU(),
    "ReLU": lambda dtype: ReLU(),
    "attention, 1 head": lambda dtype: MultiHeadAttention(12, 1, seed=0, dtype=dtype),
    "attention, 3 heads": lambda dtype: MultiHeadAttention(12, 3, seed=0, dtype=dtype),
    "attention, 12 heads": lambda dtype: MultiHeadAttention(
        12, 12, bias=False, seed=0, dtype=dtype
    ),
    "FeedForward gelu": lambda dtype: FeedForward(12, 20, seed=0, dtype=dtype),
    "FeedForward relu": lambda dtype: FeedForward(12, 20, "relu", bias=False, seed=0, dtype=dtype),
    "TransformerBlock": lambda dtype: TransformerBlock(12, 3, 20, seed=0, dtype=dtype),
    "TransformerBlock relu": lambda dtype: TransformerBlock(
        12, 2, 8, "relu", False, seed=0, dtype=dtype
    ),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
def test_layer_gradients_equal_central_differences(make):
    layer = make(F64)
    check = check_gradients(layer, np.random.default_rng(1).normal(size=X))
    assert {row.name for row in check.rows} == {"x", *layer.params()}
    assert check.ok, check
    assert max(row.error for row in check.rows) < 1e-6


def test_embedding_sums_gradients_of_repeated_ids():
    layer = Embedding(6, 4, seed=0, dtype=F64)
    ids = np.array([[0, 5, 5, 2], [2, 2, 5, 0]])
    check = check_gradients(layer, ids)
    assert [row.name for row in check.rows] == ["weight"]
    assert check.ok, check
    layer.backward(np.ones_like(layer.forward(ids)))
    assert not layer.grads()["weight"][[1, 3, 4]].any()  # ids that did not occur


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
def test_layers_keep_float32(make, rng):
    layer = make(np.float32)
    y = layer.forward(rng.normal(size=X).astype(np.float32))
    assert y.dtype == np.float32
    assert layer.backward(y).dtype == np.float32
    assert all(grad.dtype == np.float32 for grad in layer.grads().values())


def test_linear_multiplies_by_the_weight_and_adds_the_bias(rng):
    layer = Linear(3, 2, seed=0, dtype=F64)
    layer.params()["bias"][:] = [1, 2]
    x = rng.normal(size=(4, 5, 3))
    np.testing.assert_allclose(layer.forward(x), x @ layer.weight + [1, 2])


def test_params_returns_live_views():
    layer = Linear(3, 2, seed=0, dtype=F64)
    layer.params()["weight"][:] = 0
    assert not layer.forward(np.ones((1, 3))).any()


def test_layer_norm_output_has_mean_0_and_variance_1(rng):
    y = LayerNorm(64, dtype=F64).forward(rng.normal(3, 10, (2, 3, 64)))
    np.testing.assert_allclose(y.mean(axis=-1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=-1), 1, rtol=1e-5)


def test_gelu_equals_the_tanh_form_and_stays_finite():
    x = np.linspace(-40, 40, 401, dtype=np.float32)
    u = math.sqrt(2 / math.pi) * (x.astype(F64) + 0.044715 * x.astype(F64) ** 3)
    np.testing.assert_allclose(GELU().forward(x), 0.5 * x * (1 + np.tanh(u)), atol=1e-6)
    assert np.isfinite(GELU().forward(np.array([-1e4, 1e4], np.float32))).all()


def test_positional_encoding_adds_the_row_of_each_position():
    layer = PositionalEncoding(4, 3, seed=0, dtype=F64)
    y = layer.forward(np.zeros((2, 4, 3)))
    np.testing.assert_array_equal(y[0], layer.weight)
    np.testing.assert_array_equal(
        layer.forward(np.zeros((1, 2, 3)), positions=slice(2, 4))[0], layer.weight[2:]
    )


def test_attention_equals_its_definition(rng):
    B, T, C, H = 2, 4, 6, 2
    layer = MultiHeadAttention(C, H, seed=0, dtype=F64)
    for param in layer.params().values():
        param[...] = rng.normal(size=param.shape)
    x = rng.normal(size=(B, T, C))
    q, k, v = np.split(x @ layer.qkv.weight + layer.qkv.bias, 3, axis=-1)
    expected = np.empty((B, T, C))
    for b in range(B):
        for h in range(H):
            part = slice(h * C // H, (h + 1) * C // H)
            for t in range(T):  # only the tokens up to t
                scores = np.array([q[b, t, part] @ k[b, j, part] for j in range(t + 1)])
                weights = softmax(scores / math.sqrt(C / H))
                expected[b, t, part] = weights @ v[b, : t + 1, part]
    expected = expected @ layer.projection.weight + layer.projection.bias
    np.testing.assert_allclose(layer.forward(x), expected)


def test_attention_weights_sum_to_1_and_are_causal(rng):
    layer = MultiHeadAttention(12, 3, seed=0)
    layer.forward(rng.normal(size=X).astype(np.float32))
    np.testing.assert_allclose(layer.weights.sum(axis=-1), 1, rtol=1e-6)
    assert not np.triu(layer.weights, k=1).any()


@pytest.mark.parametrize("make", [LAYERS["attention, 3 heads"], LAYERS["TransformerBlock"]])
def test_attention_masks_the_future(make, rng):
    layer = make(F64)
    x = rng.normal(size=X)
    before = layer.forward(x)
    for t in range(1, X[1]):
        changed = x.copy()
        changed[:, t:] += rng.normal(size=changed[:, t:].shape)
        after = layer.forward(changed)
        np.testing.assert_array_equal(after[:, :t], before[:, :t])
        assert (after[:, t:] != before[:, t:]).any()


def test_dropout_keeps_the_mean_and_reuses_its_mask_in_backward():
    layer = Dropout(0.2, seed=0)
    x = np.ones((1000, 100), np.float32)
    y = layer.forward(x)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1.25)}
    assert y.mean() == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(layer.backward(x), y)
    assert layer.eval().forward(x) is x
    assert layer.backward(x) is x


@pytest.mark.parametrize("make", [MultiHeadAttention, FeedForward])
def test_layer_gradients_are_right_with_dropout(make, rng):
    check = check_gradients(make(12, 3, dropout=0.4, seed=0, dtype=F64), rng.normal(size=X))
    assert check.ok, check


def test_train_and_eval_reach_nested_layers(rng):
    block = TransformerBlock(12, 3, 20, dropout=0.5, seed=0)
    x = rng.normal(size=X).astype(np.float32)
    assert (block.forward(x) != block.forward(x)).any()
    assert block.eval() is block
    np.testing.assert_array_equal(block.forward(x), block.forward(x))
    assert (block.train().forward(x) != block.forward(x)).any()


def test_backward_overwrites_gradients(rng):
    layer = TransformerBlock(12, 3, 20, seed=0, dtype=F64)
    x, dy = rng.normal(size=X), rng.normal(size=X)
    layer.forward(x)
    layer.backward(dy)
    once = {name: grad.copy() for name, grad in layer.grads().items()}
    layer.backward(dy)
    for name, grad in layer.grads().items():
        np.testing.assert_array_equal(grad, once[name])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MultiHeadAttention(10, 4), ValueError, "d_model=10, n_heads=4"),
        (lambda: MultiHeadAttention(8, 0), ValueError, "n_heads must be at least 1, got 0"),
        (lambda: Linear(0, 3), ValueError, "d_in must be at least 1, got 0"),
        (lambda: Linear(3, -1), ValueError, "d_out must be at least 1, got -1"),
        (lambda: Linear(3.0, 1), TypeError, "d_in must be a whole number, got 3.0"),
        (lambda: Embedding(True, 4), TypeError, "n_embeddings must be a whole number"),
        (lambda: FeedForward(4, 8, "gleu"), ValueError, "did you mean 'gelu'"),
        (lambda: Dropout(1.0), ValueError, "less than 1, got 1.0"),
        (lambda: Dropout(-0.1), ValueError, "got -0.1"),
        (lambda: Linear(3, 2).forward(np.ones((2, 4))), ValueError, r"\(\.\.\., 3\), got \(2, 4\)"),
        (lambda: Linear(3, 2).backward(np.ones((2, 2))), AttributeError, "forward"),
        (lambda: Embedding(5, 2).forward(np.array([5])), ValueError, "from 0 to 4, got 5"),
        (lambda: Embedding(5, 2).forward(np.array([-1])), ValueError, "got -1"),
        (lambda: Embedding(5, 2).forward(np.array([0.5])), TypeError, "must be integers"),
        (
            lambda: PositionalEncoding(4, 2).forward(np.zeros((1, 5, 2))),
            ValueError,
            "5 tokens are more than max_len = 4",
        ),
    ],
)
def test_invalid_layer_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def gelu_and_slope(x):
    """Return GELU and its slope, in Python floats, with their limits far from 0."""
    if abs(x) > 100:
        return (x, 1.0) if x > 0 else (0.0, 0.0)
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    if -2 * u > 700:
        return 0.0, 0.0
    gate = 1 / (1 + math.exp(-2 * u))
    du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    return x * gate, gate + x * gate * (1 - gate) * 2 * du


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", [GELU(), ReLU()])
def test_activations_reach_their_limits(layer, dtype):
    about = np.finfo(dtype)
    sizes = [0, about.smallest_subnormal, about.tiny, 1e-20, 0.5, 3, 9.9, 10.1, 21, 29.9, 30.1]
    sizes += [1e3, 1e13, 1e15, 1e19, 1e30, about.max, np.inf]
    x = np.array([*sizes, *np.negative(sizes)], dtype)
    expected = [gelu_and_slope(float(each)) for each in x]
    if isinstance(layer, ReLU):
        expected = [(max(float(each), 0), float(each > 0)) for each in x]
    np.testing.assert_allclose(
        [layer.forward(x), layer.backward(np.ones_like(x))],
        np.transpose(expected),
        rtol=2e-5 if dtype == "float32" else 1e-12,
        atol=100 * float(about.tiny),  # exp(−2u) may be too large for the dtype
    )
    assert np.isnan(layer.forward(np.array([np.nan], dtype))).all()


def test_dropout_drops_infinite_values_to_0():
    dropout = Dropout(0.5, seed=0)
    x = np.full(100, np.inf, np.float32)
    y, dx = dropout.forward(x), dropout.backward(x)
    assert set(y) == set(dx) == {0, np.inf}
    np.testing.assert_array_equal(y == 0, ~dropout.kept)
    assert np.isinf(dropout.forward(np.full(9, 3e38, np.float32))).any()  # without a warning
