"""The settings of a training run: one dataclass that flags, help, presets and files all follow."""

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
    """All that decides how a run goes. The same settings give the same run, on the same machine.

    Each field's help, type and default are what `minigpt train --help` shows.
    """

    data: tuple[str, ...] = _setting(
        ("plays",),
        "plays, shakespeare, - (standard input), files (text, .jsonl, .json, .parquet; all but the "
        "last also as .gz), folders of such and patterns, or a folder of tokens made by `minigpt "
        "prepare`",
    )
    field: str | None = _setting(
        None, "field of .jsonl and .json, or column of .parquet, that has the text; none: text"
    )
    skip_undecodable: bool = _setting(False, "leave out files that are not UTF-8")
    allow_special: bool = _setting(
        False,
        "read the name of a special token in text and prompt, such as <|endoftext|>, as that "
        "token; else it is letters",
    )
    tokenizer: str = _setting("bpe", "bpe, char or word; or a tokenizer.json, its folder or gpt2")
    vocab_size: int | None = _setting(
        None, "tokens in the vocabulary; none: 1024 for bpe, all for char and word"
    )

    init_from: str | None = _setting(
        None, "go on from a trained model and its tokenizer: a folder, gpt2, gpt2-medium, …"
    )
    freeze: int = _setting(0, "with init_from: how many of its first blocks learn no more")

    n_layers: int = _setting(4, "Transformer blocks")
    n_heads: int = _setting(4, "attention heads in a block")
    d_model: int = _setting(128, "length of a token's vector")
    d_ff: int | None = _setting(None, "length inside a feed-forward layer; none for 4 × d_model")
    block_size: int = _setting(128, "context: how many tokens the model sees at once")
    activation: str = _setting("gelu", "gelu or relu")
    bias: bool = _setting(True, "biases in Linear and LayerNorm")
    tie_weights: bool = _setting(False, "let the head use the token embedding's weights")
    dropout: float = _setting(0.0, "probability of dropping a number while training")

    steps: int = _setting(2000, "training steps")
    batch_size: int = _setting(16, "windows in a batch")
    accumulate: int = _setting(1, "batches whose gradients are averaged for one step")
    optimizer: str = _setting("adamw", "adamw or sgd")
    learning_rate: float = _setting(1e-3, "highest learning rate, reached after the warm-up")
    final_learning_rate: float = _setting(1e-4, "learning rate at the end of the cosine")
    warmup: int = _setting(100, "steps in which the learning rate rises")
    beta1: float = _setting(0.9, "AdamW: how long the mean gradient remembers")
    beta2: float = _setting(0.99, "AdamW: how long the mean square remembers")
    weight_decay: float = _setting(0.1, "AdamW: decay of matrices")
    clip: float = _setting(1.0, "longest gradient; longer ones are shortened to it")

    spike: float | None = _setting(
        0.5, "a loss so far above its usual one has diverged, as a part of ln(vocabulary)"
    )
    on_divergence: str = _setting(
        "stop", "stop, or back: to the last checkpoint, with half the learning rate, thrice at most"
    )

    eval_every: int = _setting(250, "steps between evaluations; the run is saved at each")
    keep: int = _setting(2, "checkpoints to keep, beside the one with the lowest validation loss")
    eval_tokens: int = _setting(16384, "tokens of the validation part used for each")
    patience: int = _setting(
        0, "evaluations in a row that may bring no new best before training stops; 0 for any number"
    )
    sample_every: int = _setting(500, "steps between samples; 0 for none")
    sample_tokens: int = _setting(100, "length of a sample in tokens")
    prompt: str = _setting("\n", "what samples begin with; an empty text begins a new document")
    seed: int = _setting(0, "where all chance comes from")
    threads: int = _setting(0, "threads to train on; 0 for one a core")
    recompute: bool = _setting(False, "go forward again in backward: less memory, more time")

    def __new__(cls, *_: Any, **given: Any) -> Settings:
        """Refuse an unknown name, and suggest the nearest."""
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
        half = any("\ud800" <= character <= "\udfff" for character in self.prompt)
        _require(not half, "prompt", "whole characters", ascii(self.prompt)[:100])
        for name in ("beta1", "beta2", "dropout"):
            _require(0 <= getattr(self, name) < 1, name, "in [0, 1)", getattr(self, name))
        _require(self.spike is None or self.spike > 0, "spike", "more than 0", self.spike)
        for name, known in CHOICES.items():
            check_known(name, getattr(self, name), known)
        check_heads(self.d_model, self.n_heads)
        if self.freeze and self.init_from is None:
            raise ValueError("freeze needs init_from: only what has learned can be frozen")
        _require(self.weight_decay >= 0, "weight_decay", "0 or more", self.weight_decay)

    def __repr__(self) -> str:
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        values = {name: getattr(self, name) for name in defaults}
        return named(self, {k: v for k, v in values.items() if v != defaults[k]})

    _repr_html_ = as_html

    def replace(self, changes: Mapping[str, Any]) -> Settings:
        """Return these settings with some changed; for an unknown name, raise with a suggestion."""
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
        """Return all settings by name, ready for JSON."""
        return dataclasses.asdict(self)


CHOICES = {
    "activation": ("gelu", "relu"),
    "optimizer": ("adamw", "sgd"),
    "on_divergence": ("stop", "back"),
}
"""Settings that are one of a few words."""

MODEL_SETTINGS = (
    *("tokenizer", "vocab_size", "n_layers", "n_heads", "d_model", "d_ff"),
    *("activation", "bias", "tie_weights"),
)
"""Settings that a trained model brings along."""

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
    """Read settings from a TOML file, `name = value` each."""
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
