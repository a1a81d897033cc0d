"""Compare every number in a trace with the formulas, written out plainly here."""

import json
import math
from dataclasses import fields
from functools import partial

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import BPETokenizer, WordTokenizer
from minigpt.core import kernels
from minigpt.inside import BlockActivations, Target, Trace, trace
from minigpt.inside.trace_in_words import walk

F64 = "float64"
TEXT = "my dear goose , take this lantern . my dear fox , where is my lantern ?"
MODELS = {
    "gelu": {},
    "relu, no bias": {"activation": "relu", "bias": False},
    "tied": {"tie_weights": True},
    "one head": {"n_heads": 1, "d_ff": 7},
}
OUTER = ("token_embedding", "position_embedding", "embedding", "final_norm", "logits")
INNER = tuple(field.name for field in fields(BlockActivations))


small = partial(tiny_model, vocab_size=20, max_len=40, dtype=F64, dropout=0.3, noise=0.3)


@pytest.fixture(scope="module")
def tokenizer():
    return WordTokenizer().train(TEXT)


def plain(model, ids, change=None):
    """Compute all arrays with loops; `change` (name → array) is added to some of them."""
    kept = {}

    def note(name, value):
        value = value + change.get(name, 0) if change else value
        kept[name] = value
        return value

    def linear(x, layer):
        y = np.array([[sum(row * column) for column in layer.weight.T] for row in x])
        return y if layer.bias is None else y + layer.bias

    def norm(x, layer):
        rows = [(row - np.mean(row)) / math.sqrt(np.var(row) + layer.eps) for row in x]
        y = np.array(rows) * layer.scale
        return y if layer.shift is None else y + layer.shift

    def gelu(x):
        return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    T, C, H = len(ids), model.d_model, model.n_heads
    D = C // H
    tokens = note("token_embedding", model.token_embedding.weight[ids])
    places = note("position_embedding", model.position_embedding.weight[:T])
    x = note("embedding", tokens + places)
    for i, block in enumerate(model.blocks):
        at = f"blocks.{i}."
        x = note(at + "input", x)
        n = note(at + "norm_1", norm(x, block.norm_1))
        qkv = linear(n, block.attention.qkv)
        parts = [qkv[:, j * C : (j + 1) * C] for j in range(3)]
        per_head = [[part[:, h * D : (h + 1) * D] for h in range(H)] for part in parts]
        q, k, v = (note(at + "qkv"[j], np.array(per_head[j])) for j in range(3))
        scores = np.full((H, T, T), -np.inf)
        for h, t in np.ndindex(H, T):
            for s in range(t + 1):
                scores[h, t, s] = q[h, t] @ k[h, s] / math.sqrt(D)
        scores = note(at + "scores", scores)
        weights = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
        weights = note(at + "weights", weights)
        heads = np.zeros((H, T, D))
        for h, t, s in np.ndindex(H, T, T):
            heads[h, t] += weights[h, t, s] * v[h, s]
        heads = note(at + "heads", heads)
        rows = [model.blocks[i].attention.projection.weight[h * D : (h + 1) * D] for h in range(H)]
        writes = note(at + "head_writes", np.array([heads[h] @ rows[h] for h in range(H)]))
        bias = block.attention.projection.bias
        attention = note(at + "attention", sum(writes) + (0 if bias is None else bias))
        middle = note(at + "middle", x + attention)
        n = note(at + "norm_2", norm(middle, block.norm_2))
        up = note(at + "up", linear(n, block.feed_forward.up))
        act = gelu if model.activation == "gelu" else (lambda value: max(value, 0.0))
        neurons = note(at + "neurons", np.vectorize(act)(up))
        feed_forward = note(at + "feed_forward", linear(neurons, block.feed_forward.down))
        x = note(at + "output", middle + feed_forward)
    n = note("final_norm", norm(x, model.final_norm))
    note("logits", linear(n, model.head))
    return kept


def named(activations):
    """Return all arrays of a trace or gradient by name."""
    arrays = {name: getattr(activations, name) for name in OUTER}
    for i, block in enumerate(activations.blocks):
        arrays |= {f"blocks.{i}.{name}": getattr(block, name) for name in INNER}
    return arrays


