import copy
import tempfile

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import Dropout, Linear, ReLU, TransformerBlock, WordTokenizer, check_gradients, miniGPT
from minigpt.check import properties
from minigpt.check.proof import Prover, faulty_layers, tiny
from minigpt.check.properties import check_properties
from minigpt.commands.cli import main
from minigpt.core import functional, layers, model
from minigpt.core.cache import KVCache
from minigpt.text.tokenizers import BPETokenizer


@pytest.fixture
def x(rng):
    return rng.normal(size=(2, 5, 6))


class Mine:
    """A layer as a reader might write it, y = (x W + b) · g, with a mistake on request."""

    def __init__(self, mistake=""):
        self.mistake = mistake
        self.w = np.random.default_rng(1).normal(size=(6, 6))
        self.b, self.g = np.zeros(6), np.array(1.0)
        self.d_w, self.d_b, self.d_g = np.zeros((6, 6)), np.zeros(6), np.array(0.0)

    def params(self):
        params = {"w": self.w, "b": self.b, "g": self.g}
        return copy.deepcopy(params) if self.mistake == "copies" else params

    def grads(self):
        grads = {"w": self.d_w, "b": self.d_b, "g": self.d_g}
        if self.mistake == "missing":
            del grads["b"]
        return grads

    def forward(self, x):
        self.x = x.reshape(-1, 6)
        self.z = self.x @ self.w + self.b
        return (self.z * self.g).reshape(x.shape)

    def backward(self, dy):
        mistake, rows = self.mistake, dy.reshape(-1, 6)
        d_w = self.x.T @ rows * self.g
        if mistake == "shape":
            self.d_b = np.zeros(5)
        elif mistake == "added":
            self.d_b += rows.sum(axis=0) * self.g
        elif mistake == "half written":
            self.d_b[:3] = rows.sum(axis=0)[:3] * self.g
        elif mistake != "unwritten":
            self.d_b[...] = rows.sum(axis=0) * self.g
        self.d_w[...] = {"sign": -d_w, "transposed": d_w.T, "factor": 3 * d_w}.get(mistake, d_w)
        if mistake == "one entry":
            self.d_w[2, 4] += 1e-3
        self.d_g[...] = np.nan if mistake == "nan" else (rows * self.z).sum()
        dx = rows @ self.w.T * (1 if mistake == "forgotten factor" else self.g)
        return None if mistake == "no dx" else dx.reshape(dy.shape)


def test_check_passes_a_custom_layer(x):
    check = check_gradients(Mine(), x)
    assert check.ok
    assert [row.name for row in check.rows] == ["w", "b", "g", "x"]
    assert max(row.error for row in check.rows) < 1e-6
    assert str(check).count("✓") == 4
    assert "wrong" not in str(check)


@pytest.mark.parametrize(
    ("mistake", "name", "finding"),
    [
        ("sign", "w", "The sign is flipped"),
        ("transposed", "w", "It is transposed"),
        ("factor", "w", "It is 3 times what it should be"),
        ("one entry", "w", "1 of the 36 entries compared"),
        ("one entry", "w", "at [2, 4], where backward gave"),
        ("added", "b", "backward adds it to the old values"),
        ("unwritten", "b", "backward does not write it"),
        ("half written", "b", "leaves the old values in 3 of its 6 entries"),
        ("missing", "b", "grads() has no 'b'"),
        ("shape", "b", "the shape (5,), but b has (6,)"),
        ("nan", "g", "Not all of its entries are finite"),
        ("forgotten factor", "x", "times what it should be"),
        ("no dx", "x", "backward returned no dx"),
    ],
)
def test_check_names_only_the_wrong_gradient(mistake, name, finding, x):
    check = check_gradients(Mine(mistake), x)
    assert check.wrong == [name]
    assert not check.ok
    assert f"\n{name} is wrong: " in str(check)
    assert finding in str(check)
    assert str(check).count("✗") == 1


def test_check_notices_params_that_are_copies(x):
    check = check_gradients(Mine("copies"), x)
    assert check.wrong == ["w", "b", "g"]
    assert "does params() return the arrays that forward uses" in str(check)


def test_check_measures_the_error(x):
    (row,) = [row for row in check_gradients(Mine("sign"), x).rows if not row.ok]
    assert row.error == pytest.approx(2)
    (row,) = [row for row in check_gradients(Mine("factor"), x).rows if not row.ok]
    assert row.error == pytest.approx(2 / 3)


