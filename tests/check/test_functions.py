"""Functions are checked like layers, and forward passes against a reference."""

import numpy as np
import pytest

from minigpt import check_gradients
from minigpt.core.functional import softmax, softmax_backward
from minigpt.core.layers import Linear


@pytest.fixture
def x(rng):
    return rng.normal(size=(3, 4))


def attend(q, k):
    scores = q @ k.T / 2
    weights = softmax(scores)
    return {"scores": scores, "weights": weights, "o": weights @ k}


def attend_backward(do, q, k):
    weights = softmax(q @ k.T / 2)
    d_scores = softmax_backward(do @ k.T, weights) / 2
    return d_scores @ k, d_scores.T @ q + weights.T @ do


def test_function_of_one_array_is_checked(x):
    y = softmax(x)
    assert check_gradients(softmax, x, backward=lambda dy: softmax_backward(dy, y)).ok
    found = check_gradients(softmax, x, backward=lambda dy: y * dy)
    assert found.wrong == ["x"]
    assert str(found).startswith("softmax: backward against central differences")


@pytest.mark.parametrize(
    "inputs", [dict, lambda **given: tuple(given.values())], ids=["dict", "tuple"]
)
def test_function_of_two_arrays_is_checked(rng, inputs):
    q, k = rng.normal(size=(2, 3, 4))
    given = inputs(q=q, k=k)
    assert check_gradients(attend, given, backward=lambda do: attend_backward(do, q, k)).ok
    found = check_gradients(attend, given, backward=lambda do: attend_backward(do, k, q))
    assert len(found.wrong) == 2
    by_name = check_gradients(
        attend, {"q": q, "k": k}, backward=lambda do: {"q": attend_backward(do, q, k)[0], "k": do}
    )
    assert by_name.wrong == ["k"]


def test_gradient_that_is_missing_or_too_many_is_said(rng):
    q, k = rng.normal(size=(2, 3, 4))
    found = check_gradients(attend, {"q": q, "k": k}, backward=lambda do: {"q": 0 * do})
    assert found.wrong == ["q", "k"]
    with pytest.raises(ValueError, match="backward returned 3 gradients for 2 inputs"):
        check_gradients(attend, (q, k), backward=lambda do: (do, do, do))


def test_integers_among_the_inputs_need_no_gradient(rng):
    table, ids = rng.normal(size=(5, 3)), np.array([1, 1, 4])

    def backward(dy):
        d_table = np.zeros_like(table)
        np.add.at(d_table, ids, dy)
        return d_table, None

    assert check_gradients(lambda table, ids: table[ids], (table, ids), backward=backward).ok


def test_first_wrong_intermediate_result_is_named(rng):
    q, k = rng.normal(size=(2, 3, 4))

    def without_root(q, k):
        return attend(2 * q, k)

    def backward(do):
        dq, dk = attend_backward(do, 2 * q, k)
        return 2 * dq, dk

    found = check_gradients(without_root, (q, k), reference=attend, backward=backward)
    assert found.wrong == ["scores", "weights", "o"]
    assert "the reference has" in found.rows[0].finding


def test_layer_is_compared_with_a_reference(x):
    layer = Linear(4, 2, seed=0, dtype="float64")
    right = check_gradients(layer, x, reference=lambda x: x @ layer.weight + layer.bias)
    assert right.ok
    assert [row.name for row in right.rows] == ["y", "weight", "bias", "x"]
    assert check_gradients(layer, x, reference=layer).ok
    assert check_gradients(layer, x, reference=lambda x: x @ layer.weight + 1).wrong == ["y"]
    assert check_gradients(layer, x, reference=lambda x: x).wrong == ["y"]  # another shape
    named = check_gradients(layer, x, reference=lambda x: {"hidden": x, "y": x @ layer.weight})
    assert named.wrong == ["hidden"]
    assert named.rows[0].finding == "forward does not have it."
