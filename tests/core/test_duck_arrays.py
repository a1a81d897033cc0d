"""The textbook runs unchanged on arrays of any library that implements NumPy's protocols."""

import duck
import numpy as np
import pytest
from duck import Duck
from tiny import tiny_model

from minigpt import AdamW, clip_gradients
from minigpt.core.kernels import plain
from minigpt.core.layers import Layer


def move_to_duck_arrays(layer: Layer) -> None:
    """Move all parameters and gradients of a layer into duck arrays."""
    for _, owner, name in layer.slots():
        for each in (name, "d_" + name):
            setattr(owner, each, Duck(getattr(owner, each)))


@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_duck_arrays_train_to_the_same_bits(tie_weights, activation):
    ids, targets = np.random.default_rng(0).integers(0, 11, (2, 2, 6))
    options = {"tie_weights": tie_weights, "activation": activation, "dtype": "float64"}
    host, device = (tiny_model(**options) for _ in range(2))
    move_to_duck_arrays(device)
    device.tie()
    duck.LEAKED.clear()
    losses = []
    with plain():
        for model, x, y in ((host, ids, targets), (device, Duck(ids), Duck(targets))):
            optimizer = AdamW(model)
            for _ in range(3):
                _, loss = model.forward(x, y)
                model.backward()
                clip_gradients(model.flat.grads, 0.5)
                optimizer.step(1e-2)
                losses.append(loss)
            losses.append(model.learn(x, y))
    assert losses[:4] == losses[4:]
    assert isinstance(device.flat.params, Duck)
    np.testing.assert_array_equal(device.flat.params.inside, host.flat.params)
    np.testing.assert_array_equal(device.flat.grads.inside, host.flat.grads)
    assert duck.LEAKED == []
