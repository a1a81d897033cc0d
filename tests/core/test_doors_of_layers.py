"""A layer of one's own in a model: its parameters are trained, or it is refused."""

import copy

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import AdamW
from minigpt.core.layers import Layer, LayerNorm


class Foreign:
    """A layer of its own, as in a course: not a Layer."""

    def __init__(self, d_model):
        self.gain, self.d_gain = np.ones(d_model), np.zeros(d_model)

    def forward(self, x):
        self.x = x
        return self.gain * x

    def backward(self, dy):
        self.d_gain[...] = (dy * self.x).sum(axis=(0, 1))
        return self.gain * dy

    def params(self):
        return {"gain": self.gain}

    def grads(self):
        return {"gain": self.d_gain}


class Hidden(Foreign, Layer):
    """A Layer that does not say which of its attributes are parameters."""


class Named(Foreign, Layer):
    parameter_names = ("gain",)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Foreign, "Foreign is not a minigpt.core.layers.Layer"),
        (Hidden, r"Hidden.params\(\) has 'gain'"),
    ],
)
@pytest.mark.parametrize("use", [AdamW, lambda m: m.params(), lambda m: m.flat], ids=range(3))
def test_layer_whose_parameters_would_not_be_trained_is_refused(kind, said, use):
    model = tiny_model(dtype="float64")
    model.blocks[0].norm_1 = kind(model.d_model)
    with pytest.raises(TypeError, match=said):
        use(model)


def test_layer_that_names_its_parameters_is_trained():
    model = tiny_model(dtype="float64")
    model.blocks[0].norm_1 = Named(model.d_model)
    model.final_norm = type("Own", (LayerNorm,), {})(model.d_model, dtype="float64")
    optimizer = AdamW(model)
    assert "blocks.0.norm_1.gain" in model.params()
    ids = np.arange(6).reshape(1, 6) % model.vocab_size
    model.learn(ids[:, :-1], ids[:, 1:])
    optimizer.step(0.1)
    assert np.all(model.blocks[0].norm_1.gain != 1)


def test_layer_put_in_after_the_parameters_were_laid_flat_is_refused():
    model = tiny_model(dtype="float64")
    _ = model.flat
    model.blocks[0].norm_1 = Foreign(model.d_model)
    with pytest.raises(TypeError, match="Foreign is not"):
        AdamW(model)


def test_parameters_that_came_too_late_are_refused_but_not_in_a_copy():
    model = tiny_model(dtype="float64")
    _ = model.flat
    model.blocks[0].norm_1 = Named(model.d_model)
    with pytest.raises(ValueError, match=r"blocks.0.norm_1.gain came into the model after"):
        AdamW(model)
    again = copy.deepcopy(model)
    AdamW(again)
    assert "blocks.0.norm_1.gain" in again.flat.places
