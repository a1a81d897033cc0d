"""One model used by several threads at once, in a fixed order of steps instead of by luck."""

import copy
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import (
    AdamW,
    Dataset,
    Linear,
    Sampling,
    Settings,
    complete,
    evaluate,
    trace,
    train,
)
from minigpt.core.cache import KVCache
from minigpt.core.generation import Reader, stream_choices
from minigpt.core.layers import twin
from minigpt.fast import flat_guard
from minigpt.fast.recompute import recompute
from minigpt.fast.replicas import Replicas
from minigpt.inside import Target, without_heads
from minigpt.text.tokenizers import CharTokenizer
from minigpt.training.freezing import freeze

V, T = 11, 8
IDS = np.arange(3 * T).reshape(3, T) ** 2 % V
TARGETS = IDS[::-1] * 3 % V


@pytest.fixture(params=["untied", "tied", "relu", "recomputed"])
def model(request):
    options = {"untied": {}, "tied": {"tie_weights": True}, "relu": {"activation": "relu"}}
    model = tiny_model(V, dropout=0.2, noise=0.3, **options.get(request.param, {}))
    if request.param == "recomputed":
        recompute(model)
    return model


def in_lockstep(monkeypatch, *works):
    """Run each work on its own thread; none leaves a linear layer before all are in it."""
    forward, together = Linear.forward, threading.Barrier(len(works), timeout=30)

    def wait_inside(self, x):
        y = forward(self, x)
        together.wait()
        return y

    monkeypatch.setattr(Linear, "forward", wait_inside)
    with ThreadPoolExecutor(len(works)) as pool:
        found = [result.result() for result in [pool.submit(work) for work in works]]
    monkeypatch.undo()
    return found


def test_threads_generate_at_once_as_each_alone(model, monkeypatch):
    contexts = [IDS, IDS[:, :3], TARGETS[:1]]
    works = [lambda c=c: model.generate(c, T, seed=len(c[0])) for c in contexts]
    alone = [work() for work in works]
    for one, other in zip(in_lockstep(monkeypatch, *works), alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_threads_go_forward_at_once_as_each_alone(model, monkeypatch):
    model.eval()
    works = [lambda ids=ids: model.forward(ids)[0] for ids in (IDS, IDS[:2, :5], TARGETS)]
    alone = [work() for work in works]
    for one, other in zip(in_lockstep(monkeypatch, *works), alone, strict=True):
        np.testing.assert_array_equal(one, other)


def read_only_uses(model):
    """Yield the results of all functions that only read a model."""
    tokenizer = CharTokenizer().train("abcdefghij")
    yield model.generate(IDS, T, seed=0)
    yield evaluate(model, IDS.ravel())
    seen = trace(model, IDS[0], target=Target(1))
    yield from (seen.logits, seen.gradient.logits)
    choices = stream_choices(model, IDS[:, :2], T, Sampling(), seed=1)
    yield from (log_probs for _, log_probs in choices)
    yield np.array(complete(model, tokenizer, ["abc"], 4, seed=0)[0].ids)
    yield Reader(model, IDS).logits
    yield without_heads(model, [(0, 1)]).eval().forward(IDS)[0]


def test_read_only_uses_disturb_no_backward_pass(model):
    other = copy.deepcopy(model)
    other.forward(IDS, targets=TARGETS)
    other.backward()
    model.forward(IDS, targets=TARGETS)  # its backward pass comes below
    assert len(list(read_only_uses(model))) > T
    assert all(layer.training for layer in (model, model.dropout, model.blocks[1].feed_forward))
    model.backward()
    np.testing.assert_array_equal(model.flat.grads, other.flat.grads)


def test_stream_is_not_affected_by_train_and_eval(model):
    expected = [log_probs for _, log_probs in stream_choices(model, IDS, T, seed=0)]
    found = []
    for _, log_probs in stream_choices(model, IDS, T, seed=0):
        found.append(log_probs)
        model.train(len(found) % 2 == 0)
        model.forward(IDS)
    np.testing.assert_array_equal(found, expected)


def test_training_step_and_generation_run_at_once(model, monkeypatch):
    alone = copy.deepcopy(model)

    def step(model):
        with Replicas(model, 1) as replicas:
            replicas.reseed(3)
            return replicas.learn(IDS, TARGETS)

    def write(model):
        return model.generate(IDS[:1], 3, seed=0), evaluate(model, IDS.ravel())

    loss, (text, measured) = step(alone), write(alone)
    forward, inside, may_go = Linear.forward, threading.Event(), threading.Event()

    def wait_while_training(self, x):
        y = forward(self, x)
        if threading.current_thread().name == "training" and not inside.is_set():
            inside.set()
            assert may_go.wait(30)
        return y

    monkeypatch.setattr(Linear, "forward", wait_while_training)
    found = []
    thread = threading.Thread(target=lambda: found.append(step(model)), name="training")
    thread.start()
    assert inside.wait(30)
    written, evaluated = write(model)  # in the middle of a training step
    model.eval()
    may_go.set()
    thread.join(30)
    assert evaluated == measured
    np.testing.assert_array_equal(written, text)
    assert found == [loss]
    np.testing.assert_array_equal(model.flat.grads, alone.flat.grads)


def test_training_by_two_threads_at_once_is_refused(model):
    dataset = Dataset("ids", IDS.ravel(), IDS.ravel(), IDS.size)
    settings = Settings(steps=2, batch_size=2, block_size=4, eval_tokens=8)
    inside, may_go = threading.Event(), threading.Event()

    class Waiting(AdamW):
        def step(self, learning_rate):
            inside.set()
            assert may_go.wait(30)
            super().step(learning_rate)

    def learn(optimizer=None, subject=model):
        return [step.loss for step in train(subject, dataset, settings, optimizer=optimizer)]

    alone = learn(subject=copy.deepcopy(model))
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(learn, Waiting(model))
        assert inside.wait(30)
        with pytest.raises(RuntimeError, match="another thread trains this model: train a copy"):
            learn()
        learn(subject=copy.deepcopy(model))
        may_go.set()
        assert first.result() == alone
    learn()  # the other thread has ended


def test_flat_arrays_are_laid_out_once_for_all_threads(monkeypatch):
    model, together = tiny_model(V), threading.Barrier(8, timeout=30)
    lay_flat = flat_guard.lay_flat

    def watched(*arguments):
        assert flat_guard._lock.locked()
        return lay_flat(*arguments)

    def ask():
        together.wait()
        return model.flat

    monkeypatch.setattr(flat_guard, "lay_flat", watched)
    with ThreadPoolExecutor(8) as pool:
        found = [future.result() for future in [pool.submit(ask) for _ in range(8)]]
    assert all(each is model.flat for each in found)
    assert all(np.shares_memory(each, model.flat.params) for each in model.params().values())


def test_twin_shares_only_the_arrays(model):
    other = twin(model).eval()
    for name, param in twin(model.blocks[0]).params().items():
        assert param is model.blocks[0].params()[name]
    assert model.training
    assert other.head.weight is model.head.weight
    assert other.blocks is not model.blocks
    expected = other.forward(IDS)[0]
    model.flat.params[...] *= 2
    assert not np.allclose(other.forward(IDS)[0], expected)


# ------------------------------------------------------------------------------------- copies


def pickled(thing):
    return pickle.loads(pickle.dumps(thing))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copied_model_learns_independently(model, copied):
    optimizer = AdamW(model)
    before = {name: param.copy() for name, param in model.params().items()}
    other = copied(model)
    assert type(other.blocks[0]) is type(model.blocks[0])
    assert other.params().keys() == before.keys()
    model.forward(IDS, targets=TARGETS)
    model.backward()
    optimizer.step(0.1)
    for name, param in model.params().items():
        assert not np.array_equal(param, before[name])
        np.testing.assert_array_equal(other.params()[name], before[name])
    assert AdamW(other).model.flat is other.flat
    other.flat.params[...] = 0
    assert not any(param.any() for param in other.params().values())
    assert not other.forward(IDS)[0].any()
    assert model.forward(IDS)[0].any()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copied_layer_has_its_own_arrays(model, copied):
    block = copied(model.blocks[1])
    for name, param in block.params().items():
        assert not np.shares_memory(param, model.blocks[1].params()[name])
    model.flat.params[...] = 0
    assert block.params()["attention.qkv.weight"].any()


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled])
def test_copied_optimizer_belongs_to_the_copied_model(model, copied):
    other, optimizer = copied((model, AdamW(model)))
    assert optimizer.model.flat is other.flat
    assert not np.shares_memory(other.flat.params, model.flat.params)
    other.forward(IDS, targets=TARGETS)
    other.backward()
    before = other.head.weight.copy()
    optimizer.step(0.1)
    assert not np.array_equal(other.head.weight, before)
    alone = copied(optimizer)
    assert alone.model is not other


