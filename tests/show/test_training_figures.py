"""The metrics of layers during training, and the figures of training."""

import html
import json

import numpy as np
import pytest
from tiny import tiny_model, tiny_run

from minigpt import SGD, AdamW, CharTokenizer, clip_gradients, get_batch, trace
from minigpt.inside import pca
from minigpt.runs import Run
from minigpt.runs.layer_metrics import groups_of, latest_update, measure_layers, read_layers
from minigpt.runs.stages import stages
from minigpt.show.figures import layer_curves as layers
from minigpt.show.figures import over_time as checkpoints
from minigpt.training.freezing import freeze
from minigpt.training.loop import Step, write_sample


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    changes = {"n_layers": 2, "steps": 30, "eval_every": 10, "sample_every": 0, "keep": 9}
    return tiny_run(tmp_path_factory.mktemp("learned"), learning_rate=3e-3, **changes)


def measured(model, optimizer, learning_rate=1e-2, clip=0.05):
    """Train three steps by hand; return the metrics, gradients and Δw of the last."""
    rng = np.random.default_rng(3)
    for _ in range(3):
        model.forward(*get_batch(np.arange(200) * 7 % 20, 8, 4, rng))
        model.backward()
        grads = {name: grad.copy() for name, grad in model.grads().items()}
        norm = clip_gradients(model.flat.grads, clip)
        before = {name: param.copy() for name, param in model.params().items()}
        optimizer.step(learning_rate)
    after = model.params()
    step = Step(3, 1.0, norm, learning_rate, 1.0)
    found = measure_layers(model, optimizer, step, clip)
    return found, grads, {name: after[name] - before[name] for name in after}


@pytest.mark.parametrize("make", [AdamW, SGD])
@pytest.mark.parametrize("clip", [0.05, 99.0])
def test_layer_metrics_equal_those_computed_by_hand(make, clip):
    model = tiny_model(20, dtype=np.float64)
    found, grads, moved = measured(model, make(model), clip=clip)
    assert list(found) == [
        "embedding",
        *("block 0 attention", "block 0 feed-forward"),
        *("block 1 attention", "block 1 feed-forward"),
        "head",
    ]
    names = groups_of(model)
    assert sorted(name for members in names.values() for name in members) == sorted(grads)
    assert names["block 1 attention"][0] == "blocks.1.norm_1.scale"
    for layer, (gradient, ratio) in found.items():
        flat = np.concatenate([grads[name].ravel() for name in names[layer]])
        assert gradient == pytest.approx(np.linalg.norm(flat))
        matrices = [name for name in names[layer] if grads[name].ndim == 2]
        change, size = (
            np.linalg.norm(np.concatenate([values[name].ravel() for name in matrices]))
            for values in (moved, model.params())
        )
        assert ratio == pytest.approx(change / size)
    whole = np.linalg.norm(np.concatenate([grad.ravel() for grad in grads.values()]))
    assert np.linalg.norm([gradient for gradient, _ in found.values()]) == pytest.approx(whole)


def test_layer_metrics_count_tied_weights_once_and_frozen_ones_never():
    tied = tiny_model(20, tie_weights=True)
    found, _, _ = measured(tied, AdamW(tied))
    assert found["head"][0] > 0  # of the last norm
    assert found["head"][1] is None
    frozen = tiny_model(20, dtype=np.float64)
    freeze(frozen, 1)
    found, _, moved = measured(frozen, AdamW(frozen))
    assert found["embedding"] == found["block 0 attention"] == [0.0, None]
    up = "blocks.1.feed_forward.up.weight"
    part = frozen.flat.places[up]
    np.testing.assert_array_equal(frozen.flat.params[part], frozen.params()[up].ravel())
    assert found["block 1 feed-forward"][1] > 0
    assert not moved["token_embedding.weight"].any()


def test_latest_update_is_accurate_in_float32():
    model = tiny_model(20)
    optimizer = AdamW(model, weight_decay=0.5)
    model.forward(*get_batch(np.arange(200) % 20, 8, 4, np.random.default_rng(0)))
    model.backward()
    before = model.flat.params.astype(float)
    optimizer.step(0.01)
    n = model.flat.params.size
    for part in (slice(0, n), slice(50, 90), slice(n - 40, n)):
        change = model.flat.params[part] - before[part]
        np.testing.assert_allclose(latest_update(optimizer, part, 0.01), change, atol=2e-7)


