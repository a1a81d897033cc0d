"""A small GPT-2 of transformers, to compare with."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel

NO_END = {"bos_token_id": None, "eos_token_id": None}
VOCAB_SIZE = 97


def small_gpt2(seed: int = 0, noise: float = 0.0, **options) -> GPT2LMHeadModel:
    """Return a GPT-2 with weights large enough for a text that does not repeat itself.

    Biases are born as zeros and scales as ones: `noise` is added to both.
    """
    torch.manual_seed(seed)
    sizes = {"vocab_size": VOCAB_SIZE, "n_positions": 80, "n_embd": 24, "n_head": 3, "n_layer": 2}
    config = GPT2Config(**{**sizes, **NO_END, "initializer_range": 0.3, **options})
    model = GPT2LMHeadModel(config).eval()
    if noise:
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:
                    parameter += noise * torch.randn_like(parameter)
    return model
