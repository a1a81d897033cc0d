"""A model out to a folder and in again: the folder is a Hugging Face GPT-2 model.

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
    """Write `model`, and its tokenizer if given, into `folder`, which is made if need be.

    Each file is written whole or not at all. What `bias=False` leaves out is stored as zeros, as
    GPT-2 has no such option; `config.json` notes it, so that it is left out again on reading.

    Raises
    ------
    BlockingIOError
        If another process or thread is writing into the folder: half of the files would be its.
    """
    if tokenizer is not None:
        check_tokenizer(tokenizer, model.vocab_size)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FolderLock(folder, stays=False, doing="written"):
        write_pretrained(model, folder, tokenizer)


def write_pretrained(model: miniGPT, folder: Path, tokenizer: Tokenizer | None = None) -> None:
    """Write the files of `save_pretrained` into a folder that nobody else writes into."""
    write_tensors(folder / "model.safetensors", to_gpt2(model))
    generation_config = generation_config_of(model, tokenizer)
    write_json(folder / "config.json", config_of(model, generation_config))
    write_json(folder / "generation_config.json", generation_config)
    if tokenizer is not None:
        tokenizer.save(folder / "tokenizer.json")
        write_json(folder / "tokenizer_config.json", tokenizer.tokenizer_config(model.max_len))


def load_pretrained(name: str | Path, dtype: Any, kind: type[Model]) -> Model:
    """Return the model in a Hugging Face GPT-2 folder. It starts in evaluation mode, as there.

    Weights that the file stores as `dtype` are not copied: they are read from the file where they
    lie, page by page as they are needed, until the model is trained (see `miniGPT.flat`). Changes
    stay in memory.

    Where config.json ties the head to the token embedding, but the file has a head of its own with
    other numbers, these are the head's, as in transformers: then the model is not tied.

    Parameters
    ----------
    name : the folder, or "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "distilgpt2": see
        `minigpt.support.hub.find_model`.
    dtype : "float32" or "float64", whatever the file stores.
    kind : the class to make, `miniGPT`.

    Raises
    ------
    FileNotFoundError, ValueError
        If the folder is no such model, or the weights do not fit its config.
    """
    folder = find_model(name)
    config = read_config(folder)
    arguments = model_arguments(config, folder)
    tensors = _without_prefix(open_weights(folder), folder)
    may_be_tied = arguments["tie_weights"]
    arguments["tie_weights"] = may_be_tied and not {EMBEDDING, HEAD} <= tensors.keys()
    if arguments["tie_weights"] and HEAD in tensors:
        tensors[EMBEDDING] = tensors.pop(HEAD)
    _check(tensors, arguments, folder)
    if may_be_tied and HEAD in tensors:
        arguments["tie_weights"] = _same(tensors[EMBEDDING], tensors[HEAD])
    try:
        model = kind(**arguments, seed=_NoFirstWeights(np.random.PCG64()), dtype=dtype)
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from None
    apply_layer_config(model, config)
    vars(model)["generation_config"] = read_generation_config(folder, config)
    _take(model, tensors)
    return model.eval()


def load_model_and_tokenizer(
    name: str | Path, dtype: Any = np.float32
) -> tuple[miniGPT, Tokenizer]:
    """Open the model and the tokenizer in a folder, or of a name, and see that they fit."""
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


class _NoFirstWeights(np.random.Generator):
    """Chance as usual, but that no first weights are drawn, since a file's take their place.

    Zeros that are never looked at take neither time nor memory.
    """

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:
        return np.zeros(size, np.float32)


def _without_prefix(tensors: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    named = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    if len(named) < len(tensors):
        raise ValueError(f"{folder} has a tensor twice, with and without the prefix 'transformer.'")
    return named


def _check(tensors: dict[str, Tensor], arguments: dict[str, Any], folder: Path) -> None:
    """Raise unless `tensors` are those of a model of these `arguments`.

    It is done before the model is made, so that what config.json claims takes no more memory than
    the files of weights have bytes.
    """
    n_layers = arguments["n_layers"]
    if n_layers > len(tensors):
        raise ValueError(
            f"{folder} has {len(tensors)} tensors, too few for the {n_layers} layers (n_layer) "
            "that config.json tells of"
        )
    needed = tensor_shapes(arguments)
    tied = str(arguments["tie_weights"]).lower()
    by_config = f", by n_layer {n_layers} and tie_word_embeddings {tied} in config.json"
    _refuse("has no tensor", needed.keys() - tensors.keys(), folder, by_config)
    known = set(tensor_names(n_layers).values())
    unknown = {name for name in tensors.keys() - known if not BUFFERS.fullmatch(name)}
    _refuse("has tensors this architecture has no place for:", unknown, folder, by_config)
    if not arguments["bias"]:
        used = {n for n in tensors.keys() & known if n.endswith(".bias") and n not in needed}
        _refuse(
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


def _same(a: Tensor, b: Tensor) -> bool:
    if a.kind == b.kind:  # without a copy
        return np.array_equal(a.stored, b.stored)
    return np.array_equal(a.read(np.float64), b.read(np.float64))


def _take(model: miniGPT, tensors: dict[str, Tensor]) -> None:
    """Put the arrays of `tensors` into the layers of `model`."""
    names = tensor_names(model.n_layers)
    for path, layer, name in list(model.slots()):
        array = tensors[names[path]].read(model.dtype)
        # The head is stored transposed.
        setattr(layer, name, array.T if path == "head.weight" else array)
    model.tie()


def _refuse(what: str, names: set[str], folder: Path, why: str = "") -> None:
    if names:
        shown = ", ".join(f"{name!r:.100}" for name in sorted(names)[:5])
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        raise ValueError(f"{folder} {what} {shown}{more}{why}")
