"""The text of a run is recognised wherever it is, and no other text is mistaken for it."""

import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from tiny import TEXT, TINY

from minigpt import Corpus, Dataset, Settings, load_corpus
from minigpt.commands.cli import main
from minigpt.folders.pretrained import write_json
from minigpt.runs import Run, checkpoints
from minigpt.runs.own_text import TOKENS_HASHED_AT_ONCE, fingerprint, is_text_of
from minigpt.text.prepare import prepare
from minigpt.text.tokenizers import CharTokenizer, WordTokenizer
from minigpt.web.learn.following import Following


def train(folder: Path, data: str, **changes) -> Path:
    short = {**TINY, "tokenizer": "char", "steps": 4, "eval_every": 2, "sample_every": 0}
    run = Run.new(Settings().replace({**short, "data": (data,), **changes}), folder)
    for _ in run.steps():
        pass
    return folder


def change_records(folder: Path, change) -> None:
    for path in folder.rglob("training.json"):
        record = json.loads(path.read_text("utf-8"))
        del record["crc32"]
        change(record)
        path.unlink()
        write_json(path, {**record, "crc32": checkpoints._checksum_of(record)})


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with a text and a run on it; the run has a relative name of the text."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "text.txt").write_text(TEXT, encoding="utf-8")
    monkeypatch.chdir(home)
    train(Path("runs/a"), "text.txt")
    return home


# ------------------------------------------------------------------------------- all of a text


@pytest.mark.parametrize("part", ["train", "val"])
@pytest.mark.parametrize(
    "place", [0, 1, TOKENS_HASHED_AT_ONCE - 1, TOKENS_HASHED_AT_ONCE, TOKENS_HASHED_AT_ONCE + 1, -1]
)
def test_fingerprint_changes_with_any_single_token(part, place):
    def dataset(**parts):
        zeros = {name: np.zeros(TOKENS_HASHED_AT_ONCE + 5, np.uint16) for name in ("train", "val")}
        return Dataset("x", val_characters=7, **(zeros | parts))

    changed = np.zeros(TOKENS_HASHED_AT_ONCE + 5, np.uint16)
    changed[place] = 1
    assert fingerprint(dataset()) == fingerprint(dataset())
    assert fingerprint(dataset(**{part: changed})) != fingerprint(dataset())


def test_fingerprint_differs_for_other_texts_with_the_same_tokens():
    tokenizer = WordTokenizer().train("my dear goose " * 9)
    texts = ("my dear goose ", "my dear quagga", "my dear okapii")
    prints = [
        fingerprint(Dataset.from_corpus(Corpus("x", TEXT, text), tokenizer)) for text in texts
    ]
    assert prints[1]["val"] == prints[2]["val"]
    assert len({json.dumps(each) for each in prints}) == 3
    alike = Corpus("x", "my dear", " goose"), Corpus("x", "my dear ", "goose")
    alike += (Corpus("x", "my dear", " goose", ends=(3,)),)
    assert len({corpus.checksum() for corpus in alike}) == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-2] + "!\n",
        lambda text: text[:1] + "!" + text[2:],
        lambda text: text + " ",
        lambda text: text.replace("goose", "g00se", 1),
        lambda text: text.swapcase(),
    ],
)
def test_resume_refuses_a_text_changed_anywhere(place, change, capsys):
    (place / "text.txt").write_text(change(TEXT), encoding="utf-8")
    for command in (["train", "--resume", "runs/a", "--steps", "6"], ["eval", "runs/a"]):
        assert main(command) == 1
        assert "no longer what it was when the run began" in capsys.readouterr().err
    assert main(["eval", "runs/a", "--data", "text.txt"]) == 0  # it is another text
    assert f"text, {len(change(TEXT)):,} characters" in capsys.readouterr().out


def test_resume_refuses_a_changed_token_file(place):
    prepare([place / "text.txt"], place / "data", "char")
    train(place / "runs/b", "data")
    for part in ("train", "val"):
        file = place / f"data/{part}.bin"
        content = file.read_bytes()
        file.write_bytes(content[:-2] + bytes([content[-2] ^ 1, 0]))
        with pytest.raises(ValueError, match="no longer what it was"):
            Run.resume(place / "runs/b", {"steps": 6})
        file.write_bytes(content)
    Run.resume(place / "runs/b", {"steps": 6})


def test_runs_of_older_versions_can_be_resumed(place):
    def as_it_was(record):
        for name, part in (("train", dataset.train), ("val", dataset.val)):
            record["text"][name] = [
                len(part),
                f"{zlib.crc32(part[:TOKENS_HASHED_AT_ONCE].tobytes()):08x}",
            ]
        for name in ("val_characters", "text"):
            del record["text"][name]
        del record["started_in"]

    dataset = Run.resume(Path("runs/a"), {}).dataset
    change_records(place / "runs/a", as_it_was)
    assert Run.resume(Path("runs/a"), {"steps": 5}).text == fingerprint(dataset)
    (place / "text.txt").write_text(TEXT.replace("fox", "f0x"), encoding="utf-8")
    with pytest.raises(ValueError, match="no longer what it was"):
        Run.resume(Path("runs/a"), {"steps": 6})
    change_records(place / "runs/a", lambda record: record.pop("text"))
    assert is_text_of({}, dataset)


# --------------------------------------------------------------------------- wherever it is now


