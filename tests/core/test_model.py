import copy
import math
import pickle
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import BPETokenizer, WordTokenizer, check_gradients, get_batch, miniGPT
from minigpt.core.generation import new_cache

V, T = 13, 8
IDS = np.arange(3 * T).reshape(3, T) ** 2 % V
TARGETS = IDS[::-1] * 3 % V


small = partial(tiny_model, vocab_size=V, d_ff=20, dtype=np.float64)


@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_model_gradients_equal_central_differences(tie_weights, bias, activation):
    model = small(tie_weights=tie_weights, bias=bias, activation=activation, n_layers=1, noise=0.3)
    check = check_gradients(model, IDS[:, :5], TARGETS[:, :5])
    assert [row.name for row in check.rows] == list(model.params())
    assert check.ok, check


def test_model_output_and_gradient_shapes():
    model = small()
    logits, loss = model.forward(IDS)
    assert logits.shape == (3, T, V)
    assert loss is None
    logits, loss = model.forward(IDS, targets=TARGETS)
    assert logits.shape == (3, T, V)
    assert isinstance(loss, float)
    assert {n: g.shape for n, g in model.grads().items()} == {
        n: p.shape for n, p in model.params().items()
    }


def test_untrained_model_has_the_loss_of_uniform_guessing():
    model = small(vocab_size=1000, d_model=48)
    _, loss = model.forward(IDS, targets=TARGETS)
    assert loss == pytest.approx(math.log(1000), abs=0.1)


def test_model_logits_do_not_depend_on_future_tokens():
    model = small(noise=0.3)
    before, _ = model.forward(IDS)
    for t in range(1, T):
        changed = IDS.copy()
        changed[:, t] = (changed[:, t] + 1) % V
        after, _ = model.forward(changed)
        np.testing.assert_array_equal(after[:, :t], before[:, :t])
        assert (after[:, t:] != before[:, t:]).any()


def test_cache_gives_the_logits_of_a_whole_pass():
    model = small(noise=0.3)
    whole, _ = model.forward(IDS)
    cache = new_cache(model, len(IDS))
    parts = [model.forward(part, cache=cache)[0] for part in np.split(IDS, [3, 4, 5], axis=1)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-12)


def test_logits_are_not_overwritten_by_later_passes():
    model = small()
    logits, _ = model.forward(IDS, targets=TARGETS)
    kept = logits.copy()
    model.backward()
    model.forward(TARGETS, targets=IDS)
    model.backward()
    np.testing.assert_array_equal(logits, kept)


def test_initial_weights_are_distributed_as_in_gpt2():
    model = small(d_model=96, n_layers=8, vocab_size=200)
    params = model.params()
    assert params["token_embedding.weight"].std() == pytest.approx(0.02, rel=0.05)
    assert params["blocks.3.feed_forward.up.weight"].std() == pytest.approx(0.02, rel=0.05)
    for name in ("attention.projection", "feed_forward.down"):
        expected = 0.02 / math.sqrt(2 * 8)
        assert params[f"blocks.3.{name}.weight"].std() == pytest.approx(expected, rel=0.05)
    assert not params["blocks.0.attention.qkv.bias"].any()
    assert (params["final_norm.scale"] == 1).all()


def test_seed_determines_weights_and_dropout():
    one, other = small(seed=7, dropout=0.3), small(seed=7, dropout=0.3)
    np.testing.assert_array_equal(one.flat.params, other.flat.params)
    np.testing.assert_array_equal(one.forward(IDS)[0], other.forward(IDS)[0])
    assert (one.flat.params != small(seed=8).flat.params).any()


def test_dropout_is_active_only_in_training_mode():
    model = small(dropout=0.5)
    assert (model.forward(IDS)[0] != model.forward(IDS)[0]).any()
    model.eval()
    np.testing.assert_array_equal(model.forward(IDS)[0], model.forward(IDS)[0])


def test_bias_false_removes_biases_and_shifts():
    names = small(bias=False).params()
    assert not [name for name in names if name.endswith(("bias", "shift"))]
    assert "head.bias" not in small().params()


def test_tied_weights_share_one_array():
    model = small(tie_weights=True)
    assert "head.weight" not in model.params()
    model.params()["token_embedding.weight"][...] = 2.0
    assert (model.head.weight == 2.0).all()


@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copied_model_has_its_own_views(copied, tie_weights):
    model = small(tie_weights=tie_weights, noise=0.3)
    model.forward(IDS, targets=TARGETS)
    model.backward()
    twin = copied(model)
    np.testing.assert_array_equal(twin.flat.params, model.flat.params)
    np.testing.assert_array_equal(twin.flat.grads, model.flat.grads)
    twin.flat.params[...] = 0
    assert all(not param.any() for param in twin.params().values())
    assert not twin.head.weight.any()
    assert not twin.forward(IDS)[0].any()
    assert model.flat.params.any()


def test_flat_array_holds_matrices_first():
    model = small()
    model.flat.params[...] = np.arange(model.flat.params.size)
    matrices = [p for p in model.params().values() if p.ndim == 2]
    assert model.flat.n_matrix_params == sum(p.size for p in matrices)
    assert max(p.max() for p in matrices) == model.flat.n_matrix_params - 1
    model.flat.grads[...] = 3.0
    assert all((grad == 3.0).all() for grad in model.grads().values())


