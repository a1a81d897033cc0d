"""Perplexity, measured in the way of Hugging Face's guide to that of fixed-length models.

A window moves over the text by `stride` tokens at a time, and what it has seen before is not
scored: the labels there are -100. Source: "Perplexity of fixed-length models", in the
documentation of transformers.
"""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import GPT2Config, GPT2LMHeadModel

from minigpt import BPETokenizer, miniGPT
from minigpt.training.evaluation import Evaluation, evaluate

MAX_LEN, VOCAB_SIZE = 128, 300


def both(folder, dtype: str) -> tuple[GPT2LMHeadModel, miniGPT]:
    """Return a tiny GPT-2, as theirs and as ours."""
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=VOCAB_SIZE, n_positions=MAX_LEN, n_embd=24, n_head=3, n_layer=2,
        initializer_range=0.2, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    theirs = GPT2LMHeadModel(config).eval()
    theirs.save_pretrained(folder)
    return theirs.to(getattr(torch, dtype)), miniGPT.from_pretrained(folder, dtype)


def text_of(n_tokens: int) -> np.ndarray:
    """Draw a text of some common tokens and many rare ones."""
    rng = np.random.default_rng(n_tokens)
    return np.minimum(rng.geometric(0.02, n_tokens) - 1, VOCAB_SIZE - 1)


def windows(theirs: GPT2LMHeadModel, ids: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Return three rows, an entry for each window: mean loss, tokens scored, labels that count."""
    found = []
    end_before = 0
    for begin in range(0, len(ids), stride):
        end = min(begin + size, len(ids))
        window = torch.tensor(ids[None, begin:end])
        labels = window.clone()
        labels[:, : end_before - begin] = -100
        with torch.no_grad():
            answer = theirs(window, labels=labels)
        loss = answer.loss
        if theirs.dtype == torch.float64:  # theirs is always taken in float32
            loss = cross_entropy(answer.logits[0, :-1], labels[0, 1:])
        # The label at t belongs to the logits at t - 1: the first of a window is never scored,
        # which only the first window loses by, as that of all others is -100 in any case.
        found.append((loss.item(), (labels[:, 1:] != -100).sum(), (labels != -100).sum()))
        end_before = end
        if end == len(ids):
            break
    return np.array(found).T


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("n_tokens", "size", "stride"),
    [
        (2, 128, 64),
        (127, 128, 64),
        (128, 128, 64),
        (129, 128, 64),
        (130, 128, 127),
        (1000, 128, 64),
        (1000, 128, 5),
        (1000, 100, 37),
        (60, 16, 1),
        (60, 2, 1),
    ],
)
def test_evaluation_loss_with_a_stride(deviation, tmp_path, dtype, n_tokens, size, stride):
    theirs, ours = both(tmp_path, dtype)
    ids = text_of(n_tokens)
    losses, n_scored, _ = windows(theirs, ids, size, stride)
    assert n_scored.sum() == n_tokens - 1
    loss = evaluate(ours, ids, size, stride=stride)
    expected = (losses * n_scored).sum() / n_scored.sum()
    deviation(f"loss of a text with a stride, {dtype}", loss, expected)


def test_perplexity_with_the_weights_of_the_guide(deviation, tmp_path):
    """The guide weighs a window's mean by one less than the labels that count.

    That is right for the first window; all others are scored at each of these labels, and in
    theirs weigh a little less than they should. By its definition, exp(-1/t Σ log p), each token
    weighs the same, which is what ours gives; on a long text the two are all but equal.
    """
    theirs, ours = both(tmp_path, "float32")
    ids = text_of(20_000)
    losses, _, n_labels = windows(theirs, ids, MAX_LEN, 64)
    expected = math.exp((losses * (n_labels - 1)).sum() / (n_labels - 1).sum())
    perplexity = math.exp(evaluate(ours, ids, stride=64))
    deviation("perplexity as the guide weighs it, float32", perplexity, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_tokens", [2, 128, 129, 130, 1000])
def test_evaluation_loss_without_a_stride(deviation, tmp_path, dtype, n_tokens):
    theirs, ours = both(tmp_path, dtype)
    ids = text_of(n_tokens)
    nats = -log_probs(theirs, ids).sum()
    deviation(
        f"loss of a text without a stride, {dtype}", evaluate(ours, ids), nats / (n_tokens - 1)
    )


def log_probs(theirs: GPT2LMHeadModel, ids: np.ndarray) -> np.ndarray:
    """Return the log-probability of each token but the first, read in windows of MAX_LEN."""
    found = []
    for begin in range(0, len(ids) - 1, MAX_LEN):
        window = torch.tensor(ids[begin : begin + MAX_LEN + 1])
        with torch.no_grad():
            scores = theirs(window[None, :-1]).logits[0].double().log_softmax(dim=-1)
        found.append(scores.gather(1, window[1:, None])[:, 0])
    return torch.cat(found).numpy()


def test_evaluation_units_equal_their_definitions(deviation, tmp_path):
    """A loss per token, per word, byte or character is a text's nats spread over all of these.

    The first token has nothing before it and is not predicted. Its bytes are a part of the text,
    though, so that it counts as much as an average one.
    """
    text = "Der Bär – ein  Tier\nmit Fell: 熊 und 🐻.\n" * 30
    theirs, ours = both(tmp_path, "float64")
    ids = np.array(BPETokenizer().train(text, 280).encode(text))
    predicted = log_probs(theirs, ids)
    nats = -predicted.sum() - predicted.mean()
    found = Evaluation.of(evaluate(ours, ids), len(ids), text)
    for ours_per, theirs_per in [
        (found.perplexity, math.exp(nats / len(ids))),
        (math.log(found.word_perplexity), nats / (10 * 30)),
        (found.bits_per_byte, nats / math.log(2) / (47 * 30)),
        (found.bits_per_character, nats / math.log(2) / (39 * 30)),
    ]:
        deviation("perplexity, bits per byte, float64", ours_per, theirs_per)
