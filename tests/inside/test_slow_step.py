"""One training step in slow motion."""

import json

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import SGD, AdamW, CharTokenizer, clip_gradients, get_batch
from minigpt.core.functional import cross_entropy_backward, softmax
from minigpt.fast.recompute import recompute
from minigpt.inside.slow_step import slow_step
from minigpt.show.figures.slow_motion import slow_step as view
from minigpt.training.freezing import freeze

TOKENIZER = CharTokenizer().train("my dear <goose> & fox,\n")
V = TOKENIZER.vocab_size


def learner(make=AdamW, **options):
    """Return a model after two steps, its optimizer, and the batch of the third step."""
    model = tiny_model(V, **options)
    optimizer, rng = make(model), np.random.default_rng(1)
    for _ in range(2):
        model.forward(*get_batch(np.arange(300) ** 2 % V, 8, 3, rng))
        model.backward()
        optimizer.step(3e-3)
    return model, optimizer, *get_batch(np.arange(300) ** 2 % V, 8, 3, rng)


def state(model, optimizer):
    return [
        model.flat.params.copy(),
        model.flat.grads.copy(),
        *(value.copy() for value in optimizer.state.values()),
        np.array(str(model.rng.bit_generator.state)),
    ]


@pytest.mark.parametrize("make", [AdamW, SGD])
@pytest.mark.parametrize("options", [{}, {"tie_weights": True}, {"bias": False, "dropout": 0.2}])
def test_slow_step_equals_the_real_step_and_changes_nothing(make, options):
    model, optimizer, x, y = learner(make, **options)
    before = state(model, optimizer)
    slow = slow_step(model, x, y, optimizer, 3e-3, clip=0.5)
    for then, now in zip(before, state(model, optimizer), strict=True):
        np.testing.assert_array_equal(then, now)

    rng_state = model.rng.bit_generator.state
    params = model.params()
    old = {name: param.copy() for name, param in params.items()}
    _, loss = model.forward(x, y)
    model.backward()
    grads = {name: grad.copy() for name, grad in model.grads().items()}
    norm = clip_gradients(model.flat.grads, 0.5)
    optimizer.step(3e-3)
    model.rng.bit_generator.state = rng_state
    _, after = model.forward(x, y)
    assert (slow.loss, slow.gradient_norm, slow.loss_after) == (loss, norm, after)
    reported = {name: v for station in slow.stations for name, v in station.parameters.items()}
    assert reported == {name: np.linalg.norm(grad) for name, grad in grads.items()}

    assert len(slow.changes) == 20
    moved = np.concatenate([np.abs(params[name] - old[name]).ravel() for name in params])
    sizes = [abs(change.after - change.before) for change in slow.changes]
    np.testing.assert_allclose(sizes, np.sort(moved)[::-1][:20], rtol=1e-5)
    for change in slow.changes:
        assert change.before == old[change.name][change.index]
        assert change.after == params[change.name][change.index]
        assert change.gradient == grads[change.name][change.index]


def test_slow_step_losses_are_per_token():
    model, optimizer, x, y = learner()
    logits, loss = model.forward(x, y)
    slow = slow_step(model, x, y, optimizer, 3e-3)
    probabilities = np.take_along_axis(softmax(logits.astype(float)), y[..., None], -1)[..., 0]
    np.testing.assert_allclose(slow.losses, -np.log(probabilities), rtol=1e-5)
    assert slow.losses.mean() == pytest.approx(loss)
    assert slow.losses_after.mean() == pytest.approx(slow.loss_after)
    assert slow.loss_after < slow.loss


def test_slow_step_gradients_are_those_of_the_loss():
    """A station has the gradient of the loss with respect to its output."""
    model, optimizer, x, y = learner(dtype=np.float64)
    slow = slow_step(model, x, y, optimizer, 3e-3)
    assert [station.name for station in slow.stations] == [
        "embedding",
        *("block 0 attention", "block 0 feed-forward"),
        *("block 1 attention", "block 1 feed-forward"),
        *("final norm", "head"),
    ]
    logits, _ = model.forward(x, y)
    dlogits = cross_entropy_backward(logits, y)
    assert slow.stations[-1].gradient == pytest.approx(np.linalg.norm(dlogits))
    assert slow.stations[-1].norm == pytest.approx(np.linalg.norm(logits))
    assert slow.stations[-1].shape == logits.shape
    # The gradient of the positions is a sum over the texts of the batch, and the gradient of the
    # bias of `down` a sum over all tokens. Each sum here has one term: the gradient at the station.
    one = slow_step(model, x[:1], y[:1], optimizer, 3e-3)
    embedding = one.stations[0]
    assert embedding.gradient == pytest.approx(embedding.parameters["position_embedding.weight"])
    single = slow_step(model, x[:1, :1], y[:1, :1], optimizer, 3e-3)
    attention, feed_forward = single.stations[1:3]
    down = "blocks.0.feed_forward.down.bias"
    assert feed_forward.gradient == pytest.approx(feed_forward.parameters[down])
    projection = "blocks.0.attention.projection.bias"
    assert attention.gradient == pytest.approx(attention.parameters[projection])


def test_slow_step_gradients_end_at_frozen_blocks():
    model, _, x, y = learner()
    freeze(model, 1)
    slow = slow_step(model, x, y, AdamW(model), 3e-3)
    assert [station.gradient is None for station in slow.stations] == [True] * 3 + [False] * 4
    assert not slow.stations[0].parameters
    assert slow.stations[3].parameters
    assert all(not change.name.startswith("blocks.0") for change in slow.changes)


def test_slow_step_works_for_recomputed_blocks():
    model, optimizer, x, y = learner()
    expected = slow_step(model, x, y, optimizer, 3e-3)
    recompute(model)
    assert slow_step(model, x, y, optimizer, 3e-3).to_dict() == expected.to_dict()


def test_slow_step_becomes_json_and_a_figure():
    model, optimizer, x, y = learner()
    slow = slow_step(model, x, y, optimizer, 3e-3, clip=1e-3, n_changes=7)
    record = json.loads(json.dumps(slow.to_dict()))
    assert record["x"] == x.tolist()
    assert len(record["changes"]) == 7
    np.testing.assert_allclose(record["losses"], slow.losses, atol=1e-6)
    figure = view(slow, TOKENIZER, row=2)
    strip, bars, _, dots, diamonds = figure.data
    np.testing.assert_array_equal(strip.marker.color, np.minimum(slow.losses[2], 8))
    assert list(bars.x) == [station.gradient for station in slow.stations]
    assert list(dots.x) == [change.before for change in slow.changes]
    assert list(diamonds.x) == [change.after for change in slow.changes]
    assert "clipped to 0.001" in figure.layout.title.subtitle.text


def test_slow_step_refuses_invalid_arguments():
    model, optimizer, x, y = learner()
    with pytest.raises(ValueError, match="one id for each position"):
        slow_step(model, x, y[:, :3], optimizer, 3e-3)
    with pytest.raises(TypeError, match="optimizer"):
        slow_step(model, x, y, None, 3e-3)