def test_model_table_counts_every_parameter():
    model = small(n_layers=3)
    text = str(model)
    total = sum(p.size for p in model.params().values())
    assert f"{total:,}" in text.splitlines()[-1]
    assert "(13, 12)" in text
    assert "blocks.1 … blocks.2" in text
    assert "token_embedding's, transposed" in str(small(tie_weights=True))


@pytest.mark.parametrize(
    "make_tokenizer",
    [
        lambda text: WordTokenizer().train(text),
        lambda text: BPETokenizer().train(text, vocab_size=280),
    ],
)
def test_readme_training_loop_learns(make_tokenizer):
    text = "my dear friend, my dear lantern and my dear old goose. " * 40
    tokenizer = make_tokenizer(text)
    train_data = np.array(tokenizer.encode(text))
    block_size, batch_size, learning_rate = 16, 8, 0.3
    vocab_size = tokenizer.vocab_size
    model = miniGPT(
        vocab_size=vocab_size,
        max_len=block_size,
        d_model=32,
        n_heads=4,
        n_layers=2,
        d_ff=64,
        seed=0,
    )
    batches = np.random.default_rng(0)
    losses = []
    for _ in range(60):
        x, y = get_batch(train_data, block_size, batch_size, batches)
        logits, loss = model.forward(x, targets=y)
        model.backward()
        for name, param in model.params().items():
            grad = model.grads()[name]
            param -= learning_rate * grad
        losses.append(loss)
    assert logits.shape == (batch_size, block_size, vocab_size)
    assert losses[0] == pytest.approx(math.log(vocab_size), abs=0.2)
    assert np.mean(losses[-5:]) < 0.6 * losses[0]
    context = np.array([[tokenizer.encode("my dear")[0]]])
    generated_ids = model.generate(context, max_new_tokens=50)
    assert generated_ids.shape == (1, 51)
    assert tokenizer.decode(generated_ids[0]).startswith("my")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"vocab_size": 0}, ValueError, "vocab_size must be at least 1, got 0"),
        ({"max_len": -1}, ValueError, "max_len must be at least 1, got -1"),
        ({"n_layers": 0}, ValueError, "n_layers must be at least 1, got 0"),
        ({"d_model": 10}, ValueError, "d_model=10, n_heads=3"),
        ({"d_ff": 0}, ValueError, "d_ff must be at least 1, got 0"),
        ({"d_model": 12.0}, TypeError, "d_model must be a whole number, got 12.0"),
        ({"dropout": 1.5}, ValueError, "dropout must be at least 0"),
        ({"activation": "geluu"}, ValueError, "did you mean 'gelu'"),
        ({"dtype": np.float16}, ValueError, "dtype must be float32 or float64"),
    ],
)
def test_invalid_model_sizes_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        small(**options)


@pytest.mark.parametrize(
    ("ids", "targets", "error", "message"),
    [
        (np.zeros((1, T + 1), int), None, ValueError, f"{T + 1} tokens do not fit .* room for {T}"),
        (np.array([[0, V]]), None, ValueError, f"token ids must be from 0 to {V - 1}, got {V}"),
        (np.array([[0, -3]]), None, ValueError, "got -3"),
        (np.array([[0.0, 1.0]]), None, TypeError, "token ids must be integers"),
        (np.array([0, 1]), None, ValueError, r"\(batch, time\), got shape \(2,\)"),
        (np.zeros((1, 0), int), None, ValueError, r"got shape \(1, 0\)"),
        (IDS, TARGETS[:, :-1], ValueError, r"shape \(3, 8\), got shape \(3, 7\)"),
        (IDS, TARGETS + V, ValueError, "targets must be from 0"),
    ],
)
def test_invalid_ids_are_refused(ids, targets, error, message):
    with pytest.raises(error, match=message):
        small().forward(ids, targets=targets)


def test_backward_without_a_loss_is_refused():
    model = small()
    with pytest.raises(RuntimeError, match="call forward"):
        model.backward()
    model.forward(IDS, targets=TARGETS)
    model.forward(IDS)
    with pytest.raises(RuntimeError, match="call forward"):
        model.backward()
    model.forward(IDS, targets=TARGETS)
    with pytest.raises(ValueError, match="targets"):
        model.forward(IDS, targets=TARGETS[:1])
    with pytest.raises(RuntimeError, match="call forward"):
        model.backward()


def test_the_core_imports_only_numpy_and_the_standard_library():
    code = """
import sys, numpy.ma, numpy.random
before = set(sys.modules)
import minigpt.core.model, minigpt.text.tokenizers, minigpt.core.optim
import minigpt
tokenizer = minigpt.BPETokenizer().train("my dear " * 9, vocab_size=260)
model = minigpt.miniGPT(260, 8, 8, 2, 1)
model.forward([[1, 2]], targets=[[2, 3]])
model.backward()
model.generate([[1]], 3)
tops = {name.split(".")[0] for name in set(sys.modules) - before}
print(sorted(tops - sys.stdlib_module_names - {"minigpt", "numpy"}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
