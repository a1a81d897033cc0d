"""Finding a model: in a folder, or one of OpenAI's GPT-2 models by its name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from pathlib import Path

from minigpt.core.checks import unknown
from minigpt.support.terminal import unfiltered

HUB_MODELS = {
    "gpt2": "openai-community/gpt2",
    "gpt2-small": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
    "distilgpt2": "distilbert/distilgpt2",
}
"""Names of known models → their repositories on the Hugging Face Hub."""

MIN_SIMILARITY = 0.85
"""How similar a name must be to a known one to suggest it: gpt3 is not a mistyped gpt2."""

_TOKENIZER_FILES = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"),
    *("special_tokens_map.json", "added_tokens.json"),
)
_FILES = (
    *("generation_config.json", "model*.safetensors", "model*.index.json"),
    *_TOKENIZER_FILES,
)


def find_model(name: str | Path) -> Path:
    """Return the folder of a model: `name` itself, or its folder in the Hugging Face cache.

    A model that is not in the cache is downloaded, with a progress bar on stderr. This needs the
    package huggingface_hub (the extra `hub`), and follows its settings HF_HOME, HF_ENDPOINT and
    HF_HUB_OFFLINE.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or model, or it cannot be downloaded; the message says what to
        do.
    """
    folder = Path(name)
    if folder.is_file():
        raise NotADirectoryError(f"{folder} is a file, but {_what_instead(folder)}")
    if folder.exists():
        return folder
    known = known_name(str(name))
    if known is None:
        owners = {repository.split("/")[0] for repository in HUB_MODELS.values()}
        is_name = len(folder.parts) == 1 or folder.parts[0] in owners
        hint = f"; {unknown('model', folder.name, HUB_MODELS, MIN_SIMILARITY)}" if is_name else ""
        raise FileNotFoundError(f"{folder} is not a model folder: it does not exist{hint}")
    return _cached(known, _is_complete) or _download(known, _FILES, _has_weights)


def find_tokenizer_of(name: str) -> Path | None:
    """Return the folder with the tokenizer of a known model; None for an unknown name.

    It is found as in `find_model`, but the weights are not downloaded.
    """
    known = known_name(name)
    if known is None:
        return None
    return _cached(known, _has_tokenizer) or _download(known, _TOKENIZER_FILES, _has_tokenizer)


def known_name(name: str) -> str | None:
    """Return the key of `HUB_MODELS` for a key or repository, or None."""
    by_repository = {repository: short for short, repository in reversed(HUB_MODELS.items())}
    return name if name in HUB_MODELS else by_repository.get(name)


def _what_instead(file: Path) -> str:
    if (file.parent / "config.json").is_file():
        return f"a model folder is needed: give the folder it is in, {file.parent}"
    what = "a model folder is needed, with config.json and model.safetensors"
    return f"{what}. To train a model on a text: minigpt train --data FILE"


def _cached(name: str, is_complete: Callable[[Path], bool]) -> Path | None:
    try:
        from huggingface_hub import try_to_load_from_cache
    except ImportError:
        return None
    for repository in (HUB_MODELS[name], name):  # old caches use the short names
        config = try_to_load_from_cache(repository, "config.json")
        if isinstance(config, str) and is_complete(Path(config).parent):
            return Path(config).parent
    return None


def _is_complete(folder: Path) -> bool:
    """Return whether weights and tokenizer are there: a download may have been interrupted."""
    return _has_weights(folder) and _has_tokenizer(folder)


def _has_tokenizer(folder: Path) -> bool:
    tokenizers = (("tokenizer.json",), ("vocab.json", "merges.txt"))
    return any(all((folder / file).is_file() for file in files) for files in tokenizers)


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("model*.safetensors"))


def _download(name: str, files: Sequence[str], is_complete: Callable[[Path], bool]) -> Path:
    how_else = (
        f"or put config.json, model.safetensors, vocab.json and merges.txt of "
        f"https://huggingface.co/{HUB_MODELS[name]} into a folder, and give that folder instead "
        f"of {name!r}"
    )
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise FileNotFoundError(
            f"{name} is not on this machine. Install what downloads it, "
            f"`pip install huggingface_hub`, and try again; {how_else}"
        ) from None
    try:
        with redirect_stderr(unfiltered(sys.stderr)):  # its progress bars move the cursor
            folder = Path(snapshot_download(HUB_MODELS[name], allow_patterns=list(files)))
        if not is_complete(folder):  # offline, the library returns what is there
            raise FileNotFoundError(
                "an earlier download was interrupted, and the Hub cannot be reached"
            )
        return folder
    except Exception as error:  # from several libraries, depending on their versions
        cause = error.__cause__ or error  # more precise than the long message of the library
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0].rstrip(".")
        raise FileNotFoundError(
            f"{name} is not on this machine and cannot be downloaded ({reason}). Check the "
            f"network and try again; {how_else}"
        ) from error
