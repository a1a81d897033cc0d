"""Compare fast and plain forms: values, gradients, dtypes, odd shapes, memory layouts."""

import copy

import numpy as np
import pytest
from layouts import LAYOUTS
from tiny import tiny_model

from minigpt import FeedForward, Linear
from minigpt.core.kernels import PLAIN, plain, using
from minigpt.fast import FORMS, attention, loss
from minigpt.fast.threads import Threads

V, C = 11, 6


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Cut even the small arrays of these tests into blocks, chunks, pieces and shares."""
    monkeypatch.setattr(attention, "BLOCK_LENGTH", 4)
    monkeypatch.setattr(loss, "LOGITS_PER_CHUNK", 3 * V)
    monkeypatch.setattr(loss, "LOGITS_PER_PIECE", 2 * V)
    monkeypatch.setattr(loss, "PRODUCT_ENTRIES_PER_PIECE", 2 * V)
    monkeypatch.setattr("minigpt.fast.threads.MIN_NUMBERS_TO_SHARE", 1)
    monkeypatch.setattr("minigpt.fast.threads.MAX_ROWS_LEFT_TO_BLAS", 1)
    monkeypatch.setattr("minigpt.fast.threads.PIECE_SIZE", 7)
    monkeypatch.setattr("minigpt.fast.feed_forward.PIECE_SIZE", 7)
    monkeypatch.setattr("minigpt.fast.feed_forward.MAX_SIZE_UNCUT", 0)


def linear(x, dy, bias):
    """Return the results of a linear layer's forward and backward pass, and its gradients."""
    layer = Linear(x.shape[-1], dy.shape[-1], bias=bias, seed=0, dtype=x.dtype)
    return [layer.forward(x), layer.backward(dy), *layer.grads().values()]


def feed_forward(x, dy, activation):
    layer = FeedForward(x.shape[-1], 10, activation, seed=0, dtype=x.dtype)
    layer.up.weight *= 50
    return [layer.forward(x), layer.backward(dy), *layer.grads().values()]


def attend(q, k, v, do):
    o, kept = run("attention", q, k, v)
    return [o, kept.weights, *run("attention_backward", do, kept)]


def head_loss(x, targets, tied, asked=True):
    head = Linear(C, V, bias=False, seed=0, dtype=x.dtype)
    head.weight *= 100
    if tied:  # weight and gradient are transposed, like views of the embedding's arrays
        head.weight, head.d_weight = head.weight.copy("F"), head.d_weight.copy("F")
    if asked:
        head.d_weight[...] = 9  # old values must not remain
    else:
        head.d_weight = None
    value, d_hidden = run("head_loss", head, x, targets, 0.25)
    return [value, d_hidden, *([head.d_weight] if asked else [])]


def in_pieces(x):
    seen = np.zeros_like(x.ravel())

    def work(part):
        seen[part] += x.ravel()[part] ** 2

    run("in_pieces", work, x.size)
    return [seen]


def last_logits(ids):
    model = tiny_model(V, max_len=9, d_model=C, n_heads=2, dtype="float64")
    return [model.generate(ids, 12, seed=0)]


def run(name, *arguments):
    """Run a kernel in its current form."""
    from minigpt.core import functional, generation, model

    for module in (functional, generation, model):
        if hasattr(module, name):
            return getattr(module, name)(*arguments)
    raise AssertionError(name)


def both(subject, *arguments):
    """Return the results in the plain form, in the fast form, and in the fast form on 3 threads."""
    with plain():
        expected = subject(*copy.deepcopy(arguments))
    with using(FORMS):
        found = subject(*arguments)
    with using(FORMS), Threads(3):
        threaded = subject(*arguments)
    return expected, found, threaded