def test_check_does_not_change_the_layer(x):
    block = TransformerBlock(6, 2, 8, dropout=0.3, seed=0, dtype=np.float64)
    block.backward(block.forward(x))
    before, x_before = copy.deepcopy(block), x.copy()
    assert check_gradients(block, x).ok
    np.testing.assert_array_equal(x, x_before)
    for one, other in ((block.params(), before.params()), (block.grads(), before.grads())):
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name])
    np.testing.assert_array_equal(block.forward(x), before.forward(x))  # drops the same numbers


def test_check_samples_entries_of_a_large_array(rng):
    layer = Linear(60, 50, seed=0, dtype=np.float64)
    calls = []

    class Counting(Linear):
        def forward(self, x):
            calls.append(x)
            return super().forward(x)

    layer.__class__ = Counting
    x = rng.normal(size=(3, 60))
    assert check_gradients(layer, x, entries=20).ok
    assert len(calls) < 3 * 20 * 2 + 10
    layer.__class__ = sabotaged(Linear, "weight")
    assert check_gradients(layer, x, entries=20).wrong == ["weight"]


def test_check_uses_a_smaller_step_at_a_kink():
    x = np.array([[2e-6, -2e-6, 1.0]])
    assert check_gradients(ReLU(), x).ok
    assert check_gradients(sabotaged(ReLU, "x")(), x).wrong == ["x"]


@pytest.mark.parametrize(
    ("layer", "x", "message"),
    [
        (Linear(6, 2), np.ones((2, 6)), "parameter 'weight' must be a float64 array, got float32"),
        (
            Linear(6, 2, dtype=float),
            np.ones((2, 6), "f4"),
            "x must be a float64 array.*got float32",
        ),
        (object(), np.ones(3), "object has no forward"),
        (tiny(0), np.array([[1]]), "to check a model that returns .* pass targets"),
    ],
)
def test_check_refuses_invalid_arguments(layer, x, message):
    with pytest.raises(TypeError, match=message):
        check_gradients(layer, x)


def sabotaged(kind, name):
    """Return a copy of a class whose backward flips the sign of one gradient."""

    def backward(self, *dy):
        dx = kind.backward(self, *dy)
        if name in self.grads():
            self.grads()[name][...] *= -1
        return -dx if name == "x" else dx

    return type(kind.__name__, (kind,), {"backward": backward})


PLANTED = [
    ("Linear", "weight"),
    ("Linear", "bias"),
    ("Linear", "x"),
    ("Embedding", "weight"),
    ("PositionalEncoding", "weight"),
    ("PositionalEncoding", "x"),
    ("LayerNorm", "scale"),
    ("LayerNorm", "shift"),
    ("LayerNorm", "x"),
    ("GELU", "x"),
    ("ReLU", "x"),
    ("Dropout", "x"),
    ("MultiHeadAttention", "x"),
    ("MultiHeadAttention", "qkv.weight"),
    ("FeedForward", "x"),
    ("FeedForward", "up.bias"),
    ("TransformerBlock", "x"),
    ("TransformerBlock", "norm_1.scale"),
    ("miniGPT", "head.weight"),
    ("miniGPT", "token_embedding.weight"),
]


def check_layers(subject):
    return list(Prover(subject, seed=0, entries=24, entries_of_whole=2).layers())


@pytest.mark.parametrize(("kind", "name"), PLANTED)
def test_proof_names_the_layer_with_a_flipped_sign(monkeypatch, kind, name):
    original = getattr(layers, kind, miniGPT)
    monkeypatch.setattr(original, "backward", sabotaged_backward(original, name))
    found = check_layers(tiny(0))
    assert {check.kind for check in faulty_layers(found)} == {kind}
    wrong = {
        row.name for check in faulty_layers(found) for row in check.rows.values() if not row.ok
    }
    assert name in wrong


def sabotaged_backward(kind, name):
    copied = type("Original", (), {"backward": kind.backward})
    return sabotaged(copied, name).backward


@pytest.mark.parametrize(
    ("function", "module"), [("softmax_backward", functional), ("cross_entropy_backward", model)]
)
def test_proof_names_the_function_with_a_flipped_sign(monkeypatch, function, module):
    right = getattr(functional, function)
    for where in (functional, module):
        monkeypatch.setattr(where, function, lambda *arguments: -right(*arguments))
    assert {check.kind for check in faulty_layers(check_layers(tiny(0)))} == {function}


