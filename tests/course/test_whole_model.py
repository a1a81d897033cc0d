"""The learner's whole model of lesson 9, and how its fresh parameters are judged."""

import numpy as np
import pytest

from minigpt.core.model import miniGPT
from minigpt.course.lesson_folder import lessons

LESSON = lessons()[9]
LEARNERS = LESSON.module()
MARKS = LESSON._marks
V, MAX_LEN, C, H = 7, 6, 8, 2


def our_arrays(values):
    """Return the arrays of a miniGPT under the learner's names."""
    found = {"embedding.weight": values["token_embedding.weight"]}
    found["positions.weight"] = values["position_embedding.weight"]
    for n in range(MARKS.N_LAYERS):
        theirs, ours = f"blocks.{n}", f"blocks.{n}"
        for norm in ("norm_1", "norm_2"):
            for name in ("scale", "shift"):
                found[f"{theirs}.{norm}.{name}"] = values[f"{ours}.{norm}.{name}"]
        for kind, name in (("w", "weight"), ("b", "bias")):
            parts = np.split(values[f"{ours}.attention.qkv.{name}"], 3, axis=-1)
            for letter, array in zip("qkv", parts, strict=True):
                found[f"{theirs}.attention.{kind}_{letter}"] = array
            last = values[f"{ours}.attention.projection.{name}"]
            found[f"{theirs}.attention.{kind}_o"] = last
            for part in ("up", "down"):
                array = values[f"{ours}.feed_forward.{part}.{name}"]
                found[f"{theirs}.feed_forward.{kind}_{part}"] = array
    for name in ("scale", "shift"):
        found[f"norm.{name}"] = values[f"final_norm.{name}"]
    return found


def test_loss_and_gradients_are_those_of_ours():
    model = miniGPT(V, MAX_LEN, C, H, MARKS.N_LAYERS, tie_weights=True, seed=0, dtype="float64")
    rng = np.random.default_rng(0)
    model.flat.params[...] += 0.1 * rng.normal(size=model.flat.params.size)
    ids = rng.integers(0, V, (3, MAX_LEN + 1))
    theirs = LEARNERS.MyGPT({k: v.copy() for k, v in our_arrays(model.params()).items()}, H)
    loss = LEARNERS.learn(theirs, ids[:, :-1], ids[:, 1:])
    assert loss == pytest.approx(model.learn(ids[:, :-1], ids[:, 1:]), rel=1e-12)
    for name, expected in our_arrays(model.grads()).items():
        np.testing.assert_allclose(theirs.grads[name], expected, rtol=1e-10, atol=1e-13)


def test_number_of_parameters_is_that_of_gpt2():
    assert LEARNERS.count_params(50257, 1024, 768, 12)[-1] == 124_439_808


@pytest.mark.parametrize("seed", range(20))
def test_one_batch_is_learned_by_heart(seed):
    name, inputs = list(MARKS.fits(seed))[-1]
    assert "by heart" in name
    assert MARKS.fitted(LEARNERS, inputs)["losses"][-1] < 0.05


def fresh():
    return MARKS.fresh(LEARNERS, {})["params"]


def test_fresh_model_knows_nothing():
    params = LEARNERS.fresh_params(65, 32, 48, 2, np.random.default_rng(0))
    ids = np.random.default_rng(1).integers(0, 65, (8, 33))
    loss = LEARNERS.learn(LEARNERS.MyGPT(params, 4), ids[:, :-1], ids[:, 1:])
    assert loss == pytest.approx(np.log(65), abs=0.05)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("norm.scale", np.zeros(32), "must be all 1: it has 0 in it"),
        ("blocks.1.attention.b_k", np.ones(32), "must be all 0: it has 1 in it"),
        ("blocks.0.attention.w_q", np.zeros((32, 31)), "has the shape (32, 31)"),
        ("blocks.0.attention.w_q", np.zeros((32, 32)), "the standard deviation 0, expected 0.02"),
        ("positions.weight", [[0.0]], "must be a float64 array"),
        ("head.weight", np.zeros((65, 32)), "'head.weight' is not in the table"),
    ],
)
def test_wrong_start_is_explained(name, value, sentence):
    assert MARKS.judge_fresh({"params": fresh()}, 0) is None
    assert sentence in MARKS.judge_fresh({"params": fresh() | {name: value}}, 0)


def test_common_wrong_starts_are_explained():
    params = fresh()
    last = {name: 2 * p for name, p in params.items() if name.endswith(("w_o", "w_down"))}
    assert "residual stream" in MARKS.judge_fresh({"params": params | last}, 0)
    normal = {name: 50 * p for name, p in params.items() if p.ndim == 2}
    assert "not begin near ln V" in MARKS.judge_fresh({"params": params | normal}, 0)
    same = {"blocks.0.attention.w_k": params["blocks.0.attention.w_q"]}
    assert "same numbers" in MARKS.judge_fresh({"params": params | same}, 0)
    del params["norm.shift"]
    assert "the first is 'norm.shift'" in MARKS.judge_fresh({"params": params}, 0)
