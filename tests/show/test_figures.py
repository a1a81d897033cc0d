"""Test figures by the data that they show."""

import json

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import BPETokenizer, CharTokenizer, Sampling, trace
from minigpt.inside import HeadScores, attribute, logit_lens, neuron_activations, pca, surprise
from minigpt.show.figures import attention_maps as attention
from minigpt.show.figures import attribution_bars as attribution
from minigpt.show.figures import embedding_map as embeddings
from minigpt.show.figures import head_table as heads
from minigpt.show.figures import lens_table as lens
from minigpt.show.figures import neuron_texts as neurons
from minigpt.show.figures import next_token as probabilities
from minigpt.show.figures import residual_stream as stream
from minigpt.show.figures import surprise_text as surprise_view
from minigpt.show.figures import token_cells as tokens

TEXT = "my <b>dear</b> goose,\nmy dear fox &\n"


@pytest.fixture(scope="module")
def tokenizer():
    return CharTokenizer().train(TEXT)


@pytest.fixture(scope="module")
def model(tokenizer):
    return tiny_model(tokenizer.vocab_size, max_len=40, noise=0.5)


@pytest.fixture(scope="module")
def seen(model, tokenizer):
    return trace(model, TEXT, tokenizer)


def shown(piece):
    """Return a piece as figures must write it: < and & escaped, spaces visible."""
    names = {" ": "·", "\n": "⏎", "<": "&lt;", ">": "&gt;", "&": "&amp;"}
    return "".join(names.get(c, c) for c in piece)


def title(figure):
    return figure.layout.title.text + " " + figure.layout.title.subtitle.text


def test_tokens_figure(seen, model, tokenizer):
    figure = tokens.tokens(seen)
    bar = figure.data[0]
    assert list(bar.text) == [shown(c) for c in TEXT]
    assert f"{len(TEXT)} tokens" in title(figure)
    colours = dict(zip(TEXT, bar.marker.color, strict=True))
    assert list(bar.marker.color) == [colours[c] for c in TEXT]  # the same piece, the same colour
    assert bar.y[TEXT.index("\n")] + 1 == bar.y[TEXT.index("\n") + 1]  # a line's end ends a row
    for i in range(len(TEXT) - 1):  # cells touch, and do not overlap
        if bar.y[i] == bar.y[i + 1]:
            assert bar.base[i] + bar.x[i] == bar.base[i + 1]
    assert bar.hovertext[4] == f"token 4: “{shown(TEXT[4])}”, id {seen.ids[4]}"
    dropped = tokens.tokens(trace(model, TEXT * 2, tokenizer))
    assert f"40 tokens, after {2 * len(TEXT) - 40} that did not fit" in title(dropped)


def test_showdown_figure(tokenizer):
    others = {"bpe": BPETokenizer().train(TEXT * 9, 265), "char": tokenizer}
    figure = tokens.showdown(others, TEXT)
    for data, name, heading in zip(figure.data, others, figure.layout.annotations, strict=True):
        n = len(others[name].encode(TEXT))
        assert len(data.text) == n
        assert heading.text.startswith(f"{name}: {n} tokens, {len(TEXT) / n:.1f} characters")
    with pytest.raises(ValueError, match="at least one tokenizer, and a text"):
        tokens.showdown(others, "")


def test_surprise_figure(seen, model, tokenizer):
    figure = surprise_view.surprise(seen)
    nats = surprise(seen)
    np.testing.assert_allclose(figure.data[0].marker.color, [0, *np.minimum(nats, 8)])
    assert f"{nats.mean():.2f} nats" in title(figure)
    assert f"{nats[4]:.2f} nats" in figure.data[0].hovertext[5]
    expected = seen.vocabulary[int(seen.logits[4].argmax())]
    assert f"likeliest: “{shown(expected)}”" in figure.data[0].hovertext[5]
    with pytest.raises(ValueError, match="at least two"):
        surprise_view.surprise(trace(model, "m", tokenizer))


def test_attention_matrix_figure(seen):
    figure = attention.attention_matrix(seen, 1, 2)
    z = np.array(figure.data[0].z)
    weights = seen.blocks[1].weights[2]
    past = np.tri(len(weights), dtype=bool)
    np.testing.assert_array_equal(z[past], weights[past])
    assert np.isnan(z[~past]).all()
    assert figure.data[0].text[5][3] == f"“{shown(TEXT[5])}” looks at “{shown(TEXT[3])}”"
    assert list(figure.layout.xaxis.ticktext) == [shown(c) for c in TEXT]
    assert "head 2 in block 1" in title(figure)
    for layer, head, message in ((2, 0, "layer must be from 0 to 1"), (0, -1, "head must be")):
        with pytest.raises(ValueError, match=message):
            attention.attention_matrix(seen, layer, head)