def test_proof_names_a_layer_that_raises(monkeypatch):
    def stop(self, dy):
        raise IndexError("too far")

    monkeypatch.setattr(Dropout, "backward", stop)
    found = faulty_layers(check_layers(tiny(0)))
    assert {check.kind for check in found} == {"Dropout"}
    assert "IndexError: too far" in next(iter(found[0].rows.values())).finding


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "relu", "bias": False, "tie_weights": True, "dropout": 0.0},
        {"n_layers": 1, "max_len": 1, "n_heads": 1},
    ],
)
def test_proof_passes_for_every_kind_of_model(options):
    sizes = {"max_len": 4, "d_model": 8, "n_heads": 2, "dtype": "float64"}
    subject = tiny_model(5, **{**sizes, **options}).eval()
    before = subject.flat.params.copy()
    found = [*check_layers(subject), *check_properties(subject, [])]
    assert all(check.ok for check in found), [check for check in found if not check.ok]
    kinds = {check.kind for check in found if hasattr(check, "kind")}
    assert {"GELU", "ReLU", "Dropout", "Embedding", "miniGPT"} <= kinds
    np.testing.assert_array_equal(subject.flat.params, before)
    assert not subject.training


def break_softmax(patch):
    patch.setattr(properties, "softmax", lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True))


def break_mask(patch):
    def shifted(n, m, like=None):
        return np.triu(np.ones((n, m), bool), k=2 + m - n)

    patch.setattr(functional, "causal_mask", shifted)


def break_cache(patch):
    extend = KVCache.extend
    patch.setattr(KVCache, "extend", lambda self, k, v: extend(self, k, v * (1 + 1e-6)))


def break_files(patch):
    save = miniGPT.save_pretrained

    def save_rounded(self, folder):
        rounded = copy.deepcopy(self)
        rounded.flat.params[-1] *= 1 + 2**-22
        save(rounded, folder)

    patch.setattr(miniGPT, "save_pretrained", save_rounded)


def break_tokenizer(patch):
    decode = BPETokenizer.decode
    patch.setattr(BPETokenizer, "decode", lambda self, ids: decode(self, ids).replace("\r\n", "\n"))


def break_words(patch):
    decode = WordTokenizer.decode
    patch.setattr(WordTokenizer, "decode", lambda self, ids: decode(self, ids).strip())


def break_start(patch):
    patch.setattr(layers, "normal", lambda shape, seed, dtype: np.eye(*shape, dtype=dtype) * 9)


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (break_softmax, {"softmax"}),
        (break_mask, {"causal mask", "KV cache"}),
        (break_cache, {"KV cache"}),
        (break_files, {"save and load"}),
        (break_tokenizer, {"bpe tokenizer"}),
        (break_words, {"word tokenizer"}),
        (break_start, {"untrained loss"}),
    ],
)
def test_properties_notice_what_is_broken(monkeypatch, break_it, expected):
    subject = tiny(0)
    text = "my dear friend\r\n"
    tokenizers = [BPETokenizer().train(text, vocab_size=260), WordTokenizer().train(text)]
    assert all(found.ok for found in check_properties(subject, tokenizers))
    break_it(monkeypatch)
    found = check_properties(subject, tokenizers)
    assert {trial.name for trial in found if not trial.ok} == expected


def test_check_command_passes_and_fails_on_a_mistake(monkeypatch, capsys):
    assert main(["check", "--seed", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "all 79 checks pass"
    monkeypatch.setattr(ReLU, "backward", sabotaged_backward(ReLU, "x"))
    assert main(["check"]) == 1
    printed = capsys.readouterr().out
    assert printed.splitlines()[-1] == "1 of 79 checks fail. Wrong: ReLU"
    assert "The sign is flipped." in " ".join(printed.split())


def test_check_command_uses_the_tokenizer_of_the_folder(tmp_path, capsys):
    tokenizer = WordTokenizer().train("my dear friend, my dear lantern")
    sizes = {"max_len": 4, "d_model": 8, "n_heads": 2, "n_layers": 1}
    subject = tiny_model(len(tokenizer), **sizes, tie_weights=True, bias=False)
    subject.save_pretrained(tmp_path, tokenizer)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(["check", str(tmp_path)]) == 0
    assert "6 tokens, there and back" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "tokenizer.json").unlink()
    assert main(["check", str(tmp_path)]) == 0
    assert "bpe tokenizer" in capsys.readouterr().out


def test_interrupted_check_restores_everything(monkeypatch, tmp_path, capsys):
    def interrupt(folder):
        assert list(tmp_path.glob("*/model.safetensors"))
        raise KeyboardInterrupt

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(miniGPT, "from_pretrained", interrupt)
    assert main(["check"]) == 130
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().out == ""
