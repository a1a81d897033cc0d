"""Runs from strangers: files outside the folder are neither changed nor shown."""

import json
import os
import sys
from pathlib import Path

import pytest
from tiny import TEXT, tiny_settings
from traps import TRAPS, set_trap

from minigpt import load_corpus
from minigpt.runs import Run
from minigpt.runs.checkpoints import RECORD, _checksum_of, damage, path_of, read_record
from minigpt.text.prepare import prepare
from minigpt.web.learn.following import Following

posix = pytest.mark.skipif(sys.platform == "win32", reason="no pipes and devices among files")


@pytest.fixture
def run(tmp_path) -> Path:
    """A finished run, two folders deep."""
    settings = tiny_settings(tmp_path, steps=4, eval_every=2, sample_every=2, keep=9)
    run = Run.new(settings, tmp_path / "a" / "b" / "run")
    for _ in run.steps():
        pass
    return run.folder


def forge(checkpoint: Path, **changes: object) -> None:
    """Change a training.json and its checksum."""
    record = json.loads((checkpoint / RECORD).read_bytes()) | changes
    record.pop("crc32")
    record["crc32"] = _checksum_of(record)
    (checkpoint / RECORD).write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["../../x", "../x", "..", "", "a/x", "x/", *(["C:x", "..\\x"] * (os.name == "nt"))]
)
def test_record_may_only_name_files_of_its_folder(run, name):
    """Also in the best checkpoint, which is linked into the run folder on resuming."""
    (run.parent / "x").write_text("theirs", encoding="utf-8")
    (run.parents[2] / "x").write_text("mine", encoding="utf-8")
    for step in (2, 4):
        forge(path_of(run, step), best={"step": 2, "val_loss": 0.1})
    files = read_record(path_of(run, 2))["files"]
    forge(path_of(run, 2), files=files | {name: {"size": 6, "crc32": "0"}})
    assert damage(path_of(run, 2)) == "training.json cannot be read"
    with pytest.raises(ValueError, match=r"checkpoint-2.*in files is not a file name"):
        Run.resume(run, {"steps": 6})
    assert (run.parents[2] / "x").read_text(encoding="utf-8") == "mine"


@posix
@pytest.mark.parametrize("kind", TRAPS)
@pytest.mark.parametrize("name", [".lock", "metrics.jsonl", "layers.jsonl", "samples.txt"])
def test_files_that_a_run_writes_must_be_its_own(run, tmp_path, kind, name):
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    (run / name).unlink()
    set_trap(kind, run / name, victim)
    before = {p: p.stat().st_mtime_ns for p in run.iterdir() if p.is_file() and p.name != ".lock"}
    with pytest.raises(ValueError, match=name):
        Run.resume(run, {"steps": 6})
    assert victim.read_text(encoding="utf-8") == "mine"
    assert before == {path: path.stat().st_mtime_ns for path in before}


@posix
@pytest.mark.parametrize("name", ["samples.txt", "metrics.jsonl", "layers.jsonl"])
def test_live_page_does_not_wait_for_a_pipe(run, name):
    (run / name).unlink()
    os.mkfifo(run / name)
    if name == "metrics.jsonl":
        with pytest.raises(ValueError, match=f"{name} is not an ordinary file"):
            Following(run)
        return
    with Following(run) as following, following.subscribe() as events:
        while events.get(timeout=30) is not None:
            pass
        assert f"{name} is not an ordinary file" in following.problem


@pytest.mark.parametrize("has_proof", [True, False])
def test_slow_step_shows_no_file_the_run_did_not_learn(run, tmp_path, has_proof):
    with Following(run) as following, following.subscribe():
        assert following.slow_step().losses.size
    secret = tmp_path / "secret.txt"
    secret.write_text(TEXT.replace("goose", "ghost"), encoding="utf-8")
    proof = {} if has_proof else {"text": None}
    for folder in (run, *run.glob("checkpoint-*")):
        settings = json.loads((folder / RECORD).read_bytes())["settings"]
        forge(folder, settings=settings | {"data": [str(secret)]}, **proof)
    for content in (secret.read_bytes(), b"\xff secret", b""):
        secret.write_bytes(content)
        wrong = pytest.raises(ValueError, match="is not the text that the run learned from")
        with Following(run) as following, wrong as e:
            following.slow_step()
        assert "0xff" not in str(e.value)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"
PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        *((f"a{end}", POINTER, "Git LFS pointer") for end in
          (".txt", ".md", ".jsonl", ".json", ".TXT.gz", ".parquet")),
        *((f"a{end}", PAGE, "web page") for end in (".jsonl", ".json", ".txt.gz", ".parquet")),
    ],
)  # fmt: skip
def test_special_files_are_refused_as_texts(tmp_path, name, content, what):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"is a {what}"):
        load_corpus([tmp_path / name])
    with pytest.raises(ValueError, match=f"is a {what}"):
        prepare([tmp_path / name], tmp_path / "tokens", "char")


def test_html_file_is_accepted_as_a_text(tmp_path):
    (tmp_path / "a.html").write_bytes(PAGE)
    assert load_corpus([tmp_path / "a.html"]).train.startswith("<!DOCTYPE")


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": {}}, {"tokens": {"train": "x", "val": 1}}, {"tokens": {"train": -5, "val": 1}},
        {"tokens": [1]}, {"done": "1"}, {"done": -1}, {"done": 10**30}, {"n_pieces": []},
        {"n_characters": -9}, {"characters": {}}, {"val": {}}, {"val": 3}, {"order": None},
        {"val": {"words": "a", "bytes": 0, "spelling": 0}}, {"order": []}, {"more": 1},
    ],
)  # fmt: skip
def test_invalid_preparing_json_is_named(tmp_path, monkeypatch, change):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    order = [tmp_path / "text.txt"], tmp_path / "tokens", "char"

    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("minigpt.text.prepare._encode", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare(*order)
    note = tmp_path / "tokens" / "preparing.json"
    note.write_text(json.dumps(json.loads(note.read_bytes()) | change), encoding="utf-8")
    with pytest.raises(ValueError, match=r"preparing\.json is damaged"):
        prepare(*order)
