"""The learner's optimizers in a real model."""

import numpy as np
import pytest

from minigpt.core.model import miniGPT
from minigpt.core.optim import SGD, AdamW
from minigpt.course.joined import joined_optimizer
from minigpt.course.lesson_folder import lessons

LEARNERS = lessons()[10].module()


def trained(make_optimizer, dtype="float64"):
    model = miniGPT(7, 12, 8, 2, 2, seed=0, dtype=dtype)
    optimizer, rng = make_optimizer(model), np.random.default_rng(0)
    for step in range(20):
        ids = rng.integers(0, 7, (3, 13))
        model.learn(ids[:, :-1], ids[:, 1:])
        optimizer.step(0.001 * (step + 1))
    return model, optimizer


@pytest.mark.parametrize(("name", "ours"), [("MySGD", SGD), ("MyAdamW", AdamW)])
def test_twenty_steps_are_those_of_ours(name, ours):
    theirs = joined_optimizer(name, getattr(LEARNERS, name))
    model, optimizer = trained(ours)
    other, other_optimizer = trained(theirs)
    np.testing.assert_allclose(other.flat.params, model.flat.params, rtol=1e-12, atol=1e-12)
    assert isinstance(other_optimizer, ours)
    for key, value in optimizer.state.items():
        np.testing.assert_allclose(other_optimizer.state[key], value, rtol=1e-11, atol=1e-15)


def test_model_stays_in_float32():
    model, optimizer = trained(joined_optimizer("MyAdamW", LEARNERS.MyAdamW), "float32")
    assert model.flat.params.dtype == optimizer.state["m"].dtype == np.float32


def test_optimizer_that_remembers_elsewhere_is_refused():
    class Elsewhere(LEARNERS.MyAdamW):
        def step(self, learning_rate):
            super().step(learning_rate)
            self.v = {name: 0 * v for name, v in self.v.items()}

    with pytest.raises(ValueError, match=r"self\.v is still 0"):
        trained(joined_optimizer("MyAdamW", Elsewhere))


def test_optimizer_that_does_not_count_steps_is_refused():
    class Forgetful(LEARNERS.MyAdamW):
        def step(self, learning_rate):
            super().step(learning_rate)
            self.t = 0

    with pytest.raises(ValueError, match="must count the steps: after step 1 it is 0"):
        trained(joined_optimizer("MyAdamW", Forgetful))
