import math

import numpy as np
import pytest

from minigpt import Evaluation, evaluate, miniGPT
from minigpt.functional import cross_entropy

V, T = 11, 8
DATA = np.random.default_rng(0).integers(0, V, 53).astype(np.uint8)


@pytest.fixture
def model() -> miniGPT:
    model = miniGPT(V, T, 12, 3, 2, dropout=0.5, seed=0, dtype=np.float64)
    model.flat.params[...] += np.random.default_rng(1).normal(0, 0.3, model.flat.params.size)
    return model


def surprise(model, start, place):
    """Nats at DATA[place], seen from DATA[start : place]."""
    model.eval()
    logits, _ = model.forward(DATA[None, start:place])
    model.train()
    return cross_entropy(logits[:, -1], DATA[None, place])


def test_windows_one_after_another(model):
    nats = [surprise(model, (place - 1) // T * T, place) for place in range(1, len(DATA))]
    assert evaluate(model, DATA) == pytest.approx(np.mean(nats), rel=1e-12)
    assert evaluate(model, DATA, batch_size=3) == pytest.approx(np.mean(nats), rel=1e-12)
    assert model.training


@pytest.mark.parametrize("stride", range(1, T))
@pytest.mark.parametrize("n_tokens", [2, 7, 8, 9, 53])
def test_overlapping_windows_of_max_len_tokens_that_move_on_by_stride(model, stride, n_tokens):
    data = DATA[:n_tokens]
    nats = []
    for place in range(1, n_tokens):
        # The first window that reaches this token; what stands before in it is what it sees.
        start = max(0, -(-(place + 1 - T) // stride) * stride)
        nats.append(surprise(model, start, place))
    assert evaluate(model, data, stride=stride) == pytest.approx(np.mean(nats), rel=1e-12)


def test_a_smaller_block_and_a_sample_of_the_windows(model):
    nats = [surprise(model, (place - 1) // 4 * 4, place) for place in range(1, len(DATA))]
    assert evaluate(model, DATA, block_size=4) == pytest.approx(np.mean(nats), rel=1e-12)
    first_and_last = nats[:4] + nats[48:]
    sampled = evaluate(model, DATA, block_size=4, max_tokens=8)
    assert sampled == pytest.approx(np.mean(first_and_last), rel=1e-12)


def test_progress_goes_over_all_batches(model):
    seen = []

    def track(batches):
        for batch in batches:
            yield batch
            seen.append(batch)

    assert evaluate(model, DATA, stride=2, track=track) == evaluate(model, DATA, stride=2)
    assert sum(len(starts) * n_new for starts, _, n_new in seen) == len(DATA) - 1


def test_units():
    text = "my dear  gänse\n"
    result = Evaluation.of(2.0, 5, text)
    assert (result.n_words, result.n_bytes, result.n_characters) == (3, 16, 15)
    assert result.perplexity == pytest.approx(math.exp(2))
    assert result.word_perplexity == pytest.approx(math.exp(10 / 3))
    assert result.bits_per_byte == pytest.approx(10 / math.log(2) / 16)
    assert result.bits_per_character == pytest.approx(10 / math.log(2) / 15)
    assert Evaluation.of(5.0, 1000, "oneword").word_perplexity == math.inf


@pytest.mark.parametrize("stride", [0, -1, T, 3 * T])
def test_a_stride_has_to_leave_some_of_the_window(model, stride):
    with pytest.raises(ValueError, match=f"stride must be at least 1 and .* {T}, got {stride}"):
        evaluate(model, DATA, stride=stride)


def test_one_token_has_no_loss(model):
    with pytest.raises(ValueError, match="at least 2 tokens, got 1"):
        evaluate(model, DATA[:1])
