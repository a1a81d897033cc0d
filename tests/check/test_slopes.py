"""Right gradients pass and wrong ones fail, for numbers of any size."""

import copy

import numpy as np
import pytest

from minigpt import GELU, LayerNorm, Linear, TransformerBlock, check_gradients
from minigpt.core.functional import softmax, softmax_backward

SIZES = (1e-9, 1e-4, 1.0, 1e2, 1e7)


class ByHand:
    """A layer by hand: parameters under their names, gradients written in place."""

    def __init__(self, **params):
        self.p = params
        self.g = {name: np.zeros_like(param) for name, param in params.items()}

    def params(self):
        return self.p

    def grads(self):
        return self.g


class Attention(ByHand):
    """Attention whose bias of k has no effect: it adds the same to all scores of a row."""

    def __init__(self, width, rng):
        names = [f"{kind}_{name}" for kind in ("w", "b") for name in "qkvo"]
        shapes = [(width, width)] * 4 + [(width,)] * 4
        super().__init__(
            **{name: rng.normal(0, 0.5, s) for name, s in zip(names, shapes, strict=True)}
        )

    def forward(self, x):
        self.x = x
        self.q, self.k, self.v = (x @ self.p[f"w_{n}"] + self.p[f"b_{n}"] for n in "qkv")
        scores = self.q @ self.k.swapaxes(-1, -2) / np.sqrt(x.shape[-1])
        seen = np.tri(x.shape[-2], dtype=bool)
        self.a = softmax(np.where(seen, scores, -np.inf))
        self.o = self.a @ self.v
        return self.o @ self.p["w_o"] + self.p["b_o"]

    def linear(self, name, x, dy):
        width = x.shape[-1]
        self.g[f"w_{name}"][...] = x.reshape(-1, width).T @ dy.reshape(-1, width)
        self.g[f"b_{name}"][...] = dy.reshape(-1, width).sum(axis=0)
        return dy @ self.p[f"w_{name}"].T

    def backward(self, dy):
        do = self.linear("o", self.o, dy)
        ds = softmax_backward(do @ self.v.swapaxes(-1, -2), self.a) / np.sqrt(dy.shape[-1])
        dq, dk, dv = ds @ self.k, ds.swapaxes(-1, -2) @ self.q, self.a.swapaxes(-1, -2) @ do
        return sum(self.linear(n, self.x, d) for n, d in (("q", dq), ("k", dk), ("v", dv)))


class Scaled(ByHand):
    """y = size · (x W + b): gradients of any size."""

    def __init__(self, width, rng, size=1.0):
        super().__init__(w=rng.normal(size=(width, width)), b=np.zeros(width))
        self.size = size

    def forward(self, x):
        self.x = x
        return self.size * (x @ self.p["w"] + self.p["b"])

    def backward(self, dy):
        dy = self.size * dy
        width = dy.shape[-1]
        self.g["w"][...] = self.x.reshape(-1, width).T @ dy.reshape(-1, width)
        self.g["b"][...] = dy.reshape(-1, width).sum(axis=0)
        return dy @ self.p["w"].T


class Beside(Scaled):
    """The same plus a large number, so that measuring subtracts large numbers."""

    def forward(self, x):
        return 1e3 + super().forward(x)


class Gate(ByHand):
    """y = x · tanh(x + b): bends where x is about 1, for x of any size."""

    def __init__(self, width, rng):
        super().__init__(b=rng.normal(size=width), unused=rng.normal(size=3))

    def forward(self, x):
        self.x, self.t = x, np.tanh(x + self.p["b"])
        return x * self.t

    def backward(self, dy):
        bent = dy * self.x * (1 - self.t**2)
        self.g["b"][...] = bent.reshape(-1, dy.shape[-1]).sum(axis=0)
        self.g["unused"][...] = 0
        return dy * self.t + bent


def some_layers():
    """Yield 20 layers and inputs, each with the name of a gradient that is not 0."""
    rng = np.random.default_rng(0)
    for size in SIZES:
        x = rng.normal(size=(2, 4, 6)) * size
        yield Scaled(6, rng), x, "w"
        yield Scaled(6, rng, size), rng.normal(size=(3, 6)), "b"
        yield Gate(6, rng), x, "x"
        yield LayerNorm(6, dtype="float64"), x, "scale"


def mistakes(gradient):
    """Yield wrong versions of a gradient."""
    yield -gradient
    yield 1.001 * gradient
    yield np.zeros_like(gradient)
    yield gradient + 0.01 * np.abs(gradient).max()
    one = gradient.copy()
    one.flat[np.abs(one).argmax()] *= 0.99
    yield one