def test_relative_text_is_found_from_any_directory(place, tmp_path, monkeypatch, capsys):
    for number, here in enumerate((tmp_path, Path("/"), place / "runs/a", place), 5):
        monkeypatch.chdir(here)
        assert Run.resume(place / "runs/a", {"steps": number}).dataset.name == "text"
        assert main(["train", "--resume", str(place / "runs/a"), "--steps", str(number)]) == 0
        for opened in ("runs/a", f"runs/a/checkpoint-{number}"):
            assert main(["eval", str(place / opened)]) == 0
            assert "validation part of text, " in capsys.readouterr().out
    settings = json.loads((place / "runs/a/training.json").read_text("utf-8"))["settings"]
    assert settings["data"] == ["text.txt"]


def test_text_and_runs_may_be_moved_together(place, tmp_path, monkeypatch):
    place.rename(tmp_path / "away")
    monkeypatch.chdir(tmp_path)
    assert Run.resume(tmp_path / "away/runs/a", {"steps": 5}).dataset.name == "text"


def test_other_text_of_the_same_name_is_not_used(place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("something else " * 99, encoding="utf-8")
    assert Run.resume(place / "runs/a", {"steps": 5}).base == place
    shutil.move(place / "runs/a", tmp_path / "b")  # no relative path leads to the text now
    assert main(["eval", "b"]) == 1
    assert f"the text of b, {tmp_path / 'text.txt'}, is no longer" in capsys.readouterr().err
    monkeypatch.chdir(place)
    assert Run.resume(tmp_path / "b", {"steps": 5}).base == place  # the current folder, too


def test_missing_text_is_named_and_can_be_given_as_data(place, tmp_path, capsys):
    (place / "text.txt").rename(tmp_path / "moved.txt")
    for command in (["eval", "runs/a"], ["train", "--resume", "runs/a", "--steps", "6"]):
        assert main(command) == 1
        said = capsys.readouterr().err
        assert f"is not where it was: there is no {place / 'text.txt'}. If it has moved" in said
        assert "--data" in said
        assert main([*command, "--data", "../moved.txt"]) == 0
        capsys.readouterr()
    record = json.loads((place / "runs/a/checkpoint-6/training.json").read_text("utf-8"))
    assert record["settings"]["data"] == ["../moved.txt"]
    assert main(["eval", "runs/a"]) == 0
    assert "validation part of moved, " in capsys.readouterr().out


def test_resume_refuses_data_that_is_not_its_text(place, capsys):
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    (place / "other.txt").write_text(TEXT[:-1], encoding="utf-8")
    command = ["train", "--resume", "runs/a", "--steps", "6", "--data"]
    assert main([*command, "other.txt"]) == 1
    assert "is not the text that runs/a was trained on, text.txt" in capsys.readouterr().err
    assert main([*command, "nowhere.txt"]) == 1
    assert f"there is no {place / 'nowhere.txt'}" in capsys.readouterr().err
    (place / "other.txt").unlink()
    assert before == {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_built_in_text_is_found_from_any_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(Path("a"), "plays", tokenizer="bpe", vocab_size=300)
    (tmp_path / "plays").write_text("no plays", encoding="utf-8")
    monkeypatch.chdir("/")
    run = Run.resume(tmp_path / "a", {"steps": 5})
    assert run.dataset.text_checksum == load_corpus(["plays"]).checksum()


# ------------------------------------------------------------------------ what a page may show


def slow_step(folder: Path):
    with Following(folder) as following:
        following.ready.wait(20)
        return following.slow_step()


def test_slow_step_shows_only_the_text_of_the_fingerprint(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert slow_step(place / "runs/a").x.shape == (2, 8)


@pytest.mark.parametrize("secret", ["a text", "tokens"])
@pytest.mark.parametrize(
    "forged",
    [
        lambda record, was: record.pop("text"),
        lambda record, was: record.update(text=None),
        lambda record, was: record.update(text={}),
        lambda record, was: record["text"].pop("text"),
        lambda record, was: record.update(text=was),
        lambda record, was: record["text"].update(text="0" * 64),
        lambda record, was: None,
    ],
)
def test_slow_step_shows_no_file_named_by_a_stranger(place, tmp_path, secret, forged):
    """A stranger may know how the user's file begins: this does not prove the rest of it."""
    if secret == "tokens":
        owned = tmp_path / "owned"
        prepare([place / "text.txt"], owned, "char")
        CharTokenizer.load("runs/a").save(owned)
    else:
        owned = tmp_path / "diary.txt"
        owned.write_text(TEXT.replace("goose", "g-ose"), encoding="utf-8")
    was = Run.resume(Path("runs/a"), {}).dataset
    old = {
        name: [len(part), f"{zlib.crc32(part[:TOKENS_HASHED_AT_ONCE].tobytes()):08x}"]
        for name, part in (("train", was.train), ("val", was.val))
    }

    def change(record):
        record["settings"]["data"] = [str(owned)]
        forged(record, old)

    change_records(place / "runs/a", change)
    with pytest.raises(ValueError, match="is not the text that the run learned from"):
        slow_step(place / "runs/a")


@pytest.mark.parametrize("base", ["\0", "x" * 9999, 5, ["/"], "../../../../../../../../..", ""])
def test_invalid_text_location_in_a_record_does_no_harm(place, base, capsys):
    change_records(place / "runs/a", lambda record: record.update(started_in=base))
    Run.resume(Path("runs/a"), {"steps": 5})
    (place / "text.txt").unlink()
    assert main(["eval", "runs/a"]) == 1
    assert capsys.readouterr().err.startswith("minigpt: ")
