"""The whole model against PyTorch with autograd: logits, loss and every gradient."""

import itertools

import numpy as np
import pytest
from tiny import tiny_model
from torch_model import GPT, as_in_torch, gradients

HEADS = [1, 2, 3, 4, 6, 12]
MAX_LEN = 12
VOCAB_SIZE = 27
OPTIONS = list(itertools.product(["gelu", "relu"], [True, False], [True, False]))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("n_heads", HEADS)
@pytest.mark.parametrize(("activation", "bias", "tie_weights"), OPTIONS)
def test_model_logits_loss_and_every_gradient(
    deviation, activation, bias, tie_weights, n_heads, dtype
):
    options = {"activation": activation, "bias": bias, "tie_weights": tie_weights}
    shift = OPTIONS.index((activation, bias, tie_weights)) + 3 * HEADS.index(n_heads)
    sizes = {"max_len": MAX_LEN, "n_layers": 1 + shift % 3, "d_ff": (20, None)[shift % 2]}
    ours = tiny_model(VOCAB_SIZE, noise=0.1, dtype=dtype, n_heads=n_heads, **sizes, **options)
    theirs = GPT(ours)
    for time in range(1, MAX_LEN + 1):
        batch = 1 + (time + shift) % 8  # from test to test, each time meets each batch size
        ids, targets = np.random.default_rng(time).integers(0, VOCAB_SIZE, (2, batch, time))
        logits, loss = ours.forward(ids, targets)
        ours.backward()
        their_logits, their_loss = theirs(ids, targets)
        theirs.zero_grad()
        their_loss.backward()

        assert logits.dtype == dtype
        deviation(f"logits of the model, {dtype}", logits, their_logits.detach())
        deviation(f"loss of the model, {dtype}", loss, their_loss.item())
        theirs_by_name = gradients(theirs)
        for name, gradient in as_in_torch(ours.grads(), theirs).items():
            assert gradient.dtype == dtype
            deviation(f"gradients of the model, {dtype}", gradient, theirs_by_name[name])
