"""The settings of a training run: one dataclass defines the flags, help, presets and files."""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minigpt.core.checks import check_known, check_threads, unknown
from minigpt.core.checks_model import check_heads
from minigpt.support.brief import named
from minigpt.support.checked import check_names
from minigpt.support.decoding import decode
from minigpt.support.displayed import as_html
from minigpt.support.untrusted_files import MAX_SETTINGS_FILE, check_not_placeholder, read_bytes


def _setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class Settings:
    """The settings of a run. On one machine, the same settings give the same run, to the bit.

    `minigpt train --help` shows the help, type and default of each field.
    """

    data: tuple[str, ...] = _setting(
        ("plays",),
        "plays, shakespeare, - (standard input), files (text, .jsonl, .json, .parquet; all except "
        "the last also as .gz), folders of files, patterns, or a folder of tokens made by `minigpt "
        "prepare`",
    )
    field: str | None = _setting(
        None, "field of .jsonl and .json, or column of .parquet, with the text; none for 'text'"
    )
    skip_undecodable: bool = _setting(False, "leave out files that are not UTF-8")
    allow_special: bool = _setting(
        False,
        "read the name of a special token in text and prompt, such as <|endoftext|>, as that "
        "token; otherwise it is ordinary text",
    )
    tokenizer: str = _setting("bpe", "bpe, char or word; or a tokenizer.json, its folder or gpt2")
    vocab_size: int | None = _setting(
        None, "tokens in the vocabulary; none for 1024 with bpe, all with char and word"
    )

    init_from: str | None = _setting(
        None, "start from a trained model and its tokenizer: a folder, gpt2, gpt2-medium, …"
    )
    freeze: int = _setting(0, "with init_from: number of its first blocks that stay as they are")

    n_layers: int = _setting(4, "Transformer blocks")
    n_heads: int = _setting(4, "attention heads in a block")
    d_model: int = _setting(128, "length of a token's vector")
    d_ff: int | None = _setting(
        None, "width of the hidden layer of feed-forward; none for 4 × d_model"
    )
    block_size: int = _setting(128, "context: number of tokens the model sees at once")
    activation: str = _setting("gelu", "gelu or relu")
    bias: bool = _setting(True, "biases in Linear and LayerNorm")
    tie_weights: bool = _setting(False, "share the token embedding's weights with the head")
    dropout: float = _setting(0.0, "probability that an activation is set to 0 in training")

    steps: int = _setting(2000, "training steps")
    batch_size: int = _setting(16, "windows in a batch")
    accumulate: int = _setting(1, "batches whose gradients are averaged for one step")
    optimizer: str = _setting("adamw", "adamw or sgd")
    learning_rate: float = _setting(1e-3, "highest learning rate, reached after the warm-up")
    final_learning_rate: float = _setting(1e-4, "learning rate at the end of the cosine")
    warmup: int = _setting(100, "steps in which the learning rate rises")
    beta1: float = _setting(0.9, "AdamW: decay of the running mean of the gradient")
    beta2: float = _setting(0.99, "AdamW: decay of the running mean of its square")
    weight_decay: float = _setting(0.1, "AdamW: weight decay of matrices")
    clip: float = _setting(1.0, "maximum length of the gradient; a longer one is scaled down to it")

    spike: float | None = _setting(
        0.5,
        "training has diverged if the loss is this far above its running mean, in units of "
        "ln(vocabulary); none for no limit",
    )
    on_divergence: str = _setting(
        "stop",
        "stop, or back: return to the last checkpoint with half the learning rate, at most 3 times",
    )

    eval_every: int = _setting(250, "steps between evaluations; each also saves the run")
    keep: int = _setting(2, "checkpoints to keep, besides the one with the lowest validation loss")
    eval_tokens: int = _setting(16384, "tokens of the validation part in an evaluation")
    patience: int = _setting(
        0, "stop after this many evaluations without a new best; 0 to never stop early"
    )
    sample_every: int = _setting(500, "steps between samples; 0 for none")
    sample_tokens: int = _setting(100, "length of a sample in tokens")
    prompt: str = _setting("\n", "beginning of each sample; an empty text begins a new document")
    seed: int = _setting(0, "seed of all random numbers")
    threads: int = _setting(0, "threads to train on; 0 for one per core")
    recompute: bool = _setting(
        False, "compute activations again in backward: less memory, more time"
    )

    def __new__(cls, *_: Any, **given: Any) -> Settings:
        """Raise for an unknown name, and suggest the nearest."""
        check_names(given, cls.__dataclass_fields__, "setting")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name, kind in typing.get_type_hints(type(self)).items():
            _check_type(name, getattr(self, name), kind)
        for name in ("steps", "batch_size", "accumulate", "eval_every", "eval_tokens", "keep"):
            _require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("warmup", "patience", "sample_every", "seed", "final_learning_rate", "freeze"):
            _require(getattr(self, name) >= 0, name, "0 or more", getattr(self, name))
        for name in ("learning_rate", "clip", "sample_tokens"):
            _require(getattr(self, name) > 0, name, "more than 0", getattr(self, name))
        for name in ("learning_rate", "final_learning_rate", "weight_decay"):
            _require(getattr(self, name) < float("inf"), name, "finite", getattr(self, name))
        for name in ("vocab_size", "n_layers", "n_heads", "d_model", "d_ff", "block_size"):
            size = getattr(self, name)
            _require(size is None or size >= 1, name, "at least 1", size)
        check_threads(threads=self.threads)
        surrogate = any("\ud800" <= character <= "\udfff" for character in self.prompt)
        _require(not surrogate, "prompt", "complete characters", ascii(self.prompt)[:100])
        for name in ("beta1", "beta2", "dropout"):
            _require(0 <= getattr(self, name) < 1, name, "in [0, 1)", getattr(self, name))
        _require(self.spike is None or self.spike > 0, "spike", "more than 0", self.spike)
        for name, known in CHOICES.items():
            check_known(name, getattr(self, name), known)
        check_heads(self.d_model, self.n_heads)
        if self.freeze and self.init_from is None:
            raise ValueError("freeze needs init_from: only a trained model can be frozen")
        _require(self.weight_decay >= 0, "weight_decay", "0 or more", self.weight_decay)

    def __repr__(self) -> str:
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        values = {name: getattr(self, name) for name in defaults}
        return named(self, {k: v for k, v in values.items() if v != defaults[k]})

    _repr_html_ = as_html

    def replace(self, changes: Mapping[str, Any]) -> Settings:
        """Return a copy with some settings changed; an unknown name raises, with a suggestion."""
        known = [f.name for f in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise ValueError(unknown("setting", name, known))
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in changes.items()
        }
        return dataclasses.replace(self, **values)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings by name, as JSON values."""
        return dataclasses.asdict(self)


CHOICES = {
    "activation": ("gelu", "relu"),
    "optimizer": ("adamw", "sgd"),
    "on_divergence": ("stop", "back"),
}
"""Settings with a fixed set of values."""

MODEL_SETTINGS = (
    *("tokenizer", "vocab_size", "n_layers", "n_heads", "d_model", "d_ff"),
    *("activation", "bias", "tie_weights"),
)
"""Settings that come with a trained model."""

PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "demo": (
        "scenes on the built-in plays in two to three minutes on two cores",
        {
            "vocab_size": 1400,
            "n_layers": 3,
            "batch_size": 8,
            "steps": 2600,
            "learning_rate": 3e-3,
            "final_learning_rate": 1.5e-4,
            "sample_every": 200,
            "eval_every": 200,
            "prompt": "\n\n",
        },
    ),
    "shakespeare-char": (
        "nanoGPT's small CPU recipe, character by character",
        {
            "data": ("shakespeare",),
            "tokenizer": "char",
            "block_size": 64,
            "batch_size": 12,
            "bias": False,
        },
    ),
}


def preset(name: str) -> Settings:
    """Return the settings called `name`, one of `PRESETS`."""
    check_known("preset", name, PRESETS)
    return Settings().replace(PRESETS[name][1])


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read settings from a TOML file with lines `name = value`."""
    content = read_bytes(Path(path), MAX_SETTINGS_FILE)
    check_not_placeholder(Path(path), content)
    text = decode(content, str(path))
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not a TOML file: {error!s:.300}") from None


def _check_type(name: str, value: Any, kind: Any) -> None:
    if kind == tuple[str, ...]:
        if not (isinstance(value, tuple) and value and all(isinstance(v, str) for v in value)):
            raise TypeError(f"{name} must be a list of texts, got {value!r:.200}")
        return
    allowed = typing.get_args(kind) or (kind,)
    fits = isinstance(value, (*allowed, int) if float in allowed else allowed)
    if not fits or (isinstance(value, bool) and bool not in allowed):
        names = ["none" if t is type(None) else t.__name__ for t in allowed]
        raise TypeError(f"{name} must be {' or '.join(names)}, got {value!r:.200}")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError(f"{name} must be less than 2⁶³, got a number of {value.bit_length()} bits")


def _require(fits: bool, name: str, expected: str, given: Any) -> None:
    if not fits:
        raise ValueError(f"{name} must be {expected}, got {given}")
