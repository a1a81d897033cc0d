"""Options that contradict the data, the tokenizer or the model raise; they are never ignored."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny import TEXT, TINY, tiny_model

from minigpt import BPETokenizer, Dataset, Settings, load_corpus, train
from minigpt.commands.cli import main
from minigpt.runs import Run
from minigpt.runs.starting import begin
from minigpt.text.data import Corpus
from minigpt.text.prepare import prepare
from minigpt.text.prepared import open_dataset
from minigpt.text.tokenizers import CharTokenizer, WordTokenizer

FLAGS = [part for k, v in TINY.items() for part in (f"--{k.replace('_', '-')}", str(v))]
FILE = ["--tokenizer", "other.json"]
OF_THE_RUN = ["--steps", "2", "--batch-size", "2", "--sample-every", "0", "--threads", "1"]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with a text, its tokens in two folders, a tokenizer and a character model."""
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT, encoding="utf-8")
    Path("lines.jsonl").write_text(json.dumps({"text": TEXT}), encoding="utf-8")
    prepare(["text.txt"], Path("bpe"), "bpe", 280)
    prepare(["text.txt"], Path("char"), "char")
    BPETokenizer().train(TEXT, 270).save("other.json")
    settings = Settings().replace({**TINY, "data": ("text.txt",), "tokenizer": "char"})
    Run.new(settings, Path("model"))
    return tmp_path


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--data", "bpe", "--tokenizer", "char"], "tokens in bpe were made by another"),
        (["--data", "char", "--tokenizer", "bpe"], "tokens in char were made by another"),
        (["--data", "char", "--tokenizer", "word"], "tokens in char were made by another"),
        (["--data", "bpe", "--tokenizer", "other.json"], "tokens in bpe were made by another"),
        (["--data", "bpe", "--tokenizer", "char/tokenizer.json"], "were made by another"),
        (["--data", "bpe", "--vocab-size", "300"], "--vocab-size is 300, but the tokenizer of bpe"),
        (["--data", "char", "--vocab-size", "300"], "the tokenizer of char has"),
        (["--data", "bpe", "--field", "text"], "bpe has tokens, not texts with fields: leave out"),
        (
            ["--data", "bpe", "--skip-undecodable"],
            "bpe has tokens, not texts to decode",
        ),
        (["--data", "text.txt", "--field", "text"], "leave out --field"),
        (["--data", "plays", "--field", "text"], "leave out --field"),
        (["--data", "text.txt", "--tokenizer", "other.json", "--vocab-size", "300"], "has 270"),
        (["--data", "text.txt", "--tokenizer", "bpe", "--vocab-size", "9"], "9 is too small"),
        (["--data", "bpe", "--init-from", "model"], "not made by the tokenizer of the model"),
        (["--data", "text.txt", "--init-from", "model", "--vocab-size", "30"], "comes from"),
        (["--data", "text.txt", "--init-from", "model", "--tokenizer", "bpe"], "comes from"),
        (["--data", "text.txt", "--init-from", "model", "--preset", "demo"], "--preset demo sets"),
        (["--preset", "shakespeare-char", "--data", "bpe"], "tokens in bpe were made by another"),
        (["--data", "text.txt", "--optimizer", "sgd", "--beta1", "0.5"], "left out with sgd"),
        (["--data", "text.txt", "--optimizer", "sgd", "--weight-decay", "0"], "only AdamW uses it"),
        (["--data", "text.txt", "--freeze", "1"], "--freeze needs --init-from"),
    ],
)
def test_train_refuses_flags_that_contradict(place, flags, message, capsys):
    own = [] if "model" in flags else FLAGS
    assert main(["train", "--out", "run", *(own or OF_THE_RUN), *flags]) == 1
    assert message in capsys.readouterr().err
    assert not Path("run").exists()


