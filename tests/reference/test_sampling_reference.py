"""How a token is chosen, against the logits processors of Hugging Face transformers."""

import numpy as np
import pytest
import torch
from transformers import (
    GenerationConfig,
    GPT2LMHeadModel,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)
from transformers_gpt2 import small_gpt2

from minigpt import miniGPT
from minigpt.core.generation import stream_choices
from minigpt.core.sampling import Sampling

N_ROWS = {50: 400, 1000: 200, 50257: 12}
"""Vocabulary size → how many rows of logits are drawn for each case."""
TEXT_LENGTH = 60


def drawn(vocab_size: int, spread: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw logits (B, V) and the texts (B, T) that they would follow."""
    rng = np.random.default_rng(seed)
    shape = N_ROWS[vocab_size], vocab_size
    return rng.normal(0, spread, shape), rng.integers(0, vocab_size, (shape[0], TEXT_LENGTH))


def compare(deviation, equal, sampling: Sampling, process, logits, text) -> None:
    """Hold what `sampling` makes of the logits against what `process` makes of them."""
    seen = np.zeros(logits.shape, dtype=bool)
    np.put_along_axis(seen, text, True, axis=-1)
    theirs = process(torch.tensor(text), torch.tensor(logits))
    ours = sampling.scores(logits, seen)
    kept = np.isfinite(ours)
    equal("kept tokens", "transformers", kept.tolist(), theirs.isfinite().tolist(), len(kept))
    expected = theirs.log_softmax(dim=-1).numpy()[kept]
    log_probs = torch.tensor(ours).log_softmax(dim=-1).numpy()[kept]
    deviation("log-probabilities of kept tokens, float64", log_probs, expected)
    probabilities = sampling.probabilities(logits, seen)
    deviation("probabilities of all tokens, float64", probabilities, theirs.softmax(dim=-1))


ALONE = {
    "repetition_penalty": (RepetitionPenaltyLogitsProcessor, [0.5, 1.0, 1.2, 3.0]),
    "temperature": (TemperatureLogitsWarper, [1e-6, 0.3, 1.0, 2.5]),
    "top_k": (TopKLogitsWarper, [1, 7, 49, 50, 51, 100_000]),
    "top_p": (TopPLogitsWarper, [1e-9, 0.1, 0.5, 0.9, 0.999]),
    "min_p": (MinPLogitsWarper, [0.0, 1e-6, 0.02, 0.3, 1.0]),
}


@pytest.mark.parametrize("vocab_size", N_ROWS)
@pytest.mark.parametrize("name", ALONE)
def test_sampling_settings_one_by_one(deviation, equal, name, vocab_size):
    kind, values = ALONE[name]
    for i, value in enumerate(values):
        logits, text = drawn(vocab_size, spread=1 + i, seed=i)
        compare(deviation, equal, Sampling(**{name: value}), kind(value), logits, text)


@pytest.mark.parametrize("vocab_size", N_ROWS)
def test_sampling_with_top_p_1_and_min_p_0_keeps_everything(deviation, equal, vocab_size):
    """Also the least likely of them, when the others already add up to 1 as far as floats can."""
    logits, text = drawn(vocab_size, spread=8, seed=0)
    for ours, theirs in [
        (Sampling(top_p=1.0), TopPLogitsWarper(1.0)),
        (Sampling(min_p=0.0), MinPLogitsWarper(0.0)),
    ]:
        compare(deviation, equal, ours, theirs, logits, text)
        assert np.isfinite(ours.scores(logits)).all()


@pytest.mark.parametrize("vocab_size", N_ROWS)
def test_sampling_settings_together_act_in_the_order_of_generate(deviation, equal, vocab_size):
    """The chain is the one that `generate` builds, so that its order is theirs."""
    rng = np.random.default_rng(vocab_size)
    model = small_gpt2()
    for seed in range(20):
        settings = {
            "repetition_penalty": float(rng.choice([0.7, 1.3, 2.0])),
            "temperature": float(rng.choice([0.4, 0.8, 1.7])),
            "top_k": int(rng.choice([20, 40, 45])),
            "top_p": float(rng.choice([0.5, 0.8, 0.95])),
            "min_p": float(rng.choice([0.02, 0.05, 0.2])),
        }
        chain = model._get_logits_processor(
            GenerationConfig(do_sample=True, **settings), input_ids_seq_length=TEXT_LENGTH
        )
        assert {type(each) for each in chain} == {kind for kind, _ in ALONE.values()}
        logits, text = drawn(vocab_size, spread=1.5, seed=seed)
        compare(deviation, equal, Sampling(**settings), chain, logits, text)


def test_sampling_keeps_as_many_tokens_in_ties(equal):
    """Which of several equally likely tokens top_p keeps is left to the order of sorting."""
    rng = np.random.default_rng(0)
    logits = rng.integers(0, 4, (400, 50)).astype(float)
    for name in ("top_k", "top_p", "min_p"):
        kind, values = ALONE[name]
        for value in values:
            ours = np.isfinite(Sampling(**{name: value}).scores(logits)).sum(axis=-1)
            theirs = kind(value)(None, torch.tensor(logits)).isfinite().sum(dim=-1)
            equal("how many are kept among ties", "transformers", ours.tolist(), theirs.tolist())


@pytest.mark.parametrize("penalty", [1.0, 1.3, 2.0])
def test_greedy_text_with_a_repetition_penalty(deviation, equal, tmp_path, penalty):
    theirs = small_gpt2()
    theirs.save_pretrained(tmp_path)
    ours = miniGPT.from_pretrained(tmp_path)
    prompt = np.random.default_rng(0).integers(0, 97, (4, 5))
    ids, expected = written_by(theirs, prompt, do_sample=False, repetition_penalty=penalty)
    choices = list(stream_choices(ours, prompt, 60, Sampling(0, repetition_penalty=penalty)))
    tokens, log_probs = (np.stack(each, axis=1) for each in zip(*choices, strict=True))
    equal("greedy ids, repetition penalty", "transformers", tokens.tolist(), ids.tolist(), ids.size)
    deviation("log-probabilities of greedy choices, float32", log_probs, expected)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.6, "top_k": 12},
        {"top_p": 0.8, "repetition_penalty": 1.4},
        {"min_p": 0.1, "temperature": 1.5, "top_k": 30, "top_p": 0.95, "repetition_penalty": 1.1},
    ],
)
def test_log_probabilities_of_drawn_tokens(deviation, monkeypatch, tmp_path, settings):
    """Their drawn tokens are forced on ours, which says how probable each of them was."""
    theirs = small_gpt2(1)
    theirs.save_pretrained(tmp_path)
    ours = miniGPT.from_pretrained(tmp_path)
    prompt = np.random.default_rng(1).integers(0, 97, (8, 5))
    ids, expected = written_by(theirs, prompt, do_sample=True, **{"top_k": 0} | settings)
    forced = iter(ids.T)
    monkeypatch.setattr("minigpt.core.sampling.draw", lambda probabilities, rng: next(forced))
    choices = stream_choices(ours, prompt, 60, Sampling(**settings))
    log_probs = np.stack([log_prob for _, log_prob in choices], axis=1)
    deviation("log-probabilities of drawn tokens, float32", log_probs, expected)


def written_by(model: GPT2LMHeadModel, prompt, **settings) -> tuple[np.ndarray, np.ndarray]:
    """Let transformers write: the 60 new ids (B, 60), and how probable it says each was."""
    answer = model.generate(
        torch.tensor(prompt),
        attention_mask=torch.ones(prompt.shape, dtype=torch.long),
        max_new_tokens=60,
        output_scores=True,
        return_dict_in_generate=True,
        **settings,
    )
    log_probs = model.compute_transition_scores(
        answer.sequences, answer.scores, normalize_logits=True
    )
    return answer.sequences[:, prompt.shape[1] :].numpy(), log_probs.numpy()