@pytest.mark.parametrize("changes", MODELS.values(), ids=MODELS.keys())
def test_trace_equals_values_computed_by_hand(changes):
    model = small(**changes)
    ids = [3, 3, 19, 0, 7]
    expected, found = plain(model, ids), named(trace(model, ids))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-10, atol=1e-12, err_msg=name)


def test_trace_comparison_notices_a_change_in_any_array():
    """All arrays differ from each other and from zero, so the test above means something."""
    arrays = named(trace(small(), [3, 3, 19, 0, 7]))
    sums = {}
    for name, value in arrays.items():
        finite = value[np.isfinite(value)]
        assert np.abs(finite).max() > 0.01, name
        sums.setdefault(round(float((finite**2).sum()), 6), []).append(name)
    same = [names for names in sums.values() if len(names) > 1]
    # Only the output of one step and the input of the next are equal.
    assert same == [["embedding", "blocks.0.input"], ["blocks.0.output", "blocks.1.input"]]


@pytest.mark.parametrize("of", ["logit", "surprise"])
@pytest.mark.parametrize("changes", MODELS.values(), ids=MODELS.keys())
def test_trace_gradients_equal_central_differences(changes, of):
    model = small(**changes)
    ids, target = [3, 3, 19, 0, 7], Target(token=4, position=3, of=of)
    seen = trace(model, ids, target=target)
    assert seen.target == target

    def value(change):
        logits = plain(model, ids, change)["logits"][3]
        return logits[4] if of == "logit" else math.log(np.exp(logits).sum()) - logits[4]

    rng = np.random.default_rng(2)
    for name, gradient in named(seen.gradient).items():
        direction = rng.normal(size=gradient.shape)
        step = 1e-5 * direction
        if name.endswith("weights"):  # scores of −inf make weights of 0, which may be changed too
            step = np.tril(step)
        slope = (value({name: step}) - value({name: -step})) / 2e-5
        by_trace = (gradient * step).sum() / 1e-5
        np.testing.assert_allclose(by_trace, slope, rtol=1e-5, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("length", [1, 2, 128, 129, 200])
def test_trace_works_for_blocked_attention(length):
    model = small(max_len=200).eval()
    ids = np.random.default_rng(0).integers(0, 20, length)
    seen = trace(model, ids, target=Target(1))
    with kernels.plain():  # as in a trace
        np.testing.assert_array_equal(seen.logits, model.forward(ids[None])[0][0])
    block = seen.blocks[-1]
    np.testing.assert_allclose(block.weights.sum(axis=-1), 1)
    assert (block.weights[:, ~np.tri(length, dtype=bool)] == 0).all()
    with np.errstate(divide="ignore"):
        log_weights = block.scores - np.log(np.exp(block.scores).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(np.exp(log_weights), block.weights, atol=1e-12)
    np.testing.assert_allclose(block.weights @ block.v, block.heads, atol=1e-12)
    # The gradient of the embedding is also the gradient of the position vectors.
    targets = np.full((1, length), 1)
    dlogits = np.zeros_like(seen.logits)[None]
    model.forward(ids[None], targets)
    dlogits[0, -1] = np.exp(seen.logits[-1]) / np.exp(seen.logits[-1]).sum()
    dlogits[0, -1, 1] -= 1
    model.backward(dlogits)
    expected = model.grads()["position_embedding.weight"][:length]
    np.testing.assert_allclose(seen.gradient.embedding, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("tied", [False, True])
def test_trace_does_not_change_the_model(tied):
    model = small(tie_weights=tied).train()
    ids = np.array([[1, 2, 3]])
    model.forward(ids, ids)
    model.backward()
    params, grads = model.flat.params.copy(), model.flat.grads.copy()
    kept, logits = model.blocks[0].norm_1.kept[0].copy(), model.kept[0]
    trace(model, [5, 6, 7, 8], target=Target(2))
    assert model.training
    assert model.blocks[1].attention.residual_dropout.training
    assert model.kept[0] is logits
    np.testing.assert_array_equal(model.flat.params, params)
    np.testing.assert_array_equal(model.flat.grads, grads)
    np.testing.assert_array_equal(model.blocks[0].norm_1.kept[0], kept)
    model.backward()  # of the forward pass before the trace
    np.testing.assert_array_equal(model.flat.grads, grads)


def test_trace_keeps_float32():
    seen = trace(small(dtype="float32"), [1, 2, 3], target=Target(2))
    for activations in (seen, seen.gradient):
        assert {array.dtype for array in named(activations).values()} == {np.dtype("float32")}


def test_trace_of_a_text_has_pieces_and_next_tokens(tokenizer):
    model = small(vocab_size=tokenizer.vocab_size)
    seen = trace(model, TEXT, tokenizer)
    assert "".join(seen.pieces) == TEXT
    assert seen.ids.tolist() == tokenizer.encode(TEXT)
    assert (seen.n_dropped, seen.target, seen.gradient) == (0, None, None)
    best = list(seen.top(3))
    p = np.exp(seen.logits[-1]) / np.exp(seen.logits[-1]).sum()
    assert [i for i, _, _ in best] == np.argsort(-p)[:3].tolist()
    np.testing.assert_allclose([probability for _, _, probability in best], np.sort(p)[::-1][:3])
    assert [piece for _, piece, _ in best] == [tokenizer.decode([i]) for i, _, _ in best]
    np.testing.assert_allclose(seen.probabilities(0).sum(), 1)
    np.testing.assert_array_equal(
        seen.stream,
        [seen.embedding, *(x for block in seen.blocks for x in (block.middle, block.output))],
    )
    assert seen.weights.shape == (2, 3, len(seen.ids), len(seen.ids))


def test_trace_pieces_of_partial_characters_and_unknown_ids():
    tokenizer = BPETokenizer().train("äöü" * 5, 260)
    seen = trace(small(vocab_size=300), [*tokenizer.encode("ß"), 299], tokenizer)
    assert seen.pieces == ["<c3>", "<9f>", "[id 299]"]
    assert trace(small(), [4, 0]).pieces == ["#4", "#0"]


def test_trace_uses_the_end_of_a_long_text(tokenizer):
    model = small(vocab_size=tokenizer.vocab_size, max_len=4)
    ids = tokenizer.encode(TEXT)
    seen = trace(model, TEXT, tokenizer)
    assert seen.ids.tolist() == ids[-4:]
    assert seen.n_dropped == len(ids) - 4
    assert f"{len(ids) - 4} tokens before these were left out" in " ".join(str(seen).split())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([],), ValueError, "at least one token"),
        (([[1, 2]],), ValueError, r"one text .* shape \(1, 2\)"),
        (([1, 20],), ValueError, "token ids must be from 0 to 19, got 20"),
        (([-1] + [1] * 60,), ValueError, "from 0 to 19, got -1"),
        (([0.5],), TypeError, "must be integers"),
        (("my dear",), ValueError, "needs its tokenizer"),
        (([1], None, Target(20)), ValueError, "the target's token must be from 0 to 19"),
        (([1], None, Target(2, 1)), ValueError, "position must be from -1 to 0, got 1"),
        (([1], None, Target(2, 0, "los")), ValueError, "logit, surprise"),
    ],
)
def test_trace_refuses_invalid_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        trace(small(), *arguments)


