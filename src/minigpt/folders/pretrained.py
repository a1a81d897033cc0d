"""Saving a model to a folder and loading it: the folder is a Hugging Face GPT-2 model.

    config.json               sizes and settings
    model.safetensors         the weights, under GPT-2's names
    generation_config.json    which tokens begin and end a text
    tokenizer.json, tokenizer_config.json      the tokenizer, if one is given

Nothing is ever unpickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from minigpt.folders.gpt2 import (
    BUFFERS,
    apply_layer_config,
    config_of,
    model_arguments,
    read_config,
    tensor_names,
    tensor_shapes,
    to_gpt2,
)
from minigpt.folders.weights import Tensor, open_weights, write_tensors
from minigpt.support.files import write_json
from minigpt.support.hub import find_model
from minigpt.support.lock import FolderLock
from minigpt.text.token_roles import check_tokenizer, generation_config_of, read_generation_config

if TYPE_CHECKING:
    from minigpt.core.model import miniGPT
    from minigpt.text.tokenizers import Tokenizer

EMBEDDING, HEAD = "wte.weight", "lm_head.weight"

Model = TypeVar("Model", bound="miniGPT")


def save_pretrained(model: miniGPT, folder: str | Path, tokenizer: Tokenizer | None = None) -> None:
    """Write `model`, and its tokenizer if given, into `folder`; create the folder if needed.

    Each file is written completely or not at all. GPT-2 has no option `bias=False`, so missing
    biases are stored as zeros; `config.json` notes this, and reading leaves them out again.

    Raises
    ------
    BlockingIOError
        If another process or thread is writing into the folder: their files would be mixed.
    """
    if tokenizer is not None:
        check_tokenizer(tokenizer, model.vocab_size)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FolderLock(folder, stays=False, doing="written"):
        write_pretrained(model, folder, tokenizer)


def write_pretrained(model: miniGPT, folder: Path, tokenizer: Tokenizer | None = None) -> None:
    """Write the files of `save_pretrained` without a lock: the caller must hold it."""
    write_tensors(folder / "model.safetensors", to_gpt2(model))
    generation_config = generation_config_of(model, tokenizer)
    write_json(folder / "config.json", config_of(model, generation_config))
    write_json(folder / "generation_config.json", generation_config)
    if tokenizer is not None:
        tokenizer.save(folder / "tokenizer.json")
        write_json(folder / "tokenizer_config.json", tokenizer.tokenizer_config(model.max_len))


def load_pretrained(name: str | Path, dtype: Any, kind: type[Model]) -> Model:
    """Return the model in a Hugging Face GPT-2 folder, in evaluation mode.

    Weights that are stored as `dtype` are not copied: the file is mapped into memory, and each
    page is read when it is needed, until the model is trained (see `miniGPT.flat`). Changes stay
    in memory.

    If config.json ties the head to the token embedding, but the file has a head with other
    numbers, these are used and the model is not tied, as in transformers.

    Parameters
    ----------
    name : the folder, or "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2": see
        `minigpt.support.hub.find_model`.
    dtype : "float32" or "float64", independent of the dtype in the file.
    kind : the class of the model, `miniGPT`.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder is not such a model, or the weights do not match its config.
    """
    folder = find_model(name)
    config = read_config(folder)
    arguments = model_arguments(config, folder)
    tensors = _without_prefix(open_weights(folder), folder)
    may_be_tied = arguments["tie_weights"]
    arguments["tie_weights"] = may_be_tied and not {EMBEDDING, HEAD} <= tensors.keys()
    if arguments["tie_weights"] and HEAD in tensors:
        tensors[EMBEDDING] = tensors.pop(HEAD)
    _check_tensors(tensors, arguments, folder)
    if may_be_tied and HEAD in tensors:
        arguments["tie_weights"] = _equal(tensors[EMBEDDING], tensors[HEAD])
    try:
        model = kind(**arguments, seed=_NoInitialWeights(np.random.PCG64()), dtype=dtype)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    apply_layer_config(model, config)
    vars(model)["generation_config"] = read_generation_config(folder, config)
    _assign(model, tensors)
    return model.eval()


def load_model_and_tokenizer(
    name: str | Path, dtype: Any = np.float32
) -> tuple[miniGPT, Tokenizer]:
    """Open the model and the tokenizer in a folder, or by name; check that they match."""
    from minigpt.core.model import miniGPT
    from minigpt.text.tokenizers import load_tokenizer

    folder = find_model(name)
    model = miniGPT.from_pretrained(folder, dtype)
    tokenizer = load_tokenizer(folder, model.vocab_size)
    try:
        check_tokenizer(tokenizer, model.vocab_size)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    return model, tokenizer


class _NoInitialWeights(np.random.Generator):
    """A random generator that draws no initial weights, since those of a file replace them.

    It returns zeros: if they are never read, they cost neither time nor memory.
    """

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        return np.zeros(size, np.float32)


def _without_prefix(tensors: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    named = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    if len(named) < len(tensors):
        raise ValueError(f"{folder} has a tensor twice, with and without the prefix 'transformer.'")
    return named


def _check_tensors(tensors: dict[str, Tensor], arguments: dict[str, Any], folder: Path) -> None:
    """Raise unless `tensors` belong to a model with these `arguments`.

    This is checked before the model is created: a wrong config.json can then never claim more
    memory than the files of weights have bytes.
    """
    n_layers = arguments["n_layers"]
    if n_layers > len(tensors):
        raise ValueError(
            f"{folder} has {len(tensors)} tensors, too few for the {n_layers} layers (n_layer) "
            "in config.json"
        )
    needed = tensor_shapes(arguments)
    tied = str(arguments["tie_weights"]).lower()
    by_config = f", by n_layer {n_layers} and tie_word_embeddings {tied} in config.json"
    _raise_if_any("has no tensor", needed.keys() - tensors.keys(), folder, by_config)
    known = set(tensor_names(n_layers).values())
    unknown = {name for name in tensors.keys() - known if not BUFFERS.fullmatch(name)}
    _raise_if_any("has tensors this architecture has no place for:", unknown, folder, by_config)
    if not arguments["bias"]:
        used = {n for n in tensors.keys() & known if n.endswith(".bias") and n not in needed}
        _raise_if_any(
            "has minigpt.bias false in config.json, but biases that are not 0:",
            {name for name in used if tensors[name].read(np.float64).any()},
            folder,
        )
    for name, shape in needed.items():
        tensor = tensors[name]
        if tensor.kind not in ("F64", "F32", "F16", "BF16"):
            raise ValueError(
                f"{tensor.path}: {name!r} is stored as {tensor.kind}, but miniGPT reads float64, "
                "float32, float16 and bfloat16 only"
            )
        if tensor.stored.shape != shape:
            raise ValueError(
                f"{tensor.path}: {name!r} has the shape {tensor.stored.shape}, but by config.json "
                f"it should be {shape}"
            )


def _equal(a: Tensor, b: Tensor) -> bool:
    if a.kind == b.kind:  # without a copy
        return np.array_equal(a.stored, b.stored)
    return np.array_equal(a.read(np.float64), b.read(np.float64))


def _assign(model: miniGPT, tensors: dict[str, Tensor]) -> None:
    """Assign the arrays of `tensors` to the layers of `model`."""
    names = tensor_names(model.n_layers)
    for path, layer, name in list(model.slots()):
        array = tensors[names[path]].read(model.dtype)
        # The head is stored transposed.
        setattr(layer, name, array.T if path == "head.weight" else array)
    model.tie()


def _raise_if_any(what: str, names: set[str], folder: Path, why: str = "") -> None:
    if names:
        shown = ", ".join(f"{name!r:.100}" for name in sorted(names)[:5])
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise ValueError(f"{folder} {what} {shown}{more}{why}")
