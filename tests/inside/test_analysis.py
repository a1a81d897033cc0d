from functools import partial

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import WordTokenizer, trace
from minigpt.core.functional import cross_entropy
from minigpt.inside import (
    attribute,
    head_scores,
    logit_lens,
    most_selective,
    neuron_activations,
    pca,
    play_relations,
    play_scores,
    relations,
    repeated_tokens,
    score_heads,
    strongest,
    surprise,
    without_heads,
)

small = partial(tiny_model, 20, max_len=40, dtype="float64", noise=0.3)
IDS = [3, 3, 19, 0, 7, 3]


@pytest.mark.parametrize("changes", [{}, {"bias": False}, {"tie_weights": True}])
@pytest.mark.parametrize("against", [None, 11])
def test_attribution_parts_sum_to_the_logit(changes, against):
    model = small(**changes)
    seen = trace(model, IDS)
    found = attribute(model, seen, 5, 2, against)
    expected = seen.logits[2, 5] - (0 if against is None else seen.logits[2, against])
    assert found.logit == pytest.approx(expected)
    assert sum(found.parts().values()) == pytest.approx(expected)
    assert (found.token, found.position, found.against) == (5, 2, against)
    assert len(found.parts()) == 2 + 2 * (3 + 1 + 1) + 1


def test_attribution_part_is_what_the_logit_loses_without_it():
    """With the norm's variance fixed, the logit falls by a part if the stream lacks its vector."""
    model = small()
    seen = trace(model, IDS)
    found = attribute(model, seen)
    assert found.token == seen.logits[-1].argmax()
    stream = seen.blocks[-1].output[-1]
    scale = np.sqrt(stream.var() + model.final_norm.eps)
    parts = {
        "head 0.2": seen.blocks[0].head_writes[2, -1],
        "attention 1, bias": model.blocks[1].attention.projection.bias,
        "feed-forward 0": seen.blocks[0].feed_forward[-1],
        "token embedding": seen.token_embedding[-1],
        "position embedding": seen.position_embedding[-1],
    }
    for name, written in parts.items():
        without = stream - written
        y = (without - without.mean()) / scale * model.final_norm.scale + model.final_norm.shift
        change = seen.logits[-1, found.token] - y @ model.head.weight[:, found.token]
        assert found.parts()[name] == pytest.approx(change), name


def test_attribution_refuses_an_unknown_token():
    model = small()
    with pytest.raises(ValueError, match="from 0 to 19, got 20"):
        attribute(model, trace(model, IDS), 20)


def test_logit_lens_ends_with_the_models_output():
    model = small()
    seen = trace(model, IDS)
    found = logit_lens(model, seen)
    assert found.tokens.shape == found.probabilities.shape == (3, 6)
    part = logit_lens(model, seen, 4)
    np.testing.assert_array_equal(part.tokens, found.tokens[:, -4:])
    np.testing.assert_allclose(part.probabilities, found.probabilities[:, -4:])
    assert found.tokens[-1].tolist() == seen.logits.argmax(axis=-1).tolist()
    np.testing.assert_allclose(
        found.probabilities[-1], [seen.probabilities(t).max() for t in range(6)]
    )


def test_logit_lens_works_in_chunks(monkeypatch):
    model = small()
    seen = trace(model, IDS)
    whole = logit_lens(model, seen)
    monkeypatch.setattr("minigpt.inside.lens.MAX_LOGITS", 4 * model.vocab_size)
    parts = logit_lens(model, seen)
    np.testing.assert_array_equal(parts.tokens, whole.tokens)
    np.testing.assert_allclose(parts.probabilities, whole.probabilities)


def test_logit_lens_of_a_block_equals_a_shorter_model():
    model = small()
    seen = trace(model, IDS)
    found = logit_lens(model, seen)
    for n in (1, 0):
        del model.blocks[n:]
        logits = model.forward(np.array([IDS]))[0][0]
        assert found.tokens[n].tolist() == logits.argmax(axis=-1).tolist()
        p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        np.testing.assert_allclose(found.probabilities[n], p.max(axis=-1))


def test_mean_surprise_is_the_loss():
    seen = trace(small(), IDS)
    nats = surprise(seen)
    assert nats.shape == (5,)
    assert nats.mean() == pytest.approx(cross_entropy(seen.logits[:-1], np.array(IDS[1:])))
    assert nats[2] == pytest.approx(-np.log(seen.probabilities(2)[IDS[3]]))


# ── heads ──