@pytest.mark.parametrize("position", [None, -1])
def test_attention_arcs_figure(seen, position):
    weights = seen.blocks[0].weights[1]
    figure = attention.attention_arcs(seen, 0, 1, position, 0.2)
    *arcs, dots = figure.data
    queries = range(len(weights)) if position is None else [len(weights) - 1]
    expected = [(q, k) for q in queries for k in np.flatnonzero(weights[q] >= 0.2)]
    assert len(arcs) == len(expected) > 0
    for arc, (q, k) in zip(arcs, expected, strict=True):
        assert arc.line.width == pytest.approx(1 + 6 * weights[q, k])
        assert arc.hovertext.endswith(f"{weights[q, k]:.1%}")
        if q != k:
            np.testing.assert_allclose([arc.x[0], arc.x[-1]], [q, k])
    assert list(dots.hovertext) == [shown(c) for c in TEXT]


def test_attention_heads_figure(seen):
    figure = attention.attention_heads(seen)
    z, places = np.array(figure.data[0].z), np.array(figure.data[0].customdata)
    filled = ~np.isnan(z)
    assert filled.sum() == 2 * 3 * len(TEXT) * (len(TEXT) + 1) / 2
    np.testing.assert_array_equal(z[filled], seen.weights[tuple(places[filled].T)])
    assert list(figure.layout.xaxis.ticktext) == ["head 0", "head 1", "head 2"]
    assert list(figure.layout.yaxis.ticktext) == ["block 0", "block 1"]


@pytest.mark.parametrize(
    "sampling", [None, Sampling(2, top_k=3), Sampling(0.5, top_p=0.5), Sampling(0)]
)
def test_next_token_figure(seen, sampling):
    figure = probabilities.next_token(seen, sampling, 5, 3)
    drawn, by_model = figure.data
    best = np.argsort(-seen.logits[3], kind="stable")[:5]
    p = (sampling or Sampling()).probabilities(seen.logits[3:4])[0]
    np.testing.assert_allclose(drawn.x, p[best])
    np.testing.assert_allclose(by_model.x, seen.probabilities(3)[best])
    assert list(figure.layout.yaxis.ticktext) == [shown(seen.vocabulary[i]) for i in best]
    assert by_model.marker.color == "rgba(0, 0, 0, 0)"  # hollow
    assert f"{np.count_nonzero(p)} of {len(p)} tokens can be drawn" in title(figure)
    cut = [hover.endswith("never drawn") for hover in drawn.hovertext]
    assert cut == (p[best] == 0).tolist()


@pytest.mark.parametrize("position", [3, -2])
def test_next_token_figure_penalizes_only_earlier_tokens(seen, position):
    sampling = Sampling(repetition_penalty=5)
    drawn = probabilities.next_token(seen, sampling, 9, position).data[0]
    before = np.zeros((1, len(seen.vocabulary)), bool)
    before[0, seen.ids[: position + 1]] = True
    p = sampling.probabilities(seen.logits[position][None], before)[0]
    best = np.argsort(-seen.logits[position], kind="stable")[:9]
    np.testing.assert_allclose(drawn.x, p[best])


def test_next_token_figure_names_its_settings(seen):
    sampling = Sampling(1.5, 4, 0.9, 0.1, 1.2)
    assert "temperature 1.5, top-k 4, top-p 0.9, min-p 0.1, repetition penalty 1.2:" in title(
        probabilities.next_token(seen, sampling)
    )


def test_lens_figure(seen, model):
    figure = lens.lens(model, seen, 6)
    found = logit_lens(model, seen)
    np.testing.assert_allclose(figure.data[0].z, found.probabilities[:, -6:])
    answers = [[shown(seen.vocabulary[i]) for i in row] for row in found.tokens[:, -6:]]
    assert [list(row) for row in figure.data[0].text] == answers
    assert list(figure.layout.xaxis.ticktext) == [shown(c) for c in TEXT[-6:]]


@pytest.mark.parametrize("position", [None, 4])
def test_residual_stream_figure(seen, position):
    figure = stream.stream(seen, position)
    at = slice(None) if position is None else slice(position, position + 1)

    def length(x):
        return np.linalg.norm(x[at], axis=-1).mean()

    embedding, attention_bars, feed_forward_bars, total = figure.data
    assert embedding.y[0] == pytest.approx(length(seen.embedding))
    np.testing.assert_allclose(attention_bars.y, [length(b.attention) for b in seen.blocks])
    np.testing.assert_allclose(feed_forward_bars.y, [length(b.feed_forward) for b in seen.blocks])
    np.testing.assert_allclose(total.y, [length(x) for x in seen.stream])
    places = [*embedding.x, *attention_bars.x, *feed_forward_bars.x]
    assert [figure.layout.xaxis.ticktext[i] for i in places] == [
        *("embedding", "attention 0", "attention 1", "feed-forward 0", "feed-forward 1"),
    ]


