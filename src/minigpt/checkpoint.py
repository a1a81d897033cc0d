"""A model out to a folder and in again: the folder is a Hugging Face GPT-2 model.

    config.json               sizes and settings
    model.safetensors         the weights, under GPT-2's names
    generation_config.json    which token ends a text
    tokenizer.json, tokenizer_config.json      the tokenizer, if one is given

Nothing is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from minigpt.files import replacing, write_text
from minigpt.functional import Array
from minigpt.tokenizers.vocabulary import END_OF_TEXT

if TYPE_CHECKING:
    from minigpt.model import miniGPT
    from minigpt.tokenizers import Tokenizer

Model = TypeVar("Model", bound="miniGPT")

# Our names and GPT-2's. Its matrices multiply as ours do, x @ W, but for the head's, which is
# stored transposed.
_OUTER = {
    "token_embedding.weight": "transformer.wte.weight",
    "position_embedding.weight": "transformer.wpe.weight",
    "final_norm.scale": "transformer.ln_f.weight",
    "final_norm.shift": "transformer.ln_f.bias",
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
_ACTIVATIONS = {"gelu": "gelu_new", "relu": "relu"}


def save_pretrained(model: miniGPT, folder: str | Path, tokenizer: Tokenizer | None = None) -> None:
    """Write `model`, and its tokenizer if given, into `folder`, which is made if need be.

    Each file is written whole or not at all. What `bias=False` leaves out is stored as zeros, as
    GPT-2 has no such option; `config.json` notes it, so that it is left out again on reading.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / "model.safetensors", to_gpt2(model))
    end = None if tokenizer is None else tokenizer.special_tokens.get(END_OF_TEXT)
    write_json(folder / "config.json", config_of(model, end))
    write_json(folder / "generation_config.json", {"bos_token_id": end, "eos_token_id": end})
    if tokenizer is not None:
        tokenizer.save(folder / "tokenizer.json")
        write_json(folder / "tokenizer_config.json", tokenizer.tokenizer_config(model.max_len))


def load_pretrained(folder: str | Path, dtype: Any, kind: type[Model]) -> Model:
    """Make a model from a Hugging Face GPT-2 folder. It starts in evaluation mode, as there.

    Parameters
    ----------
    folder : with config.json and model.safetensors.
    dtype : "float32" or "float64", whatever the file stores.
    kind : the class to make, `miniGPT`.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder is no such model, or the weights do not fit its config.
    """
    folder = Path(folder)
    config = read_config(folder)
    model = kind(**arguments_of(config, folder), seed=0, dtype=dtype)
    load_weights(model, folder / "model.safetensors")
    return model.eval()


def to_gpt2(model: miniGPT) -> dict[str, Array]:
    """Give the weights of `model` under GPT-2's names, in GPT-2's shapes."""
    params = model.params()
    tensors = {}
    for ours, theirs in _names(model.n_layers):
        if ours == "head.weight":
            if not model.tie_weights:
                tensors[theirs] = np.ascontiguousarray(params[ours].T)
        elif ours in params:
            tensors[theirs] = params[ours]
        else:  # left out by bias=False; as wide as what it would be added to
            partner = ours.replace("bias", "weight").replace("shift", "scale")
            tensors[theirs] = np.zeros(params[partner].shape[-1], model.dtype)
    return tensors


def load_weights(model: miniGPT, path: Path) -> None:
    """Copy the weights stored at `path` into `model`."""
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise FileNotFoundError(f"there are no weights at {path}")
    params = model.params()
    try:
        with safe_open(path, framework="numpy") as file:
            stored = set(file.keys())
            for ours, theirs in _names(model.n_layers):
                if ours not in params:
                    continue
                if theirs not in stored:
                    raise ValueError(f"{path} has no tensor {theirs!r}")
                tensor = file.get_tensor(theirs)
                tensor = tensor.T if ours == "head.weight" else tensor
                if tensor.shape != params[ours].shape:
                    raise ValueError(
                        f"{path}: {theirs!r} has the shape {tensor.shape}, but by config.json it "
                        f"should be {params[ours].shape}"
                    )
                params[ours][...] = tensor
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from None


def config_of(model: miniGPT, end_of_text_id: int | None) -> dict[str, Any]:
    """Give the content of config.json."""
    dropout = model.dropout.p
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": model.vocab_size,
        "n_positions": model.max_len,
        "n_embd": model.d_model,
        "n_head": model.n_heads,
        "n_layer": model.n_layers,
        "n_inner": model.d_ff,
        "activation_function": _ACTIVATIONS[model.activation],
        "layer_norm_epsilon": model.final_norm.eps,
        "embd_pdrop": dropout,
        "attn_pdrop": dropout,
        "resid_pdrop": dropout,
        "tie_word_embeddings": model.tie_weights,
        "bos_token_id": end_of_text_id,
        "eos_token_id": end_of_text_id,
        "dtype": str(model.dtype),
        "torch_dtype": str(model.dtype),
        "minigpt": {"bias": model.bias},
    }


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json; refuse what is no GPT-2 that this is."""
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
        raise ValueError(f"{path}: model_type must be 'gpt2', got {given!r}")
    return config


def arguments_of(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Turn a GPT-2 config into the arguments of `miniGPT`."""
    activation = config.get("activation_function", "gelu_new")
    by_their_name = {theirs: ours for ours, theirs in _ACTIVATIONS.items()}
    if activation not in by_their_name:
        raise ValueError(
            f"{folder}: activation_function must be one of {', '.join(by_their_name)}, "
            f"got {activation!r}"
        )
    try:
        return {
            "vocab_size": config["vocab_size"],
            "max_len": config["n_positions"],
            "d_model": config["n_embd"],
            "n_heads": config["n_head"],
            "n_layers": config["n_layer"],
            "d_ff": config.get("n_inner"),
            "activation": by_their_name[activation],
            "bias": config.get("minigpt", {}).get("bias", True),
            "tie_weights": config.get("tie_word_embeddings", True),
            "dropout": config.get("resid_pdrop", 0.1),
        }
    except KeyError as error:
        raise ValueError(f"{folder}: config.json has no {error.args[0]!r}") from None


def write_tensors(path: Path, tensors: dict[str, Array]) -> None:
    """Write named arrays as a safetensors file, whole or not at all."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={"format": "pt"})
        except SafetensorError as error:
            raise OSError(f"{path} cannot be written: {error}") from None


def write_json(path: Path, content: Any) -> None:
    """Write `content` as JSON that a person can read."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _names(n_layers: int) -> Iterator[tuple[str, str]]:
    yield from _OUTER.items()
    for i in range(n_layers):
        for ours, theirs in _IN_BLOCK.items():
            yield f"blocks.{i}.{ours}", f"transformer.h.{i}.{theirs}"
