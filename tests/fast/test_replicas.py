import contextvars
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import AdamW, Dataset, Settings, train
from minigpt.core.optim import clip_gradients
from minigpt.fast import replicas as parallel
from minigpt.fast import threads
from minigpt.fast.replicas import Replicas, share_out

small = partial(tiny_model, dtype=np.float64)


@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("wide", [False, True])
def test_replicas_give_the_gradients_of_the_whole_batch(monkeypatch, wide, rows, tie_weights, rng):
    if wide:
        monkeypatch.setattr(parallel, "WIDE_D_MODEL", 12)
    x, y = rng.integers(0, 11, (2, rows, 8))
    plain, cut = small(tie_weights=tie_weights), small(tie_weights=tie_weights)
    _, expected = plain.forward(x, targets=y)
    plain.backward()
    with Replicas(cut, 3) as replicas:
        assert len(replicas.models) == (1 if wide else 3)
        loss = replicas.learn(x, y)
    assert loss == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(cut.flat.grads, plain.flat.grads, rtol=1e-9, atol=1e-15)


def test_share_out_keeps_order_and_works_inside_the_block(monkeypatch):
    monkeypatch.setattr(threads, "MIN_NUMBERS_TO_SHARE", 10)
    assert share_out(lambda part: part, 20) == [slice(0, 20)]
    with Replicas(small(), 3):
        parts = share_out(lambda part: part, 20)
        assert parts == [slice(0, 6), slice(6, 13), slice(13, 20)]
        assert share_out(lambda part: part, 9) == [slice(0, 9)]  # too small to be split
        assert share_out(lambda part: part, 2, numbers=99) == [slice(0, 1), slice(1, 2)]
    with Replicas(small(), 1):
        assert share_out(lambda part: part, 20) == [slice(0, 20)]
    assert share_out(lambda part: part, 20) == [slice(0, 20)]


def test_clipping_and_adamw_are_the_same_to_the_bit_on_threads(monkeypatch, rng):
    monkeypatch.setattr(threads, "MIN_NUMBERS_TO_SHARE", 10)
    gradients = rng.normal(size=small().flat.grads.size)
    results = []
    for n_threads in (1, 3):
        one = small()
        optimizer = AdamW(one)
        with Replicas(one, n_threads):
            for _ in range(3):
                one.flat.grads[...] = gradients
                clip_gradients(one.flat.grads, 1.0)
                optimizer.step(1e-2)
        results.append(one.flat.params)
    np.testing.assert_array_equal(*results)


def test_training_may_continue_in_another_thread_or_context(monkeypatch):
    """Each cell of a notebook has its own context."""
    monkeypatch.setattr(threads, "MIN_NUMBERS_TO_SHARE", 10)
    ids = np.tile(np.arange(11), 30).astype(np.uint8)
    settings = Settings(block_size=8, steps=9, batch_size=4, warmup=1, threads=2, eval_tokens=32)
    steps = train(small(), Dataset("x", ids, ids, len(ids)), settings)
    contextvars.copy_context().run(next, steps)
    contextvars.copy_context().run(next, steps)
    with ThreadPoolExecutor(1) as other:
        other.submit(next, steps).result()
        other.submit(steps.close).result()
    assert share_out(lambda part: part, 20) == [slice(0, 20)]
    assert threads._active() is None
