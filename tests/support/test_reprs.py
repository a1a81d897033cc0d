"""The repr of each object is short, however much it holds: notebooks show it after a cell."""

import dataclasses
import importlib
import inspect
import pkgutil

import numpy as np
import pytest
from tiny import tiny_model, tiny_settings

import minigpt
from minigpt import (
    SGD,
    AdamW,
    BPETokenizer,
    CharTokenizer,
    Corpus,
    Dataset,
    Settings,
    WordTokenizer,
    check_gradients,
    load_corpus,
    trace,
)
from minigpt.check.proof import check_new_model
from minigpt.core.generation import new_cache
from minigpt.core.layers import Layer, Linear
from minigpt.inside import head_scores, logit_lens
from minigpt.runs import Run
from minigpt.text.corpus import plays
from minigpt.training.loop import Step

INTERNAL = (
    *("minigpt.web", "minigpt.show.explain", "minigpt.fast.attention", "minigpt.__main__"),
    *("minigpt.course.apart", "minigpt.course.exercise", "minigpt.course.joined"),
    *("minigpt.course.lesson_folder", "minigpt.commands.command_table"),
)
FEW_NUMBERS = {"Evaluation", "Sampling", "Target", "KnownText", "Change"}
TRIED_BELOW = {"Settings", "GradientCheck", "Trace"}


def records():
    """Yield all dataclasses and NamedTuples of the package."""
    for module in pkgutil.walk_packages(minigpt.__path__, "minigpt."):
        if module.name.startswith(INTERNAL):
            continue
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            record = dataclasses.is_dataclass(kind) or hasattr(kind, "_fields")
            elsewhere = kind.__module__ != module.name
            if record and not elsewhere and kind.__name__ not in FEW_NUMBERS | TRIED_BELOW:
                yield kind


RECORDS = sorted(set(records()), key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
HUGE = {
    "str": "my <b>dear</b> " * 10**5,
    "list": list(range(10**5)),
    "one long": ["goose" * 10**5],
    "dict": {f"name {i}": i for i in range(10**5)},
    "array": np.zeros((300, 300)),
    "arrays": [np.zeros((30, 30))] * 3,
    "number": 10**400,
}


def filled(kind, value):
    """Return a record of class `kind` in which each field is `value`."""
    if hasattr(kind, "_fields"):
        return kind(*[value] * len(kind._fields))
    record = object.__new__(kind)
    for field in dataclasses.fields(kind):
        object.__setattr__(record, field.name, value)
    return record


def test_search_for_records_finds_them():
    names = {kind.__name__ for kind in RECORDS}
    assert names >= {"Corpus", "Dataset", "Run", "History", "Lens", "PCA", "Completion", "SlowStep"}


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__qualname__)
def test_repr_of_a_large_record_is_short(kind):
    for value in HUGE.values():
        record = filled(kind, value)
        assert kind.__name__ in repr(record)
        assert len(repr(record)) < 500, repr(record)[:600]


TEXT = "my <b>dear</b> goose, where is my lantern? " * 20


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Objects that a user creates."""
    names = tuple(f"<|special token {i}|>" for i in range(200))
    char = CharTokenizer().train("".join(map(chr, range(32, 3000))))
    bpe = BPETokenizer(special_tokens=names).train(TEXT, 500)
    model = tiny_model(bpe.vocab_size, n_layers=30)
    small = tiny_model(bpe.vocab_size, max_len=16, dtype="float64")
    seen = trace(small, bpe.encode(TEXT)[:16], bpe)
    corpus = Corpus("goose " * 1000, TEXT * 1000, TEXT * 1000)
    folder = tmp_path_factory.mktemp("run")
    settings = tiny_settings(folder, TEXT * 4, tokenizer="bpe", vocab_size=260)
    return [
        load_corpus(["plays"]), plays(20_000), corpus, char, bpe, WordTokenizer().train(TEXT),
        char.vocabulary, bpe.vocabulary, Dataset.from_corpus(Corpus("plays", TEXT, TEXT), bpe),
        model, small, *(layer for _, layer in small.children()), small.blocks[0].attention,
        SGD(model), AdamW(model), model.flat, new_cache(model, 3)[0], seen, seen.blocks[0],
        logit_lens(small, seen), head_scores(small, n_texts=1), Step(1, 2.0, 1.0, 0.1, 9.0, 2.0),
        Settings(), settings, Settings(prompt="x" * 10**5, data=("a" * 10**4,) * 1000),
        check_gradients(Linear(4, 3, dtype="float64"), np.ones((2, 4))), *check_new_model(0),
        Run.new(settings, folder / "run"),
    ]  # fmt: skip


def test_repr_of_all_public_objects_is_short(made):
    for each in made:
        assert type(each).__name__ in repr(each)
        assert len(repr(each)) < 500, repr(each)[:600]
        assert repr(each).count("\n") == 0


def test_html_reprs_are_small_and_escaped(made):
    rich = [each for each in made if hasattr(each, "_repr_html_")]
    assert len(rich) > 12
    for each in rich:
        assert 20 < len(each._repr_html_()) < 40_000
        assert "<b>dear" not in each._repr_html_()


def test_repr_of_settings_shows_only_changes():
    assert repr(Settings()) == "Settings()"
    changed = Settings(steps=7, data=("a.txt", "b.txt"))
    assert repr(changed) == "Settings(data=('a.txt', 'b.txt'), steps=7)"
    assert eval(repr(changed)) == changed


def test_repr_of_a_custom_layer():
    class Shift(Layer):
        parameter_names = ("shift",)

        def __init__(self):
            self.shift = np.zeros(3)

    assert repr(Shift()) == "Shift(shift (3,))"