def test_shallow_optimizer_copy_shares_model_and_state(model):
    optimizer = AdamW(model)
    other = copy.copy(optimizer)
    other.step(0.1)
    assert other.model.flat is model.flat
    assert optimizer.state["t"][0] == 1


def test_optimizer_made_before_freezing_is_refused(model):
    optimizer = AdamW(model)
    freeze(model, 1)
    with pytest.raises(ValueError, match="create a new optimizer after freezing"):
        optimizer.step(0.1)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_flat_arrays_cannot_be_copied_without_their_model(model, copied):
    with pytest.raises(TypeError, match="copy or pickle the model"):
        copied(model.flat)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copied_cache_continues_independently(copied):
    cache = KVCache((1, 1, 4, 2))
    cache.extend(*np.ones((2, 1, 1, 2, 2)))
    other = copied(cache)
    cache.extend(*np.full((2, 1, 1, 1, 2), 2.0))
    keys, values, _ = other.extend(*np.full((2, 1, 1, 1, 2), 3.0))
    assert keys[0, 0, :, 0].tolist() == values[0, 0, :, 0].tolist() == [1, 1, 3]
    assert cache.keys[0, 0, :3, 0].tolist() == [1, 1, 2]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_copied_dataset_has_the_same_tokens(tmp_path, copied):
    IDS.astype(np.uint16).tofile(tmp_path / "ids.bin")
    mapped = np.memmap(tmp_path / "ids.bin", np.uint16, mode="r")
    dataset = copied(Dataset("ids", mapped, mapped, mapped.size))
    np.testing.assert_array_equal(dataset.train, IDS.ravel())
    settings = Settings(steps=1, batch_size=2, block_size=4, eval_tokens=8)
    model = tiny_model(V)
    assert len(list(train(model, dataset, settings))) == 1
