"""Flags made from the fields of `Settings`, so that the two cannot disagree."""

from __future__ import annotations

import argparse
import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minigpt.commands.parsing import typed_text
from minigpt.training.fitting import FITTED
from minigpt.training.settings import MODEL_SETTINGS, PRESETS, Settings, preset, read_toml


def add_settings(
    parser: argparse.ArgumentParser,
    only: Sequence[str] | None = None,
    defaults: Settings | None = None,
) -> None:
    """Add a flag for every setting, or only for those in `only`.

    A flag that is not given leaves no attribute in the parsed arguments.
    """
    defaults = defaults or Settings()
    star = "" if only else "; those marked * adapt to the size of your own text"
    group = parser.add_argument_group(f"settings, with their defaults{star}")
    kinds = typing.get_type_hints(Settings)
    for field in dataclasses.fields(Settings):
        if only is not None and field.name not in only:
            continue
        kind: Any = kinds[field.name]
        options: dict[str, Any] = {"default": argparse.SUPPRESS}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif kind == tuple[str, ...]:
            options |= {"nargs": "+", "metavar": "TEXT"}
        else:
            options |= {"type": _reader(kind), "metavar": _metavar(kind)}
        if field.name == "prompt":
            options["type"] = typed_text
        flag = "--" + field.name.replace("_", "-")
        star = "*" if only is None and field.name in FITTED else ""
        default = _shown(getattr(defaults, field.name))
        options["help"] = f"{field.metadata['help']} ({default}{star})"
        group.add_argument(flag, **options)


def given_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given on the command line."""
    names = {field.name for field in dataclasses.fields(Settings)}
    return {name: value for name, value in vars(args).items() if name in names}


def settings_from(args: argparse.Namespace) -> tuple[Settings, list[str]]:
    """Combine settings: flags override the file, and the file overrides the preset.

    Returns
    -------
    The settings, and the names of those to fit to the size of the text. These are settings that
    the user has not chosen, for a text of their own, without a preset.
    """
    from minigpt.text.prepared import prepared_folder, tokenizer_of

    base = preset(args.preset) if args.preset else Settings()
    in_file = {} if args.config is None else read_toml(args.config)
    given = in_file | given_settings(args)
    try:
        settings = _combine(base, given)
    except (ValueError, TypeError):
        _check_file(base, in_file, args.config)
        raise
    if settings.init_from is not None and args.preset:
        _check_preset(args.preset)
    folder = prepared_folder(settings.data)
    if folder is not None and "tokenizer" in given:
        tokenizer_of(folder, settings.tokenizer)
    is_own = args.preset is None and settings.data != Settings().data
    return settings, [name for name in FITTED if is_own and name not in given]


def _combine(base: Settings, given: Mapping[str, Any]) -> Settings:
    settings = base.replace(given)
    from_model = [name for name in MODEL_SETTINGS if name in given]
    if settings.init_from is not None and from_model:
        raise ValueError(f"{from_model[0]} comes from the model in init_from: leave it out")
    unused = [name for name in ("beta1", "beta2", "weight_decay") if name in given]
    if settings.optimizer == "sgd" and unused:
        raise ValueError(f"{unused[0]} must be left out with sgd: only AdamW uses it")
    return settings


def _check_preset(name: str) -> None:
    """Raise if a preset contains settings that come from the trained model."""
    from_model = [setting for setting in MODEL_SETTINGS if setting in PRESETS[name][1]]
    if from_model:
        raise ValueError(
            f"--preset {name} sets {', '.join(from_model)}, which come from the model in "
            "--init-from: leave out the preset, and give the other settings as flags"
        )


def _check_file(base: Settings, in_file: Mapping[str, Any], path: Path) -> None:
    """Raise an error that names the file if its settings alone are already wrong."""
    try:
        _combine(base, in_file)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{path}: {error}") from None


def as_flags(values: Mapping[str, Any]) -> str:
    """Return settings as flags on a command line."""
    return " ".join(
        f"--{name.replace('_', '-')} {_shown(value)}" for name, value in sorted(values.items())
    )


def preset_name(name: str) -> str:
    """Return `name` if it is a preset; argparse reports the error if it is not."""
    try:
        preset(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return name


def _reader(kind: Any) -> Callable[[str], Any]:
    (base,) = [t for t in typing.get_args(kind) or (kind,) if t is not type(None)]

    def read(text: str) -> Any:
        return None if text == "none" and base is not kind else base(text)

    read.__name__ = base.__name__  # for argparse's message, "invalid int value"
    return read


def _metavar(kind: Any) -> str:
    bases = typing.get_args(kind) or (kind,)
    return "N" if int in bases else "X" if float in bases else "TEXT"


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return " ".join(default)
    if isinstance(default, bool):
        return "on" if default else "off"
    return "none" if default is None else repr(default) if default == "\n" else str(default)