def test_trace_of_an_empty_text(tokenizer):
    with pytest.raises(ValueError, match="at least one token"):
        trace(small(vocab_size=tokenizer.vocab_size), "", tokenizer)


# ── in words ──


@pytest.mark.parametrize("width", [30, 80])
def test_walk_shows_the_numbers_in_order(tokenizer, width):
    model = small(vocab_size=tokenizer.vocab_size)
    seen = trace(model, "my dear goose", tokenizer, Target(3))
    text = walk(seen, width)
    assert max(map(len, text.splitlines())) <= width
    titles = ["TOKENS", "EMBEDDING", "BLOCK 0", "BLOCK 1", "ANSWER", "BACKWARD"]
    assert [line.split("  ")[0] for line in text.splitlines() if line[:2].isupper()] == titles
    words = " ".join(text.split())
    for piece, token in zip(seen.pieces, seen.ids, strict=True):
        assert f"“{piece.replace(' ', '·')}” {token}" in words
    for shape in ("(5, 12)", "(3, 5, 4)", "(3, 5, 5)", "(5, 48)"):
        assert shape in words
    weights = seen.blocks[1].weights[2, -1]
    first = int(weights.argmax())
    piece = seen.pieces[first].replace(" ", "·")
    looks = f"head 2: “goose” looks at “{piece}” {weights[first]:.0%}"
    assert looks in words.split("BLOCK 1")[1]
    block = seen.blocks[1]
    added, before = (np.linalg.norm(x[-1]) for x in (block.attention, block.input))
    assert f"a vector of length {added:.2f} to one of length {before:.2f}" in words
    _, piece, probability = next(seen.top(1))
    assert f"{probability:.1%} “{piece.replace(' ', '·')}”" in words
    longest = np.linalg.norm(seen.gradient.embedding, axis=-1).max()
    assert f"{longest:.2g}" in words.split("after the embedding")[1]
    assert str(trace(model, "my dear", tokenizer)).count("BACKWARD") == 0