def assert_equal(expected, *others):
    for found in others:
        assert len(found) == len(expected)
        for ours, theirs in zip(found, expected, strict=True):
            if isinstance(theirs, float):
                assert ours == pytest.approx(theirs, rel=1e-5)
                continue
            assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
            tolerance = 1e-12 if theirs.dtype == np.float64 else 2e-5
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def numbers(*shape, dtype="float64", seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


TOKENS = [(1,), (5,), (2, 3), (1, 17), (3, 1, 2)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", TOKENS)
@pytest.mark.parametrize("bias", [True, False])
def test_linear_forms_are_equal(shape, dtype, bias):
    x, dy = numbers(*shape, C, dtype=dtype), numbers(*shape, 4, dtype=dtype, seed=1)
    assert_equal(*both(linear, x, dy, bias))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [*TOKENS, (0,), (2, 0)])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_feed_forward_forms_are_equal(shape, dtype, activation):
    x, dy = numbers(*shape, C, dtype=dtype), numbers(*shape, C, dtype=dtype, seed=1)
    assert_equal(*both(feed_forward, x, dy, activation))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("T", "K"), [(1, 1), (8, 8), (9, 9), (12, 12), (17, 17), (9, 20), (1, 5)])
def test_attention_forms_are_equal(T, K, dtype):
    q, k, v, do = (numbers(2, 3, n, 4, dtype=dtype, seed=n) for n in (T, K, K, T))
    assert_equal(*both(attend, q, k, v, do))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", TOKENS)
@pytest.mark.parametrize("tied", [True, False])
def test_head_loss_forms_are_equal(shape, dtype, tied):
    x, targets = numbers(*shape, C, dtype=dtype), np.random.default_rng(0).integers(0, V, shape)
    assert_equal(*both(head_loss, x, targets, tied))
    assert_equal(*both(head_loss, x, targets, tied, False))


@pytest.mark.parametrize("size", [0, 1, 6, 7, 8, 50])
def test_in_pieces_forms_are_equal(size):
    assert_equal(*both(in_pieces, numbers(size)))


def test_last_logits_forms_are_equal():
    assert_equal(*both(last_logits, [[1, 2, 3], [4], [5, 6]]))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_forms_are_equal_for_any_memory_layout(layout):
    lay = LAYOUTS[layout]
    x, dy = lay(numbers(3, 5, C)), lay(numbers(3, 5, C, seed=1))
    targets = lay(np.random.default_rng(0).integers(0, V, (3, 5)))
    q, k, v, do = (lay(numbers(2, 3, 9, 4, seed=seed)) for seed in range(4))
    assert_equal(*both(linear, x, dy, True))
    assert_equal(*both(feed_forward, x, dy, "gelu"))
    assert_equal(*both(attend, q, k, v, do))
    assert_equal(*both(head_loss, x, targets, False))


def test_forms_are_equal_for_infinite_scores():
    head = Linear(2, 3, bias=False, dtype="float64")
    head.weight[...] = np.array([[1, 2, 3], [4, 5, 6]])
    x = np.array([[np.inf, 0], [1, 1e308]])
    with np.errstate(all="ignore"):
        expected, *others = both(lambda x: [run("head_loss", head, x, np.array([2, 0]))[0]], x)
    assert all(np.array_equal(found, expected, equal_nan=True) for found in others)


def test_fast_backward_accepts_what_the_plain_forward_kept():
    q, k, v, do = (numbers(1, 2, 9, 4, seed=seed) for seed in range(4))
    _, kept = PLAIN["attention"](q, k, v)
    for ours, theirs in zip(
        FORMS["attention_backward"](do, kept),
        PLAIN["attention_backward"](do, kept),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    layer, x = FeedForward(C, 10, seed=0, dtype="float64"), numbers(3, C)
    with plain():
        layer.forward(x)
        expected = layer.backward(x)
        layer.forward(x)
    with using(FORMS):
        np.testing.assert_allclose(layer.backward(x), expected, rtol=1e-12)


def test_every_fast_form_replaces_a_kernel_and_has_a_test():
    kernels = {name.removesuffix("_backward") for name in FORMS}
    assert {f"test_{kernel}_forms_are_equal" for kernel in kernels} <= globals().keys()
    assert FORMS.keys() <= PLAIN.keys()


def test_plain_block_does_not_change_the_forms_of_other_threads():
    import threading

    seen = []
    with plain():
        thread = threading.Thread(target=lambda: seen.append(attended()))
        thread.start()
        thread.join()
        seen.append(attended())
    assert seen == ["BlockedAttentionKept", "AttentionKept"]


def attended():
    return type(run("attention", *(numbers(1, 1, 9, 4) for _ in range(3)))[1]).__name__