def test_attribution_figure(seen, model):
    figure = attribution.attribution(model, seen, 3, 5, against=1)
    found = attribute(model, seen, 3, 5, 1)
    steps, heatmap = figure.data
    assert sum(steps.y) == pytest.approx(found.logit, rel=1e-4)
    assert list(steps.measure) == ["relative"] * 7 + ["total"]
    np.testing.assert_allclose(heatmap.z, found.heads)
    assert heatmap.zmin == -heatmap.zmax
    first, second = (shown(seen.vocabulary[i]) for i in (3, 1))
    assert f"logit {found.logit:.2f} of “{first}” minus that of “{second}”" in title(figure)


def test_embedding_figures(model, tokenizer):
    figure = embeddings.embeddings(model, tokenizer)
    points = pca(model.token_embedding.weight).points
    for data in figure.data:
        for x, y, hover in zip(data.x, data.y, data.hovertext, strict=True):
            i = int(hover.rsplit(" ", 1)[1])
            np.testing.assert_allclose([x, y], points[i])
            assert hover.startswith(f"“{shown(tokenizer.decode([i]))}”")
    assert sum(len(data.x) for data in figure.data) == tokenizer.vocab_size
    assert [data.name for data in figure.data] == ["word", "Name", "part of a word", "other"]
    line = embeddings.positions(model).data[0]
    found = pca(model.position_embedding.weight)
    np.testing.assert_allclose(np.stack([line.x, line.y], axis=1), found.points)


def test_neurons_figure(model, tokenizer):
    figure = neurons.neurons(model, tokenizer, TEXT * 3, 1, [5, 30], 2)
    values = neuron_activations(model, np.array(tokenizer.encode(TEXT * 3)), 1)
    assert [heading.text for heading in figure.layout.annotations] == ["neuron 5", "neuron 30"]
    for data, number in zip(figure.data, (5, 30), strict=True):
        assert set(data.y) == {0, 1}
        for piece, hover, colour in zip(data.text, data.hovertext, data.marker.color, strict=True):
            t = int(hover.split("token ")[1].split(":")[0])
            assert piece == shown((TEXT * 3)[t])
            assert colour == pytest.approx(max(values[t, number], 0))
        assert max(data.marker.color) == pytest.approx(values[:, number].max())
    assert len(neurons.neurons(model, tokenizer, TEXT, 0).data) == 3
    with pytest.raises(ValueError, match=r"from 0 to 47, got \[48\]"):
        neurons.neurons(model, tokenizer, TEXT, 0, [48])


def test_head_scores_figure():
    values = np.array([[[0.9, 0.1]], [[0.2, 0.4]]])
    scores = HeadScores(["previous token", "induction"], values, np.array([0.1, 0.05]))
    figure = heads.heads(scores)
    np.testing.assert_array_equal([data.z for data in figure.data], values)
    assert "0.0 previous token 90%" in title(figure)
    assert "0.1" not in title(figure)
    many = heads.heads(HeadScores(["induction"], np.full((1, 2, 3), 0.8), np.array([0.1])))
    assert title(many).endswith("0.2 induction 80%; and 3 more")
    assert "0.1 induction 40%" in title(heads.heads(scores, 0.3))
    assert "no head stands out" in title(heads.heads(scores, 0.95))


def test_figures_are_whole_and_hide_nothing_on_a_dark_page(seen, model, tokenizer):
    figures = [
        tokens.tokens(seen),
        surprise_view.surprise(seen),
        attention.attention_matrix(seen, 0, 0),
        attention.attention_arcs(seen, 0, 0),
        attention.attention_heads(seen),
        probabilities.next_token(seen),
        lens.lens(model, seen),
        stream.stream(seen),
        attribution.attribution(model, seen),
        embeddings.embeddings(model, tokenizer),
        neurons.neurons(model, tokenizer, TEXT, 0),
    ]
    for figure in figures:
        content = json.loads(figure.to_json())
        look = content["layout"]["template"]["layout"]
        assert look["paper_bgcolor"] == look["plot_bgcolor"] == "rgba(0, 0, 0, 0)"
        assert figure.layout.title.text
        assert figure.layout.title.subtitle.text
        assert "<b>" not in json.dumps(content, ensure_ascii=False)
