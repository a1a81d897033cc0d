import numpy as np
import pytest

from minigpt import BPETokenizer, Sampling, miniGPT, softmax, stream, stream_text
from minigpt.generation import Reader
from minigpt.sampling import draw

V, T = 11, 8
rng = np.random.default_rng(0)
CONTEXT = rng.integers(0, V, (3, 3))


@pytest.fixture
def model() -> miniGPT:
    model = miniGPT(V, T, 12, 3, 2, dropout=0.5, seed=0, dtype=np.float64)
    model.flat.params[...] += np.random.default_rng(1).normal(0, 0.3, model.flat.params.size)
    return model


def plain_logits(model, ids):
    """The definition: read the window anew for each token."""
    model.eval()
    logits, _ = model.forward(ids[:, -T:])
    model.train()
    return logits[:, -1]


def test_the_cache_changes_no_logit_also_past_max_len(model):
    ids = CONTEXT
    reader = Reader(model, ids)
    for _ in range(3 * T):
        np.testing.assert_allclose(reader.logits, plain_logits(model, ids), rtol=1e-9)
        tokens = rng.integers(0, V, len(ids))
        reader.read(tokens)
        ids = np.concatenate([ids, tokens[:, None]], axis=1)


def test_tokens_equal_those_of_the_plain_way_also_past_max_len(model):
    ids, chance = CONTEXT, np.random.default_rng(5)
    for _ in range(3 * T):
        probabilities = softmax(plain_logits(model, ids))
        ids = np.concatenate([ids, draw(probabilities, chance)[:, None]], axis=1)
    np.testing.assert_array_equal(model.generate(CONTEXT, 3 * T, seed=5), ids)


def test_a_context_longer_than_the_window_counts_by_its_end(model):
    long = rng.integers(0, V, (1, 3 * T))
    whole = model.generate(long, 5, seed=0)
    np.testing.assert_array_equal(whole[:, : 3 * T], long)
    np.testing.assert_array_equal(whole[:, 2 * T :], model.generate(long[:, 2 * T :], 5, seed=0))


def test_each_row_of_a_batch_is_greedy_for_itself(model):
    together = model.generate(CONTEXT, 12, temperature=0)
    for row, context in zip(together, CONTEXT, strict=True):
        np.testing.assert_array_equal(row, model.generate(context[None], 12, temperature=0)[0])
    for t in range(3, 15):
        assert (together[:, t] == plain_logits(model, together[:, :t]).argmax(axis=-1)).all()


def test_seeds(model):
    one, same = (model.generate(CONTEXT, 20, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert (one != model.generate(CONTEXT, 20, seed=4)).any()
    assert (model.generate(CONTEXT, 20) != model.generate(CONTEXT, 20)).any()


def test_generating_leaves_the_model_as_it_was(model):
    before = model.flat.params.copy()
    model.generate(CONTEXT, 5)
    assert model.training
    assert model.dropout.training
    np.testing.assert_array_equal(model.flat.params, before)


def test_the_stream_yields_what_generate_gives(model):
    columns = list(stream(model, CONTEXT, 6, seed=1))
    np.testing.assert_array_equal(np.stack(columns, 1), model.generate(CONTEXT, 6, seed=1)[:, 3:])


def test_stop_ends_a_row_and_all_rows_end_the_text(model):
    stop = int(model.generate(CONTEXT[:1], 6, seed=1)[0, 5])
    alone = model.generate(CONTEXT[:1], 50, seed=1, stop=stop)
    assert alone[0, -1] == stop
    assert (alone[0, 3:-1] != stop).all()
    batch = model.generate(CONTEXT, 60, seed=1, stop=stop)
    for row in batch[:, 3:]:
        ended = (row == stop).argmax() if (row == stop).any() else len(row)
        assert (row[ended:] == stop).all()


LOGITS = rng.normal(0, 2, (200, 50))


def test_temperature_divides_the_logits():
    np.testing.assert_allclose(Sampling(0.7).probabilities(LOGITS), softmax(LOGITS / 0.7))
    np.testing.assert_allclose(Sampling().probabilities(LOGITS), softmax(LOGITS))
    greedy = Sampling(0).probabilities(LOGITS)
    assert (greedy.argmax(axis=1) == LOGITS.argmax(axis=1)).all()
    assert (greedy.max(axis=1) == 1).all()
    np.testing.assert_allclose(Sampling(1e-300).probabilities(LOGITS), greedy)


@pytest.mark.parametrize("k", [1, 2, 7, 50, 99])
def test_top_k_by_its_definition(k):
    got = Sampling(top_k=k).probabilities(LOGITS)
    for row, logits in zip(got, LOGITS, strict=True):
        best = sorted(range(50), key=lambda i: -logits[i])[:k]
        expected = np.zeros(50)
        expected[best] = np.exp(logits[best]) / np.exp(logits[best]).sum()
        np.testing.assert_allclose(row, expected)


@pytest.mark.parametrize("p", [1e-9, 0.1, 0.5, 0.9, 1.0])
def test_top_p_by_its_definition(p):
    got = Sampling(top_p=p).probabilities(LOGITS)
    for row, probabilities in zip(got, softmax(LOGITS), strict=True):
        kept, reached = [], 0.0
        for i in sorted(range(50), key=lambda i: -probabilities[i]):
            if reached >= p:
                break
            kept.append(i)
            reached += probabilities[i]
        expected = np.zeros(50)
        expected[kept] = probabilities[kept] / probabilities[kept].sum()
        np.testing.assert_allclose(row, expected)


def test_draw_follows_the_probabilities():
    probabilities = np.tile([0.5, 0.0, 0.3, 0.2], (20000, 1))
    drawn = np.bincount(draw(probabilities, np.random.default_rng(0)), minlength=4) / 20000
    np.testing.assert_allclose(drawn, probabilities[0], atol=0.015)
    assert drawn[1] == 0


def test_text_streams_in_whole_characters():
    tokenizer = BPETokenizer().train("abc", vocab_size=257)
    text = "naïve 🦆 Straße"
    parts = list(stream_text(tokenizer, tokenizer.encode(text)))
    assert "".join(parts) == text
    assert "🦆" in parts
    broken = tokenizer.encode("🦆")[:2]
    assert "".join(stream_text(tokenizer, broken)) == "\ufffd"


@pytest.mark.parametrize(
    ("context", "options", "error", "message"),
    [
        ([[]], {}, ValueError, "empty prompt"),
        ([1, 2], {}, ValueError, r"\(batch, time\)"),
        ([[V]], {}, ValueError, f"got {V}"),
        ([[0.5]], {}, TypeError, "must be integers"),
        ([[1]], {"max_new_tokens": 0}, ValueError, "max_new_tokens must be at least 1, got 0"),
        ([[1]], {"temperature": -1}, ValueError, "temperature must be 0 .* got -1"),
        ([[1]], {"temperature": float("nan")}, ValueError, "got nan"),
        ([[1]], {"top_k": 0}, ValueError, "top_k must be at least 1, got 0"),
        ([[1]], {"top_p": 0.0}, ValueError, "top_p must be more than 0 and at most 1, got 0.0"),
        ([[1]], {"top_p": 1.1}, ValueError, "got 1.1"),
        ([[1]], {"stop": V}, ValueError, f"stop must be from 0 to {V - 1}, got {V}"),
    ],
)
def test_bad_input_gets_a_sentence(model, context, options, error, message):
    with pytest.raises(error, match=message):
        model.generate(context, **{"max_new_tokens": 3, **options})