@pytest.mark.parametrize(
    "flags",
    [
        ["--data", "bpe", "--tokenizer", "bpe"],
        ["--data", "bpe", "--tokenizer", "bpe", "--vocab-size", "280"],
        ["--data", "bpe", "--tokenizer", "bpe/tokenizer.json"],
        ["--data", "char", "--tokenizer", "char"],
        ["--data", "char"],
        ["--data", "lines.jsonl", "--field", "text"],
        ["--data", "text.txt", "--tokenizer", "other.json"],
        ["--data", "text.txt", "--tokenizer", "other.json", "--vocab-size", "270"],
    ],
)
def test_train_accepts_flags_that_agree_and_records_them(place, flags, capsys):
    assert main(["train", "--out", "run", *FLAGS, *flags]) == 0, capsys.readouterr().err
    settings = json.loads(Path("run/training.json").read_text("utf-8"))["settings"]
    run = Run.resume(Path("run"), {"steps": 3})
    assert settings["vocab_size"] == run.tokenizer.vocab_size == run.dataset.tokenizer.vocab_size
    assert settings["tokenizer"] in (run.tokenizer.kind, "other.json")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["prepare", "text.txt", "-o", "new", *FILE, "--vocab-size", "9"], "has 270 tokens"),
        (["prepare", "text.txt", "-o", "new", "--field", "text"], "leave out --field"),
        (["tokenize", "my", "--tokenizer", "other.json", "--vocab-size", "99"], "leave it out"),
        (["tokenize", "my", "--tokenizer", "other.json", "--data", "text.txt"], "leave it out"),
        (["eval", "model", "--data", "bpe"], "not made by the tokenizer of the model"),
        (["eval", "model", "--data", "char", "--field", "text"], "char has tokens, not texts"),
    ],
)  # fmt: skip
def test_other_commands_refuse_flags_that_contradict(place, command, message, capsys):
    assert main(command) == 1
    assert message in capsys.readouterr().err
    assert not Path("new").exists()


def test_vocab_size_is_refused_with_a_trained_tokenizer(place, capsys):
    command = ["tokenize", "my", "--tokenizer", "other.json", "bpe", "--vocab-size", "290"]
    assert main([*command, "--data", "text.txt"]) == 0
    out = capsys.readouterr().out
    assert "270" in out
    assert "290" in out


def test_token_folder_without_tokenizer_is_checked_against_the_given_one(place):
    """nanoGPT's folders have no tokenizer; the reported first words show whether it is right."""
    for name in ("tokenizer.json", "dataset.json"):
        Path("bpe", name).unlink()
    said: list[str] = []
    settings = Settings().replace({**TINY, "data": ("bpe",), "init_from": "model"})
    with pytest.raises(
        ValueError, match=r"train\.bin has the token id \d+, but .* another one made"
    ):
        begin(settings, said.append)
    BPETokenizer().train(TEXT, 280).save("right.json")
    begin(Settings().replace({**TINY, "data": ("bpe",), "tokenizer": "right.json"}), said.append)
    assert any("its text begins 'my dear goose, take" in line for line in said)
    ids = np.fromfile("bpe/val.bin", "<u2")
    ids[-1] = 280
    ids.tofile("bpe/val.bin")
    with pytest.raises(ValueError, match=r"val\.bin has the token id 280"):
        begin(
            Settings().replace({**TINY, "data": ("bpe",), "tokenizer": "right.json"}), said.append
        )


@pytest.mark.parametrize(
    "other",
    [
        CharTokenizer().train(TEXT + "é"),
        CharTokenizer().train(TEXT[::-1].replace("w", "W")),
        WordTokenizer().train(TEXT),
        BPETokenizer().train("quagga " * 9, 259),
    ],
)
def test_train_refuses_a_dataset_of_another_tokenizer(other):
    own = CharTokenizer().train(TEXT)
    model = tiny_model(300)
    dataset = Dataset.from_corpus(Corpus("x", TEXT, TEXT), other)
    settings = Settings().replace(TINY)
    with pytest.raises(ValueError, match="the dataset was made with another tokenizer"):
        next(train(model, dataset, settings, own))
    again = CharTokenizer().train(TEXT)
    next(train(model, Dataset.from_corpus(Corpus("x", TEXT, TEXT), again), settings, own))


def test_train_refuses_a_dataset_with_more_tokens_than_the_model():
    dataset = Dataset.from_corpus(load_corpus(["plays"]), BPETokenizer().train(TEXT, 280))
    with pytest.raises(ValueError, match="280 tokens, but the model knows only 270"):
        next(train(tiny_model(270), dataset, Settings().replace(TINY)))


def test_open_dataset_refuses_another_tokenizer(place):
    with pytest.raises(ValueError, match="not made by the tokenizer"):
        open_dataset(Path("bpe"), BPETokenizer.load("other.json"))


def test_allow_special_cannot_change_on_resume(place, capsys):
    assert main(["train", "--resume", "model", "--steps", "3", "--allow-special"]) == 1
    assert "--allow-special cannot change when a run is resumed" in capsys.readouterr().err