def test_layer_metrics_file_is_the_same_after_a_resume(run, tmp_path):
    history = read_layers(run.folder / "layers.jsonl")
    assert history.number.tolist() == list(range(1, 31))  # ten times between evaluations
    assert history.gradient.shape == history.ratio.shape == (30, 6)
    metrics = (run.folder / "metrics.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in metrics.splitlines()]
    total = np.linalg.norm(history.gradient, axis=1)
    np.testing.assert_allclose(total, [row["gradient_norm"] for row in rows], rtol=1e-5)

    other = Run.new(run.settings, tmp_path / "other")
    steps = other.steps()
    while next(steps).number < 17:  # then it ends as if killed: the last checkpoint is of step 10
        pass
    steps.close()
    assert len(read_layers(other.folder / "layers.jsonl").number) == 17
    for _ in Run.resume(other.folder, {}).steps():
        pass
    written = [folder / "layers.jsonl" for folder in (run.folder, other.folder)]
    assert written[0].read_bytes() == written[1].read_bytes()


@pytest.mark.parametrize(
    "line",
    [
        "x\n", "[]\n", "{}\n", '{"number": 1, "layers": {}}\n', '{"number": 1, "layers": 3}\n',
        '{"number": 0, "layers": {"a": [1, 2]}}\n', '{"number": 1, "layers": {"a": [1]}}\n',
        '{"number": 1, "layers": {"a": ["x", 2]}}\n', '{"number": 1, "layers": {"a": [1, HUGE]}}\n',
        '{"number": 1, "layers": {"a": [1, 2]}}\n' * 2,
        '{"number": 1, "layers": {"a": [1, 2]}}\n{"number": 2, "layers": {"b": [1, 2]}}\n',
        "[" * 2**17 + "\n",
    ],
)  # fmt: skip
def test_layer_metrics_refuse_a_damaged_file_by_line(line, tmp_path):
    path = tmp_path / "layers.jsonl"
    path.write_text(line.replace("HUGE", "9" * 400))
    with pytest.raises(ValueError, match=rf"line {1 + ('[1, 2]' in line and '0,' not in line)}: "):
        read_layers(path)


def test_layer_metrics_read_up_to_the_last_whole_line(tmp_path):
    path = tmp_path / "layers.jsonl"
    assert read_layers(path).number.size == 0
    path.write_text('{"number": 1, "layers": {"a": [1, null]}}\n{"number": 2, "la')
    found = read_layers(path)
    assert found.layers == ["a"]
    assert found.gradient.tolist() == [[1.0]]
    assert np.isnan(found.ratio).all()
    with pytest.raises(ValueError, match="nothing was measured yet"):
        layers.gradient_norms(read_layers(tmp_path / "none"))


def test_layer_figures_show_the_metrics(run):
    history = read_layers(run.folder / "layers.jsonl")
    for draw, values in (
        (layers.gradient_norms, history.gradient),
        (layers.update_ratios, history.ratio),
    ):
        figure = draw(history)
        assert [line.name for line in figure.data] == history.layers
        for line, column in zip(figure.data, values.T, strict=True):
            assert list(line.x) == history.number.tolist()
            np.testing.assert_array_equal(line.y, column)
        assert figure.layout.yaxis.type == "log"


def test_stages_are_the_checkpoints_in_order(run):
    found = list(stages(run.folder))
    assert [stage.step for stage in found] == [0, 1, 10, 20, 30]
    np.testing.assert_array_equal(found[-1].model.flat.params, run.model.flat.params)
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        list(stages(run.folder.parent))


def test_figure_of_a_head_and_a_sample_over_time(run):
    text = "my dear"
    figure = checkpoints.head_over_time(stages(run.folder), text, run.tokenizer, 1, 0, n_tokens=5)
    (slider,) = figure.layout.sliders
    for i, (stage, matrix, stop) in enumerate(
        zip(stages(run.folder), figure.data, slider.steps, strict=True)
    ):
        weights = trace(stage.model, text, run.tokenizer).blocks[1].weights[0]
        seen = np.tri(len(weights), dtype=bool)
        np.testing.assert_array_equal(matrix.z[seen], weights[seen])
        assert stop.label == str(stage.step)
        assert list(stop.args[0]["visible"]) == [k == i for k in range(5)]
        sample = write_sample(stage.model, run.tokenizer, text, 5, 0)
        shown = stop.args[1]["annotations"][0]["text"].replace("<br>", "")
        shown = html.unescape(shown)
        assert list(filter(str.isalnum, shown)) == list(filter(str.isalnum, sample))
    assert [matrix.visible for matrix in figure.data] == [False] * 4 + [True]
    assert len({matrix.zmax for matrix in figure.data}) == 1
    with pytest.raises(ValueError, match="no checkpoints to show"):
        checkpoints.head_over_time([], text, CharTokenizer(), 0, 0)


def test_figure_of_embeddings_over_time_keeps_the_last_axes(run):
    figure = checkpoints.embeddings_over_time(stages(run.folder), run.tokenizer)
    found = list(stages(run.folder))
    last = found[-1].model.token_embedding.weight
    directions = pca(last).directions
    for stage, part in zip(found, np.split(np.arange(20), 5), strict=True):
        traces = [figure.data[i] for i in part]
        assert {one.visible for one in traces} == {stage.step == 30}
        drawn = np.concatenate([np.stack([one.x, one.y], axis=1) for one in traces])
        expected = (stage.model.token_embedding.weight - last.mean(axis=0)) @ directions.T
        np.testing.assert_allclose(
            np.sort(drawn, axis=0), np.sort(expected, axis=0), rtol=1e-4, atol=1e-6
        )
