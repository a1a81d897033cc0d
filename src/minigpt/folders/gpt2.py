"""Hugging Face's GPT-2 format: the keys of config.json and the names of the tensors.

The architecture is the same as ours, so only names are translated. Its matrices multiply as ours
do, x @ W; only the head is stored transposed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minigpt.core.functional import Array
from minigpt.core.layers import Dropout
from minigpt.support.untrusted_files import read_json, reason_missing
from minigpt.text.token_roles import TOKEN_IDS

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT

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
"""Names under which old files store the causal mask."""

_ACTIVATIONS = {
    "gelu_new": "gelu",
    "gelu_pytorch_tanh": "gelu",  # other names of the same formula
    "gelu_python_tanh": "gelu",
    "gelu_accurate": "gelu",
    "gelu_fast": "gelu",
    "relu": "relu",
}
_EXACT_GELU = ("gelu", "gelu_python")
_CONFIG_MUST_BE: dict[str, Any] = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
    "quantization_config": None,
    "pruned_heads": {},
}
"""Keys that change the architecture → the only value that miniGPT implements."""

_OTHER_NAMES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}
"""Alternative names that transformers accepts."""

_SIZES = ("vocab_size", "n_positions", "n_embd", "n_head", "n_layer", "n_inner")
_SWITCHES = ("tie_word_embeddings",)
_FRACTIONS = ("layer_norm_epsilon", "embd_pdrop", "attn_pdrop", "resid_pdrop")
"""Keys with values in [0, 1)."""


def tensor_names(n_layers: int) -> dict[str, str]:
    """Return our name → GPT-2's name, without the prefix `transformer.`, of each tensor."""
    names = dict(_OUTER)
    for i in range(n_layers):
        names |= {f"blocks.{i}.{ours}": f"h.{i}.{theirs}" for ours, theirs in _IN_BLOCK.items()}
    return names


def to_gpt2(model: miniGPT) -> dict[str, Array]:
    """Return the weights of `model` with GPT-2's names and shapes.

    GPT-2 has no option `bias=False`, so missing biases become zeros.
    """
    params = model.params()
    tensors = {}
    for ours, theirs in tensor_names(model.n_layers).items():
        if ours == "head.weight":
            if not model.tie_weights:
                tensors[theirs] = np.ascontiguousarray(params[ours].T)
        elif ours in params:
            tensors[f"transformer.{theirs}"] = params[ours]
        else:  # as wide as the output it would be added to
            partner = ours.replace("bias", "weight").replace("shift", "scale")
            zeros = np.zeros(params[partner].shape[-1], model.dtype)
            tensors[f"transformer.{theirs}"] = zeros
    return tensors


def config_of(model: miniGPT, generation_config: dict[str, Any]) -> dict[str, Any]:
    """Return the content of config.json, with the special token ids of `generation_config`."""
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
        **{key: value for key, value in generation_config.items() if key in TOKEN_IDS},
        "dtype": str(model.dtype),
        "torch_dtype": str(model.dtype),
        "minigpt": {"bias": model.bias},
    }


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json; raise, with the name of the key, if it is not a GPT-2 like ours."""
    path = folder / "config.json"
    if not path.is_file():
        why = reason_missing(folder, path.name)
        raise FileNotFoundError(f"{folder} is not a model folder: {why}")
    config = read_json(path)
    if (given := config.get("model_type")) != "gpt2":
        raise ValueError(f"{path}: model_type must be 'gpt2', got {given!r:.100}")
    for key, ours in _CONFIG_MUST_BE.items():
        if (given := config.get(key, ours)) != ours:
            raise ValueError(
                f"{path}: {key} is {given!r:.100}, not {ours!r}: that architecture differs from "
                "miniGPT's, which would compute something else from these weights"
            )
    for name, key in _OTHER_NAMES.items():
        if name in config and config.setdefault(key, config[name]) != config[name]:
            raise ValueError(
                f"{path}: {key} is {config[key]!r:.100}, but {name}, which means the same, is "
                f"{config[name]!r:.100}"
            )
    activation = str(config.get("activation_function", "gelu_new"))
    if activation not in _ACTIVATIONS:  # no hint: the nearest name is another function
        exact = " (exact GELU, x · Φ(x))" if activation in _EXACT_GELU else ""
        raise ValueError(
            f"{path}: unknown activation_function {activation!r:.100}{exact}. The model was "
            "trained with it, and any other would compute something else from its weights. "
            f"miniGPT has GELU's tanh form ({', '.join(list(_ACTIVATIONS)[:-1])}) and relu"
        )
    _check_values(path, config)
    return config


def _check_values(path: Path, config: dict[str, Any]) -> None:
    def check(key: str, fits: bool, expected: str) -> None:
        if not fits:
            raise ValueError(f"{path}: {key} must be {expected}, got {config[key]!r:.100}")

    for key in _SIZES:
        value = config.get(key, 1)
        is_size = type(value) is int and 0 < value < 2**31
        check(key, is_size or (key == "n_inner" and value is None), "a whole number from 1 to 2³¹")
    for key in _FRACTIONS:
        value = config.get(key, 0)
        is_fraction = type(value) in (int, float) and 0 <= value < 1  # False is an int too
        check(key, is_fraction, "a number from 0 to below 1")
    for key in _SWITCHES:
        check(key, isinstance(config.get(key, True), bool), "true or false")
    ours = config.get("minigpt", {})
    check("minigpt", isinstance(ours, dict) and isinstance(ours.get("bias", True), bool), "ours")


def model_arguments(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the arguments of `miniGPT` for a GPT-2 config."""
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


def tensor_shapes(arguments: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return GPT-2's name → shape of each tensor of a model with these `arguments`."""
    V, C, n_layers = arguments["vocab_size"], arguments["d_model"], arguments["n_layers"]
    d_ff = 4 * C if arguments["d_ff"] is None else arguments["d_ff"]
    outer: dict[str, tuple[int, ...]] = {
        "wte.weight": (V, C),
        "wpe.weight": (arguments["max_len"], C),
        "ln_f.weight": (C,),
        "ln_f.bias": (C,),
        "lm_head.weight": (V, C),
    }
    in_block: dict[str, tuple[int, ...]] = {
        **dict.fromkeys(("ln_1.weight", "ln_1.bias", "ln_2.weight", "ln_2.bias"), (C,)),
        "attn.c_attn.weight": (C, 3 * C),
        "attn.c_attn.bias": (3 * C,),
        "attn.c_proj.weight": (C, C),
        "attn.c_proj.bias": (C,),
        "mlp.c_fc.weight": (C, d_ff),
        "mlp.c_fc.bias": (d_ff,),
        "mlp.c_proj.weight": (d_ff, C),
        "mlp.c_proj.bias": (C,),
    }
    blocks = {f"h.{i}.{name}": shape for i in range(n_layers) for name, shape in in_block.items()}
    needed = outer | blocks
    if arguments["tie_weights"]:
        del needed["lm_head.weight"]
    if not arguments["bias"]:
        needed = {name: shape for name, shape in needed.items() if not name.endswith(".bias")}
    return needed


def apply_layer_config(model: miniGPT, config: dict[str, Any]) -> None:
    """Set dropout and epsilon of each layer, for which `miniGPT` has no arguments."""
    norms = [model.final_norm]
    model.dropout.p = Dropout(config.get("embd_pdrop", 0.1)).p
    for block in model.blocks:
        norms += [block.norm_1, block.norm_2]
        block.attention.attention_dropout.p = Dropout(config.get("attn_pdrop", 0.1)).p
    for norm in norms:
        norm.eps = float(config.get("layer_norm_epsilon", 1e-5))
