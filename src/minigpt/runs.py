"""A run is a folder: a model that others can open, and beside it how it came to be.

    config.json, model.safetensors, tokenizer.json …    see `minigpt.checkpoint`
    training.json                 all settings, the seed, the version, how far it is
    training_state.safetensors    what the optimizer remembers
    metrics.jsonl                 one line for each step
    samples.txt                   what the model wrote while it learned

With these, training goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from minigpt.checkpoint import load_model_and_tokenizer, save_pretrained, write_json
from minigpt.checks import unknown
from minigpt.data import Dataset, load_corpus
from minigpt.files import write_text
from minigpt.flat import freeze
from minigpt.machines import ALONE, World
from minigpt.model import miniGPT
from minigpt.optim import Optimizer
from minigpt.settings import OF_A_MODEL, Settings
from minigpt.tokenizers import TOKENIZERS, Tokenizer, load_tokenizer
from minigpt.training import Step, optimizer_of, train
from minigpt.weights import write_tensors

FIXED = (
    *OF_A_MODEL,
    *("data", "init_from", "freeze", "block_size", "dropout", "optimizer", "seed"),
)
"""Settings that a run keeps for good; the others may change when it goes on."""


@dataclass
class Run:
    """A training run: make one with `new` or `resume`, then loop over `steps`."""

    folder: Path
    settings: Settings
    tokenizer: Tokenizer
    dataset: Dataset
    model: miniGPT
    optimizer: Optimizer
    step: int = 0
    world: World = ALONE

    @classmethod
    def together(cls, world: World, make: Callable[[], Run]) -> Run:
        """Let the first process of `world` make the run, and give all others a copy of it.

        They need neither its folder nor the text: both may be on the first one's machine alone.
        """
        parts: Any = None
        if world.rank == 0:
            run = make()
            parts = (run.folder, run.settings, run.tokenizer, run.dataset, run.model, run.step)
            parts = (*parts, run.optimizer.state)
        folder, settings, tokenizer, dataset, model, step, state = world.from_first(parts)
        if world.rank > 0:
            optimizer = optimizer_of(settings, model)
            optimizer.state.update(state)
            run = cls(folder, settings, tokenizer, dataset, model, optimizer, step)
        run.world = world
        return run

    @classmethod
    def new(
        cls, settings: Settings, folder: Path, say: Callable[[str], None] = lambda text: None
    ) -> Run:
        """Prepare a run: text, tokenizer, token arrays, an untrained model, the folder.

        Parameters
        ----------
        settings : all that decides how it goes.
        folder : where it will be kept; not there yet, or empty.
        say : is told what is being done, a line at a time.
        """
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FileExistsError(
                f"{folder} is there already: choose another folder, or go on with that run by "
                f"--resume {folder}"
            )
        corpus = load_corpus(settings.data)
        say(f"text: {corpus.name}, {len(corpus.train):,} + {len(corpus.val):,} characters")
        if settings.init_from is None:
            tokenizer = make_tokenizer(settings.tokenizer, corpus.train, settings.vocab_size)
            model = make_model(settings, tokenizer.vocab_size)
        else:
            model, tokenizer = load_model_and_tokenizer(settings.init_from)
            settings = settings.replace(_settings_of(model, tokenizer))
            _prepare(model, settings)
        dataset = Dataset.from_corpus(corpus, tokenizer)
        say(f"tokens: {tokenizer}, {len(dataset.train):,} + {len(dataset.val):,}")
        for part, tokens in (("training", dataset.train), ("validation", dataset.val)):
            if len(tokens) <= settings.block_size:
                raise ValueError(
                    f"the {part} part of the text has {len(tokens)} tokens, fewer than a window of "
                    f"{settings.block_size + 1}: give more text, or a smaller block_size"
                )
        n_params = sum(param.size for param in model.params().values())
        learning = f", {model.flat.params.size:,} of them learn" if settings.freeze else ""
        say(f"model: {n_params:,} parameters{learning}")
        run = cls(folder, settings, tokenizer, dataset, model, optimizer_of(settings, model))
        folder.mkdir(parents=True, exist_ok=True)
        run.save()
        return run

    @classmethod
    def resume(cls, folder: Path, changes: dict[str, Any]) -> Run:
        """Go on with the run kept in `folder`, with some settings changed if need be."""
        from safetensors.numpy import load_file

        record = read_record(folder)
        settings = Settings().replace(record["settings"])
        for name in FIXED:
            if name in changes and changes[name] != getattr(settings, name):
                raise ValueError(f"{name} cannot change when a run goes on; start a new one")
        settings = settings.replace(changes)
        model, tokenizer = load_model_and_tokenizer(folder)
        _prepare(model, settings)
        dataset = Dataset.from_corpus(load_corpus(settings.data), tokenizer)
        optimizer = optimizer_of(settings, model)
        if optimizer.state:
            optimizer.state.update(load_file(folder / "training_state.safetensors"))
        run = cls(folder, settings, tokenizer, dataset, model, optimizer, record["step"])
        run._forget_after(run.step)
        return run

    def steps(self) -> Generator[Step]:
        """Train to the end, yielding each step; metrics and samples are written, models saved."""
        for step in train(
            self.model,
            self.dataset,
            self.settings,
            self.tokenizer,
            self.optimizer,
            self.step,
            self.world,
        ):
            self.step = step.number
            if self.world.rank == 0:
                self._write_down(step)
                if step.val_loss is not None:
                    self.save()
            yield step

    def save(self) -> None:
        """Write model, tokenizer, optimizer and settings into the folder."""
        from minigpt import __version__

        save_pretrained(self.model, self.folder, self.tokenizer)
        if self.optimizer.state:
            write_tensors(self.folder / "training_state.safetensors", self.optimizer.state)
        record = {
            "version": __version__,
            "step": self.step,
            "floor_bits_per_character": self.dataset.floor,
            "settings": self.settings.to_dict(),
        }
        write_json(self.folder / "training.json", record)

    def _write_down(self, step: Step) -> None:
        row = {name: value for name, value in asdict(step).items() if value is not None}
        sample = row.pop("sample", None)
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if sample is not None:
            with (self.folder / "samples.txt").open("a", encoding="utf-8") as file:
                file.write(f"──── step {step.number} ────\n{sample}\n\n")

    def _forget_after(self, step: int) -> None:
        path = self.folder / "metrics.jsonl"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(path, "".join(line for line in lines[:step]))


def make_model(settings: Settings, vocab_size: int) -> miniGPT:
    """Make the untrained model that `settings` describe."""
    s = settings
    return miniGPT(
        vocab_size,
        max_len=s.block_size,
        d_model=s.d_model,
        n_heads=s.n_heads,
        n_layers=s.n_layers,
        d_ff=s.d_ff,
        activation=s.activation,
        bias=s.bias,
        tie_weights=s.tie_weights,
        dropout=s.dropout,
        seed=s.seed,
    )


def _settings_of(model: miniGPT, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "tokenizer": tokenizer.kind,
        "vocab_size": tokenizer.vocab_size,
        "n_layers": model.n_layers,
        "n_heads": model.n_heads,
        "d_model": model.d_model,
        "d_ff": model.d_ff,
        "activation": model.activation,
        "bias": model.bias,
        "tie_weights": model.tie_weights,
    }


def _prepare(model: miniGPT, settings: Settings) -> None:
    """Let a model that was opened learn as `settings` say."""
    if settings.block_size > model.max_len:
        raise ValueError(
            f"block_size {settings.block_size} is more than the context of the model, "
            f"{model.max_len} tokens: give --block-size {model.max_len} or less"
        )
    model.dropout.p = settings.dropout
    for block in model.blocks:
        attention = block.attention
        for dropout in (
            attention.attention_dropout,
            attention.residual_dropout,
            block.feed_forward.dropout,
        ):
            dropout.p = settings.dropout
    if settings.freeze:
        freeze(model, settings.freeze)


def make_tokenizer(name: str, text: str, vocab_size: int | None = None) -> Tokenizer:
    """Train a tokenizer, "bpe", "char" or "word", on `text`.

    Any other name is that of a tokenizer.json, or a folder with one, taken as it is.
    """
    for kind, tokenizer in TOKENIZERS.items():
        if name == kind:
            return tokenizer().train(text, vocab_size)
    if not Path(name).exists():
        raise ValueError(f"{unknown('tokenizer', name, TOKENIZERS)}; or give a tokenizer.json")
    return load_tokenizer(name)


def read_record(folder: Path) -> dict[str, Any]:
    """Read training.json: the settings of a run and how far it is."""
    path = folder / "training.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} is no run folder: it has no training.json")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {"step": int(record["step"]), **record}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def free_folder(name: str, parent: Path = Path("runs")) -> Path:
    """Give parent/name, or parent/name-2, -3, … if that is taken."""
    folder, number = parent / name, 2
    while folder.exists():
        folder, number = parent / f"{name}-{number}", number + 1
    return folder