def related(ids, pieces=None):
    """Return the relations as lists of (query, key)."""
    found = relations(np.array(ids), pieces)
    return {name: np.argwhere(r).tolist() for name, r in found.items()}


def test_relations_of_a_text():
    found = related([5, 6, 5, 6, 6])
    assert found["previous token"] == [[1, 0], [2, 1], [3, 2], [4, 3]]
    assert found["duplicate token"] == [[2, 0], [3, 1], [4, 1], [4, 3]]
    assert found["induction"] == [[2, 1], [3, 2], [4, 2]]
    assert found["first token"] == [[1, 0], [2, 0], [3, 0], [4, 0]]
    assert found["itself"] == [[1, 1], [2, 2], [3, 3], [4, 4]]


def test_relations_by_lines():
    pieces = ["A", ".\n", "B", ":", "\n  ", "C", "D"]
    found = related([0, 1, 2, 3, 4, 5, 6], pieces)
    assert found["start of line"] == [[3, 2], [4, 2], [6, 5]]
    assert found["start of the line before"] == [[5, 2], [6, 2]]


def test_head_scores_of_heads_with_one_purpose():
    ids = np.tile(np.arange(6), 2)
    known = relations(ids)
    weights = np.zeros((1, 4, 12, 12))
    for head, name in enumerate(["previous token", "duplicate token", "induction", "first token"]):
        weights[0, head] = known[name]
        idle = ~known[name].any(axis=1)
        weights[0, head, idle, 0] = 1  # like real heads without a relation
    scores = score_heads(weights, known)
    for head, name in enumerate(scores.names[:4]):
        assert scores.values[head, 0, head] == 1, name
    assert list(scores.found()) == [
        (0, 0, "previous token", 1),
        (0, 1, "duplicate token", 1),
        (0, 2, "induction", 1),
        (0, 3, "first token", 1),
    ]


def test_head_scores_of_uniform_attention_name_no_head():
    known = relations(np.array(IDS), ["a", "\n", "b", "c", "d", "e"])
    even = np.tri(6) / np.arange(1, 7)[:, None]
    scores = score_heads(even[None, None], known)
    np.testing.assert_allclose(scores.values[:, 0, 0], scores.even)
    assert scores.even[0] == pytest.approx(np.mean([1 / n for n in range(2, 7)]))
    assert list(scores.found(0.01)) == []
    assert score_heads(even[None, None], {"none": np.zeros((6, 6), bool)}).values.sum() == 0


def test_head_scores_on_repeated_tokens():
    model = small()
    ids = repeated_tokens(model, np.random.default_rng(0))
    assert len(ids) == 40
    assert ids[:20].tolist() == ids[20:].tolist()
    assert len(set(ids)) == 20
    scores = head_scores(model, n_texts=2)
    assert scores.values.shape == (5, 2, 3)
    rng, by_hand = np.random.default_rng(0), []
    for _ in range(2):
        seen = trace(model, repeated_tokens(model, rng))
        weights = seen.weights
        by_hand.append(np.mean([weights[:, :, t, t - 19] for t in range(20, 40)], axis=0))
    np.testing.assert_allclose(scores.values[scores.names.index("induction")], np.mean(by_hand, 0))
    short = tiny_model(20, max_len=3)
    with pytest.raises(ValueError, match="context of 3 tokens is too short"):
        head_scores(short)


SCENE = "Rufus and Flora.\n  Rufus: I have lied.\n  Flora: my dear Rufus, he has lied!\n"


def test_relations_of_a_scene():
    tokenizer = WordTokenizer().train(SCENE)
    pieces = [tokenizer.decode([i]) for i in tokenizer.encode(SCENE)]
    found = play_relations(pieces)
    words = {
        name: {(pieces[q], pieces[k]) for q, k in np.argwhere(relation)}
        for name, relation in found.items()
    }
    assert words["names of persons"] == {
        (due, name) for due in ("\n", "dear") for name in ("Rufus", "Flora")
    }
    assert words["what was confessed"] == {("has", "have"), ("has", "lied"), ("has", " ")}
    assert words["speaker's colon"] == {(":", ":")}
    assert not any(np.triu(relation).any() for relation in found.values())


