"""A run folder opened by transformers, with no code of ours: same ids, same numbers."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from minigpt import BPETokenizer, CharTokenizer, WordTokenizer, miniGPT
from minigpt.checkpoint import to_gpt2

TEXT = "My dear goose, take this lantern.\nMy dear fox, where is my lantern? " * 9
IDS = np.random.default_rng(0).integers(0, 27, (3, 16))
TARGETS = np.random.default_rng(1).integers(0, 27, (3, 16))


def stirred(**options) -> miniGPT:
    model = miniGPT(27, 16, 12, 3, 2, seed=0, **options)
    model.flat.params[...] += np.random.default_rng(2).normal(0, 0.3, model.flat.params.size)
    return model


@pytest.mark.parametrize("tie_weights", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_logits_loss_and_every_gradient(tmp_path, tie_weights, bias, activation):
    ours = stirred(tie_weights=tie_weights, bias=bias, activation=activation, dtype="float64")
    ours.save_pretrained(tmp_path)
    logits, loss = ours.forward(IDS, targets=TARGETS)
    ours.backward()

    theirs, report = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values()), report
    output = theirs(torch.tensor(IDS)).logits
    their_loss = torch.nn.functional.cross_entropy(
        output.reshape(-1, 27), torch.tensor(TARGETS).reshape(-1)
    )
    their_loss.backward()
    np.testing.assert_allclose(logits, output.detach().numpy(), rtol=1e-10, atol=1e-10)
    assert loss == pytest.approx(their_loss.item(), rel=1e-12)

    for name, param in ours.params().items():
        param[...] = ours.grads()[name]  # so that the gradients go by GPT-2's names
    named = dict(theirs.named_parameters())
    for name, gradient in to_gpt2(ours).items():
        if bias or not name.endswith(".bias"):
            np.testing.assert_allclose(gradient, named[name].grad, rtol=1e-8, atol=1e-12)


def test_greedy_generation(tmp_path):
    ours = stirred()
    ours.save_pretrained(tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    generated = theirs.generate(torch.tensor(IDS[:, :4]), max_new_tokens=12, do_sample=False)
    np.testing.assert_array_equal(ours.generate(IDS[:, :4], 12, temperature=0), generated.numpy())


@pytest.mark.parametrize(
    "tokenizer",
    [
        BPETokenizer().train(TEXT, vocab_size=280),
        WordTokenizer().train(TEXT),
        CharTokenizer().train(TEXT),
    ],
    ids=["bpe", "word", "char"],
)
def test_the_tokenizer_of_a_run_folder(tmp_path, tokenizer):
    model = miniGPT(tokenizer.vocab_size, 16, 12, 3, 1, seed=0)
    model.save_pretrained(tmp_path, tokenizer)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    ids = tokenizer.encode(TEXT)
    assert theirs(TEXT)["input_ids"] == ids
    assert theirs.decode(ids) == TEXT
    assert theirs.model_max_length == 16