def with_mistake(layer, name, mistake):
    """Return a copy of a layer with the mistake of this number in one gradient."""
    layer = copy.deepcopy(layer)
    backward = type(layer).backward

    def wrong(self, dy):
        dx = backward(self, dy)
        if name == "x":
            return list(mistakes(dx))[mistake]
        self.grads()[name][...] = list(mistakes(self.grads()[name]))[mistake]
        return dx

    layer.__class__ = type(type(layer).__name__, (type(layer),), {"backward": wrong})
    return layer


@pytest.mark.parametrize("seed", range(5))
def test_gradient_check_passes_right_layers_of_every_scale(seed):
    for layer, x, _ in some_layers():
        check = check_gradients(layer, x, seed=seed)
        assert check.ok, (x.flat[0], str(check))


@pytest.mark.parametrize("mistake", range(5))
def test_gradient_check_fails_wrong_layers_of_every_scale(mistake):
    for layer, x, name in some_layers():
        check = check_gradients(with_mistake(layer, name, mistake), x)
        assert check.wrong == [name], (name, x.flat[0], str(check))
        sign = "The sign is flipped." in str(check)
        assert sign == (mistake == 0), str(check)


@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 7, 3), (2, 5, 8), (3, 9, 12)])
@pytest.mark.parametrize("size", [1e-9, 1.0, 1e2, 1e3])
def test_gradient_check_accepts_0_where_rounding_is_measured(shape, size):
    rng = np.random.default_rng(1)
    attention = Attention(shape[-1], rng)
    x = size * rng.normal(size=shape)
    assert check_gradients(attention, x, entries=20).ok
    for name in ("w_v", "b_o"):
        check = check_gradients(with_mistake(attention, name, 0), x, entries=20)
        assert check.wrong == [name]


def test_gradient_check_does_not_call_noise_a_flipped_sign():
    class Kept(Attention):
        """Writes more than rounding into the gradient of k's bias."""

        def backward(self, dy):
            dx = super().backward(dy)
            self.g["b_k"][...] = self.g["b_q"]
            return dx

    x = np.random.default_rng(2).normal(size=(2, 5, 8))
    check = check_gradients(Kept(8, np.random.default_rng(1)), x)
    assert check.wrong == ["b_k"]
    assert "It should be 0: the measured slopes are only rounding." in str(check)
    assert "sign" not in str(check)


def test_gradient_check_tolerates_rounding_of_large_sums():
    rng = np.random.default_rng(0)
    for size in (1e-3, 1.0):
        layer = Beside(6, rng, size)
        x = rng.normal(size=(2, 4, 6))
        assert check_gradients(layer, x).ok
        assert check_gradients(with_mistake(layer, "w", 4), x).wrong == ["w"]


def test_gradient_check_passes_parameters_of_every_scale():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 8))
    for size in (*SIZES, 1e12):
        for layer in (
            Linear(8, 8, dtype="float64"),
            LayerNorm(8, dtype="float64"),
            TransformerBlock(8, 2, 6, dtype="float64", dropout=0.1, seed=0),
        ):
            for param in layer.params().values():
                param *= size
            check = check_gradients(layer, x, entries=12)
            assert check.ok, (size, str(check))


def test_gradient_check_of_a_layer_with_zero_output():
    class Dead(Scaled):
        def forward(self, x):
            return 0 * super().forward(x)

        def backward(self, dy):
            dx = 0 * super().backward(dy)
            self.g["w"] *= 0
            self.g["b"][...] = 1e-18
            return dx

    assert check_gradients(Dead(6, np.random.default_rng(0)), np.ones((2, 6))).ok

    class Wrong(Dead):
        def backward(self, dy):
            dx = super().backward(dy)
            self.g["b"][...] = 1e-3
            return dx

    assert check_gradients(Wrong(6, np.random.default_rng(0)), np.ones((2, 6))).wrong == ["b"]


def test_gradient_check_works_for_empty_and_scalar_arrays():
    layer = Scaled(3, np.random.default_rng(0))
    layer.p["none"], layer.g["none"] = np.zeros((0, 4)), np.zeros((0, 4))
    assert check_gradients(layer, np.ones((2, 3))).ok
    assert check_gradients(layer, np.zeros((0, 3))).ok
    assert check_gradients(GELU(), np.zeros((2, 3))).ok


def test_gradient_check_reports_a_gradient_that_is_only_rounding():
    class Lost(Scaled):
        def backward(self, dy):
            dx = super().backward(dy)
            self.g["w"] *= 1e-16 * np.sign(np.random.default_rng(0).normal(size=(6, 6)))
            return dx

    rng = np.random.default_rng(0)
    check = check_gradients(Lost(6, rng), rng.normal(size=(2, 6)))
    assert check.wrong == ["w"]
    assert str(check).endswith("It is 0.")
