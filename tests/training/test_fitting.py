import itertools
import json
import random

import pytest

from minigpt import BPETokenizer, Settings
from minigpt.runs import Run
from minigpt.training.evaluation import evaluate
from minigpt.training.fitting import FITTED, MIN_TEXT_CHARACTERS, fit, fit_vocabulary

SIZES = [2, 3, 5, 17, 100, 1000, 2_499, 2_500, 8_999, 9_000, 40_000, 70_000, 300_000, 10**7, 10**10]


@pytest.mark.parametrize("n_tokens", SIZES)
def test_fitted_settings_suit_the_text(n_tokens):
    fitted = fit(Settings(), FITTED, n_tokens)
    assert 1 <= fitted.block_size < n_tokens
    assert fitted.steps >= 20  # enough evaluations to choose the best
    assert fitted.steps // fitted.eval_every >= fitted.patience > 0
    readings = fitted.steps * fitted.batch_size * fitted.block_size / n_tokens
    assert readings <= 41 or fitted.steps == 60


def test_fitted_model_and_training_grow_with_the_text():
    every = [fit(Settings(), FITTED, n) for n in SIZES]
    for small, large in itertools.pairwise(every):
        for name in ("n_layers", "d_model", "block_size"):
            assert getattr(small, name) <= getattr(large, name)
        assert small.dropout >= large.dropout
    vocabularies = [fit_vocabulary("a b" * n) for n in (1, 200, 5_000, 50_000, 10**6)]
    assert vocabularies == sorted(vocabularies)
    assert (vocabularies[0], vocabularies[-1]) == (257, 1024)
    assert fit_vocabulary("字" * 3000) == fit_vocabulary("a" * 9000)  # bytes count, not characters


@pytest.mark.parametrize("name", FITTED)
def test_fit_keeps_chosen_settings(name):
    is_float = isinstance(getattr(Settings(), name), float)
    chosen = Settings().replace({name: 0.123 if is_float else 28})
    free = [other for other in FITTED if other != name]
    for n_tokens in SIZES:
        assert getattr(fit(chosen, free, n_tokens), name) == getattr(chosen, name)
    assert fit(chosen, (), 1000) == chosen


@pytest.mark.parametrize("n_heads", [1, 3, 7, 64, 100])
def test_fitted_d_model_is_a_multiple_of_chosen_heads(n_heads):
    chosen = Settings(n_heads=n_heads, d_model=100 * n_heads)
    assert fit(chosen, FITTED, 5000).d_model % n_heads == 0


def test_fit_keeps_the_learning_rate_of_wide_models_and_other_optimizers():
    for changes in ({"d_model": 512}, {"optimizer": "sgd"}, {"init_from": "x"}):
        free = [name for name in FITTED if name not in changes]
        assert fit(Settings().replace(changes), free, 5000).learning_rate == 1e-3


TEXTS = {
    "english": "my dear goose, take this lantern. my dear fox, where is my lantern?\n",
    "chinese": "今天王老师在学校看见一本新书。明天我想要买苹果和面包！\n",
    "csv": "2024-01-02,Bern,12.5,0.3\n2024-01-03,Rome,18.1,0.0\n",
    "one letter": "a",
    "new lines": "\n",
    "emoji": "🦆",
}


@pytest.mark.parametrize(
    ("tokenizer", "length"),
    [
        *[("bpe", length) for length in (MIN_TEXT_CHARACTERS, 50, 500, 3000)],
        *[("char", length) for length in (MIN_TEXT_CHARACTERS, 3000)],
        ("word", 3000),
    ],
)
@pytest.mark.parametrize("name", TEXTS)
def test_fitted_run_trains_on_any_text(tmp_path, name, tokenizer, length):
    text = (TEXTS[name] * length)[:length]
    if tokenizer == "word":
        text = "- ".join(text[i : i + 40] for i in range(0, length, 40))
    if not text.strip():
        text = "-" + text[1:]
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8")
    notes: list[str] = []
    chosen = {"data": (str(path),), "tokenizer": tokenizer, "steps": 2, "threads": 1}
    free = [each for each in FITTED if each not in chosen]
    run = Run.new(Settings(**chosen), tmp_path / "run", notes.append, free)
    assert [step.number for step in run.steps()] == [1, 2]
    assert evaluate(run.model, run.dataset.val, run.settings.block_size) > 0
    (told,) = [note for note in notes if note.startswith("fitted to")]
    assert f"--block-size {run.settings.block_size}" in told
    assert ("--vocab-size" in told) == (tokenizer == "bpe")
    record = json.loads((run.folder / "training.json").read_text(encoding="utf-8"))
    assert record["settings"] == json.loads(json.dumps(run.settings.to_dict()))
    assert record["settings"]["vocab_size"] == run.tokenizer.vocab_size


def test_fitted_run_refuses_a_part_of_one_token(tmp_path):
    (tmp_path / "text.txt").write_text("a goose and a verylongword", encoding="utf-8")
    settings = Settings(data=(str(tmp_path / "text.txt"),), tokenizer="word")
    with pytest.raises(ValueError, match="validation part of the text has 1 token"):
        Run.new(settings, tmp_path / "run", free=FITTED)


@pytest.mark.parametrize("length", [1, 7, MIN_TEXT_CHARACTERS - 1])
def test_fitted_run_refuses_a_text_that_is_too_short(tmp_path, length):
    (tmp_path / "text.txt").write_text("ab cd ef gh ij kl mn op qr"[:length], encoding="utf-8")
    settings = Settings(data=(str(tmp_path / "text.txt"),))
    with pytest.raises(ValueError, match=rf"the text has {length} characters?: .* at least 20 are"):
        Run.new(settings, tmp_path / "run", free=FITTED)
    assert not (tmp_path / "run").exists()


def test_run_refuses_a_block_size_longer_than_the_text(tmp_path):
    text = "my dear goose, take this lantern. "
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    chosen = Settings(
        data=(str(tmp_path / "text.txt"),), tokenizer="char", n_layers=1, d_model=8, steps=1
    )
    with pytest.raises(ValueError, match=r"30 tokens, .* choose block_size=29 or less"):
        Run.new(chosen, tmp_path / "run")
    run = Run.new(chosen.replace({"block_size": 29, "threads": 1}), tmp_path / "run")
    assert len(list(run.steps())) == 1


def test_fitted_run_learns_a_small_text_without_overfitting(tmp_path):
    """The last loss is about the lowest, and far below the first."""
    chance = random.Random(5)
    words = ["goose", "fox", "lantern", "tea", "king", "river", "my", "your", "a", "the", "sees"]
    text = ". ".join(" ".join(chance.choices(words, k=6)) for _ in range(90))
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    chosen = {"data": (str(tmp_path / "text.txt"),), "threads": 1, "sample_every": 0}
    free = [name for name in FITTED if name not in chosen]
    run = Run.new(Settings(**chosen), tmp_path / "run", free=free)
    losses = [step.val_bits for step in run.steps() if step.val_bits is not None]
    assert min(losses) < 0.5 * losses[0]
    assert losses[-1] < 1.15 * min(losses)
    assert BPETokenizer.load(tmp_path / "run").vocab_size <= fit_vocabulary(text)