def test_walk_is_safe_and_short_for_odd_and_long_texts():
    tokenizer = BPETokenizer().train("a", 257)
    model = small(vocab_size=tokenizer.vocab_size, max_len=100, n_layers=1)
    text = str(trace(model, "\x1b[31m\n\t" + "x" * 80, tokenizer))
    assert "\x1b" not in text
    assert "… 75 before" in text
    assert repr(trace(model, "x" * 80, tokenizer)) == f"Trace(80 tokens, 1 block, '{'x' * 39}…')"


# ── the file ──


@pytest.mark.parametrize("target", [None, Target(3, 0, "logit")])
def test_trace_survives_saving_and_loading(tmp_path, tokenizer, target):
    seen = trace(small(vocab_size=tokenizer.vocab_size, max_len=5), TEXT, tokenizer, target)
    seen.save(tmp_path / "a.npz")
    again = Trace.load(tmp_path / "a.npz")
    for before, after in ((seen, again), (seen.gradient, again.gradient)):
        if before is not None:
            for name, array in named(before).items():
                np.testing.assert_array_equal(named(after)[name], array, err_msg=name)
                assert named(after)[name].dtype == array.dtype
    assert (again.target is None) == (target is None)
    assert again.target == seen.target
    assert again.pieces == seen.pieces
    assert list(again.vocabulary) == list(seen.vocabulary)
    assert again.n_dropped == seen.n_dropped > 0
    assert str(again) == str(seen)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def changed(path, **changes):
    with np.load(path) as file:
        arrays = dict(file)
    about = json.loads(arrays["about"].tobytes())
    for name, value in changes.items():
        if name in about:
            about[name] = value
        elif value is None:
            del arrays[name]
        else:
            arrays[name] = value
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(path, **arrays)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "minigpt trace 2"}, "format is 'minigpt trace 2'"),
        ({"n_blocks": 3}, "blocks.2"),
        ({"logits": np.zeros((2, 20))}, r"logits has the shape \(2, 20\)"),
        ({"blocks.1.q": np.zeros((3, 3, 5))}, r"blocks.1.k .* \(3, 3, 5\) is expected"),
        ({"blocks.0.up": None}, "blocks.0.up"),
        ({"ids": np.array([1, 2, 20])}, "ids must be integers from 0 to 19"),
        ({"ids": np.array([1.0, 2, 3])}, "ids must be integers"),
        ({"target": [1, 2, "logit"]}, "gradient.blocks.0.input"),
        ({"embedding": np.array([{}], dtype=object)}, "pickle"),
    ],
)
def test_trace_refuses_a_damaged_file(tmp_path, changes, message):
    path = tmp_path / "a.npz"
    trace(small(), [1, 2, 3]).save(path)
    Trace.load(path)
    changed(path, **changes)
    with pytest.raises(ValueError, match=r"a\.npz is not a trace, or is damaged: .*" + message):
        Trace.load(path)


def test_trace_refuses_a_missing_file_and_a_wrong_format(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no trace at"):
        Trace.load(tmp_path / "missing.npz")
    whole = tmp_path / "whole.npz"
    trace(small(), [1, 2, 3]).save(whole)
    for content in (b"", b"text", whole.read_bytes()[:-400]):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(ValueError, match="is not a trace, or is damaged"):
            Trace.load(tmp_path / "a.npz")
