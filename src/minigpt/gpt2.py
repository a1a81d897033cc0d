"""GPT-2 as Hugging Face writes it down: the keys of config.json, the names of the tensors.

Nothing but names is translated: the architecture is the same. Its matrices multiply as ours do,
x @ W, but for the head's, which is stored transposed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.checks import unknown
from minigpt.functional import Array
from minigpt.layers import Dropout

if TYPE_CHECKING:
    from minigpt.model import miniGPT

_OUTER = {
    "token_embedding.weight": "wte.weight",
    "position_embedding.weight": "wpe.weight",
    "final_norm.scale": "ln_f.weight",
    "final_norm.shift": "ln_f.bias",
    "head.weight": "lm_head.weight",
}
_IN_BLOCK = {
    "norm_1.scale": "ln_1.weight",
    "norm_1.shift": "ln_1.bias",
    "attention.qkv.weight": "attn.c_attn.weight",
    "attention.qkv.bias": "attn.c_attn.bias",
    "attention.projection.weight": "attn.c_proj.weight",
    "attention.projection.bias": "attn.c_proj.bias",
    "norm_2.scale": "ln_2.weight",
    "norm_2.shift": "ln_2.bias",
    "feed_forward.up.weight": "mlp.c_fc.weight",
    "feed_forward.up.bias": "mlp.c_fc.bias",
    "feed_forward.down.weight": "mlp.c_proj.weight",
    "feed_forward.down.bias": "mlp.c_proj.bias",
}
BUFFERS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")
"""Old files store the causal mask too, under these names."""

_ACTIVATIONS = {
    "gelu_new": "gelu",
    "gelu_pytorch_tanh": "gelu",  # the same formula by another name
    "gelu_fast": "gelu",
    "relu": "relu",
}
_MUST_BE: dict[str, Any] = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
    "quantization_config": None,
}
"""Keys that would make another model of the same weights, with the only value that is done here."""


def tensor_names(n_layers: int) -> dict[str, str]:
    """Give our name → GPT-2's, without the prefix `transformer.`, of every tensor."""
    names = dict(_OUTER)
    for i in range(n_layers):
        names |= {f"blocks.{i}.{ours}": f"h.{i}.{theirs}" for ours, theirs in _IN_BLOCK.items()}
    return names


def to_gpt2(model: miniGPT) -> dict[str, Array]:
    """Give the weights of `model` under GPT-2's names, in GPT-2's shapes.

    What `bias=False` leaves out is there as zeros, as GPT-2 has no such option.
    """
    params = model.params()
    tensors = {}
    for ours, theirs in tensor_names(model.n_layers).items():
        if ours == "head.weight":
            if not model.tie_weights:
                tensors[theirs] = np.ascontiguousarray(params[ours].T)
        elif ours in params:
            tensors[f"transformer.{theirs}"] = params[ours]
        else:  # as wide as what it would be added to
            partner = ours.replace("bias", "weight").replace("shift", "scale")
            zeros = np.zeros(params[partner].shape[-1], model.dtype)
            tensors[f"transformer.{theirs}"] = zeros
    return tensors


def config_of(model: miniGPT, end_of_text_id: int | None) -> dict[str, Any]:
    """Give the content of config.json."""
    attention = model.blocks[0].attention
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": model.vocab_size,
        "n_positions": model.max_len,
        "n_embd": model.d_model,
        "n_head": model.n_heads,
        "n_layer": model.n_layers,
        "n_inner": model.d_ff,
        "activation_function": next(k for k, v in _ACTIVATIONS.items() if v == model.activation),
        "layer_norm_epsilon": model.final_norm.eps,
        "embd_pdrop": model.dropout.p,
        "attn_pdrop": attention.attention_dropout.p,
        "resid_pdrop": attention.residual_dropout.p,
        "tie_word_embeddings": model.tie_weights,
        "bos_token_id": end_of_text_id,
        "eos_token_id": end_of_text_id,
        "dtype": str(model.dtype),
        "torch_dtype": str(model.dtype),
        "minigpt": {"bias": model.bias},
    }


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json; refuse what is no GPT-2 that this is, by the name of its key."""
    path = folder / "config.json"
    if not path.is_file():
        what = "has no config.json" if folder.is_dir() else "is not there"
        raise FileNotFoundError(f"{folder} is no model folder: it {what}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(config, dict) or config.get("model_type") != "gpt2":
        given = config.get("model_type") if isinstance(config, dict) else config
        raise ValueError(f"{path}: model_type must be 'gpt2', got {given!r:.100}")
    for key, ours in _MUST_BE.items():
        if (given := config.get(key, ours)) != ours:
            raise ValueError(
                f"{path}: {key} must be {ours!r}, got {given!r:.100}: that is another architecture "
                "than miniGPT's"
            )
    activation = config.get("activation_function", "gelu_new")
    if activation not in _ACTIVATIONS:
        raise ValueError(f"{path}: {unknown('activation_function', str(activation), _ACTIVATIONS)}")
    return config


def arguments_of(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Turn a GPT-2 config into the arguments of `miniGPT`."""
    try:
        return {
            "vocab_size": config["vocab_size"],
            "max_len": config["n_positions"],
            "d_model": config["n_embd"],
            "n_heads": config["n_head"],
            "n_layers": config["n_layer"],
            "d_ff": config.get("n_inner"),
            "activation": _ACTIVATIONS[config.get("activation_function", "gelu_new")],
            "bias": config.get("minigpt", {}).get("bias", True),
            "tie_weights": config.get("tie_word_embeddings", True),
            "dropout": config.get("resid_pdrop", 0.1),
        }
    except KeyError as error:
        raise ValueError(f"{folder}: config.json has no {error.args[0]!r}") from None


def adjust(model: miniGPT, config: dict[str, Any]) -> None:
    """Set what GPT-2's config tells layer by layer, and the arguments of `miniGPT` do not."""
    norms = [model.final_norm]
    model.dropout.p = Dropout(config.get("embd_pdrop", 0.1)).p
    for block in model.blocks:
        norms += [block.norm_1, block.norm_2]
        block.attention.attention_dropout.p = Dropout(config.get("attn_pdrop", 0.1)).p
    for norm in norms:
        norm.eps = float(config.get("layer_norm_epsilon", 1e-5))
