import numpy as np
import pytest
from tiny import tiny_model

from minigpt import Sampling, miniGPT, softmax, stream
from minigpt.core.generation import Reader, pad_left
from minigpt.core.sampling import draw

V, T = 11, 8
CONTEXT = np.array([[9, 7, 5], [2, 3, 0], [0, 1, 10]])


@pytest.fixture
def model() -> miniGPT:
    return tiny_model(V, dropout=0.5, dtype=np.float64, noise=0.3)


def plain_logits(model, ids):
    """Return the logits by definition: read the whole window again."""
    model.eval()
    logits, _ = model.forward(ids[:, -T:])
    model.train()
    return logits[:, -1]


def test_cache_gives_the_plain_logits_also_past_max_len(model, rng):
    ids = CONTEXT
    reader = Reader(model, ids)
    for _ in range(3 * T):
        np.testing.assert_allclose(reader.logits, plain_logits(model, ids), rtol=1e-9)
        tokens = rng.integers(0, V, len(ids))
        reader.read(tokens)
        ids = np.concatenate([ids, tokens[:, None]], axis=1)


def test_generate_equals_plain_sampling_also_past_max_len(model):
    ids, generator = CONTEXT, np.random.default_rng(5)
    for _ in range(3 * T):
        probabilities = softmax(plain_logits(model, ids))
        ids = np.concatenate([ids, draw(probabilities, generator)[:, None]], axis=1)
    np.testing.assert_array_equal(model.generate(CONTEXT, 3 * T, seed=5), ids)


def test_generate_uses_the_last_max_len_tokens_of_a_context(model, rng):
    long = rng.integers(0, V, (1, 3 * T))
    whole = model.generate(long, 5, seed=0)
    np.testing.assert_array_equal(whole[:, : 3 * T], long)
    np.testing.assert_array_equal(whole[:, 2 * T :], model.generate(long[:, 2 * T :], 5, seed=0))


def test_greedy_generation_treats_rows_independently(model):
    together = model.generate(CONTEXT, 12, temperature=0)
    for row, context in zip(together, CONTEXT, strict=True):
        np.testing.assert_array_equal(row, model.generate(context[None], 12, temperature=0)[0])
    for t in range(3, 15):
        assert (together[:, t] == plain_logits(model, together[:, :t]).argmax(axis=-1)).all()


def test_generate_is_determined_by_its_seed(model):
    one, same = (model.generate(CONTEXT, 20, seed=3) for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert (one != model.generate(CONTEXT, 20, seed=4)).any()
    assert (model.generate(CONTEXT, 20) != model.generate(CONTEXT, 20)).any()


def test_generate_does_not_change_the_model(model):
    before = model.flat.params.copy()
    model.generate(CONTEXT, 5)
    assert model.training
    assert model.dropout.training
    np.testing.assert_array_equal(model.flat.params, before)


def test_stream_yields_the_tokens_of_generate(model):
    columns = list(stream(model, CONTEXT, 6, seed=1))
    np.testing.assert_array_equal(np.stack(columns, 1), model.generate(CONTEXT, 6, seed=1)[:, 3:])


def test_stop_token_ends_a_row_and_fills_it(model):
    stop = int(model.generate(CONTEXT[:1], 6, seed=1)[0, 5])
    alone = model.generate(CONTEXT[:1], 50, seed=1, stop=stop)
    assert alone[0, -1] == stop
    assert (alone[0, 3:-1] != stop).all()
    batch = model.generate(CONTEXT, 60, seed=1, stop=stop)
    for row in batch[:, 3:]:
        ended = (row == stop).argmax() if (row == stop).any() else len(row)
        assert (row[ended:] == stop).all()


ROWS = [[4], [1, 2, 3, 4, 5, 6], [7, 8, 9]]


def test_rows_of_different_lengths_equal_each_row_alone(model):
    together = model.generate(ROWS, 3 * T, temperature=0)
    assert together.shape == (3, 6 + 3 * T)
    for row, context in zip(together, ROWS, strict=True):
        padding = 6 - len(context)
        assert (row[:padding] == 0).all()
        alone = model.generate([context], 3 * T, temperature=0)[0]
        np.testing.assert_array_equal(row[padding:], alone)


def test_padded_rows_have_the_logits_of_each_row_alone(model, rng):
    reader = Reader(model, *pad_left(ROWS, V))
    alone = [Reader(model, np.array([row])) for row in ROWS]
    for _ in range(2 * T):
        expected = np.concatenate([each.logits for each in alone])
        np.testing.assert_allclose(reader.logits, expected, rtol=1e-9, atol=1e-12)
        tokens = rng.integers(0, V, 3)
        reader.read(tokens)
        for each, token in zip(alone, tokens, strict=True):
            each.read(np.array([token]))


def test_repetition_penalty_ignores_padding(model):
    """Otherwise the zeros on the left would make token 0 less likely."""
    for row, context in zip(
        model.generate(ROWS, 9, temperature=0, repetition_penalty=3.0), ROWS, strict=True
    ):
        alone = model.generate([context], 9, temperature=0, repetition_penalty=3.0)[0]
        np.testing.assert_array_equal(row[6 - len(context) :], alone)


def test_repetition_penalty_counts_prompt_and_new_tokens(model):
    ids, sampling = CONTEXT, Sampling(0, repetition_penalty=2.5)
    for _ in range(2 * T):
        seen = np.array([np.isin(np.arange(V), row) for row in ids])
        tokens = sampling.scores(plain_logits(model, ids), seen).argmax(axis=-1)
        ids = np.concatenate([ids, tokens[:, None]], axis=1)
    got = model.generate(CONTEXT, 2 * T, temperature=0, repetition_penalty=2.5)
    np.testing.assert_array_equal(got, ids)
    assert (got != model.generate(CONTEXT, 2 * T, temperature=0)).any()


@pytest.mark.parametrize(
    ("context", "options", "error", "message"),
    [
        ([[]], {}, ValueError, "empty prompt"),
        ([1, 2], {}, ValueError, r"\(batch, time\)"),
        ([[1, 2], []], {}, ValueError, "at least one token in each row"),
        ([[1, 2], [V]], {}, ValueError, f"got {V}"),
        ([], {}, ValueError, "at least one token in each row"),
        ([[V]], {}, ValueError, f"got {V}"),
        ([[0.5]], {}, TypeError, "must be integers"),
        ([[1]], {"max_new_tokens": 0}, ValueError, "max_new_tokens must be at least 1, got 0"),
        ([[1]], {"temperature": -1}, ValueError, "temperature must be 0 .* got -1"),
        ([[1]], {"temperature": float("nan")}, ValueError, "got nan"),
        ([[1]], {"top_k": 0}, ValueError, "top_k must be at least 1, got 0"),
        ([[1]], {"top_p": 0.0}, ValueError, "top_p must be more than 0 and at most 1, got 0.0"),
        ([[1]], {"top_p": 1.1}, ValueError, "got 1.1"),
        ([[1]], {"min_p": -0.1}, ValueError, "min_p must be from 0 to 1, got -0.1"),
        ([[1]], {"min_p": 1.1}, ValueError, "got 1.1"),
        ([[1]], {"repetition_penalty": 0.0}, ValueError, "repetition_penalty must be more than 0"),
        ([[1]], {"stop": V}, ValueError, f"stop must be from 0 to {V - 1}, got {V}"),
    ],
)
def test_invalid_generation_arguments_are_refused(model, context, options, error, message):
    with pytest.raises(error, match=message):
        model.generate(context, **{"max_new_tokens": 3, **options})