def test_play_scores_of_scenes():
    tokenizer = WordTokenizer().train(SCENE)
    model = tiny_model(tokenizer.vocab_size, max_len=60)
    for block in model.blocks:  # with no queries all attention is even
        block.attention.qkv.weight[...] = 0
    scores = play_scores(model, tokenizer, f"{SCENE}\n{SCENE}\nnothing")
    assert scores.names == ["names of persons", "what was confessed", "speaker's colon"]
    np.testing.assert_allclose(
        scores.values, np.broadcast_to(scores.even[:, None, None], (3, 2, 3))
    )
    pieces = [tokenizer.decode([i]) for i in tokenizer.encode(SCENE)]
    q = pieces.index("has")
    n = sum(play_relations(pieces)["what was confessed"][q])
    assert scores.even[1] == pytest.approx(n / (q + 1))
    with pytest.raises(ValueError, match="no scene of the plays"):
        play_scores(model, tokenizer, "nothing")


# ── neurons and principal components ──


def test_neuron_activations_of_a_text_longer_than_the_context():
    model = small()
    ids = np.random.default_rng(0).integers(0, 20, 100)
    for layer in (0, 1):
        found = neuron_activations(model, ids, layer)
        windows = [trace(model, ids[start : start + 40]) for start in (0, 40, 80)]
        expected = np.concatenate([seen.blocks[layer].neurons for seen in windows])
        np.testing.assert_array_equal(found, expected)
    assert len(model.blocks) == 2
    for wrong, message in ((-1, "layer must be from 0 to 1, got -1"), (2, "got 2")):
        with pytest.raises(ValueError, match=message):
            neuron_activations(model, ids, wrong)
    with pytest.raises(ValueError, match="at least one"):
        neuron_activations(model, np.array([], int), 0)


def test_most_selective_neurons_and_their_strongest_places():
    activations = np.random.default_rng(0).normal(size=(200, 5))
    activations[:, 3] = 0
    activations[[20, 22, 90, 150], 3] = [9, 10, 8, 7]
    assert most_selective(activations, 2)[0] == 3
    assert strongest(activations[:, 3], 3, apart=8) == [22, 90, 150]
    assert strongest(activations[:, 3], 3, apart=1) == [22, 20, 90]
    assert strongest(np.ones(4), 9, apart=2) == [0, 2]


def test_pca_of_points_near_a_plane():
    rng = np.random.default_rng(0)
    plane = np.linalg.qr(rng.normal(size=(6, 2)))[0].T
    places = rng.normal(size=(300, 2)) * [5, 2]
    vectors = places @ plane + rng.normal(0, 0.01, (300, 6)) + 7
    found = pca(vectors)
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(np.abs(found.directions @ plane.T), np.eye(2), atol=0.1)
    np.testing.assert_allclose(found.points.mean(axis=0), 0, atol=1e-12)
    variances = np.linalg.eigvalsh(np.cov(vectors.T))[::-1]
    np.testing.assert_allclose(found.points.var(axis=0, ddof=1), variances[:2])
    np.testing.assert_allclose(found.shares, variances[:2] / variances.sum())
    np.testing.assert_allclose(pca(-vectors).directions, found.directions)  # signs stay


def test_strongest_works_for_unsigned_numbers():
    assert strongest(np.array([0, 3, 255, 7], np.uint8), 2, apart=1) == [2, 3]


@pytest.mark.parametrize("vectors", [[[1.0, 2.0]], np.ones(3), np.ones((0, 3)), np.ones((2, 2, 2))])
def test_pca_refuses_what_is_not_a_set_of_vectors(vectors):
    with pytest.raises((TypeError, ValueError), match="vectors must"):
        pca(vectors)


@pytest.mark.parametrize("changes", [{}, {"bias": False}, {"tie_weights": True}])
def test_without_heads_removes_the_output_of_those_heads(changes):
    model = small(**changes)
    whole = trace(model, IDS)
    before = {name: param.copy() for name, param in model.params().items()}
    seen = trace(without_heads(model, [(1, 2), (1, 0)]), IDS)
    wrote = whole.blocks[1].head_writes[[0, 2]].sum(axis=0)
    np.testing.assert_allclose(seen.blocks[1].middle, whole.blocks[1].middle - wrote, atol=1e-12)
    np.testing.assert_array_equal(seen.weights, whole.weights)  # the heads still attend
    assert np.abs(seen.logits - whole.logits).max() > 1e-3
    for name, param in model.params().items():
        np.testing.assert_array_equal(param, before[name])


@pytest.mark.parametrize("head", [(2, 0), (-1, 0), (0, 3), (0, -1)])
def test_without_heads_refuses_an_unknown_head(head):
    with pytest.raises(ValueError, match=r"must be from 0 to \d, got"):
        without_heads(small(), [head])
