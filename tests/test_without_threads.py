"""Where no thread can be started, as in WebAssembly, all work is done by the one there is."""

import json
import threading

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import Dataset, Settings, train
from minigpt.commands.cli import main
from minigpt.fast import threads
from minigpt.fast.threads import Threads, share_out
from minigpt.support.processes import can_start_threads
from minigpt.text import encoding
from minigpt.web.learn.following import Following
from minigpt.web.learn.lesson import Lesson

TEXT = "my dear goose, my dear fox, where is my lantern? " * 60
SIZES = [
    *("--n-layers", "1", "--d-model", "16", "--block-size", "16", "--batch-size", "4"),
    *("--steps", "3", "--eval-every", "2", "--eval-tokens", "64", "--threads", "2"),
]


def refuse(self):
    raise RuntimeError("can't start new thread")


@pytest.fixture
def no_threads(monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", refuse)
    monkeypatch.setattr(threads, "MIN_NUMBERS_TO_SHARE", 1)
    monkeypatch.setattr(encoding, "MIN_CHARS_FOR_PROCESSES", 100)  # all else would go to processes


@pytest.fixture(params=["terminal", "log"])
def shown(request, monkeypatch):
    """Whether there is a terminal, in which a bar has a thread."""
    monkeypatch.setenv("TERM", "xterm")
    if request.param == "terminal":
        monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any stream for one


def learn(n_threads):
    ids = np.random.default_rng(0).integers(0, 7, 400)
    model = tiny_model(7, dropout=0.1)
    settings = Settings(steps=3, batch_size=4, block_size=8, threads=n_threads, eval_tokens=64)
    losses = [step.loss for step in train(model, Dataset("ids", ids, ids, 400), settings)]
    return losses, model.flat.params


def test_training_without_threads_gives_the_same_numbers(monkeypatch, no_threads):
    assert not can_start_threads()
    alone = learn(3)
    monkeypatch.undo()
    assert can_start_threads()
    together = learn(3)
    assert alone[0] == together[0]
    np.testing.assert_array_equal(alone[1], together[1])


def test_share_out_uses_the_threads_that_could_start(monkeypatch):
    monkeypatch.setattr(threads, "MIN_NUMBERS_TO_SHARE", 1)
    start, started = threading.Thread.start, []

    def start_one(self):
        if started:
            refuse(self)
        started.append(self)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", start_one)
    with Threads(5) as five:
        for _ in range(3):
            assert share_out(lambda part: part.start, 5) == list(range(5))
        with pytest.raises(IndexError, match="the third"):
            five.map(lambda i: fail("the third") if i == 2 else i, range(5))
    assert len(started) == 1


def fail(message):
    raise IndexError(message)


def test_commands_work_without_threads(no_threads, shown, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    prepare = ["prepare", "text.txt", "-o", "data", "--tokenizer", "char", "--processes", "2"]
    for command in (
        prepare,
        ["train", "--data", "data", "--out", "run", *SIZES],
        ["train", "--data", "text.txt", "--tokenizer", "bpe", "--out", "other", *SIZES],
        ["eval", "run", "--data", "text.txt"],
        ["generate", "run", "--prompt", "my", "--max-new-tokens", "3"],
        ["check"],
        ["runs", "."],
    ):
        code = main(command)
        printed = capsys.readouterr()
        assert code == 0, (command, printed)
        assert "thread" not in printed.err
    assert len((tmp_path / "run/metrics.jsonl").read_text("utf-8").splitlines()) == 3
    assert main(["explore", "run", "--no-browser"]) == 1
    assert "the live page needs threads" in capsys.readouterr().err


CHANGES = {"steps": 4, "n_layers": 1, "d_model": 16, "block_size": 16, "batch_size": 4}


def test_lesson_without_threads_acts_at_once(no_threads):
    with Lesson({**CHANGES, "tokenizer": "char"}, TEXT) as lesson:
        assert (lesson.status, lesson.now) == ("paused", 0)
        lesson.step(2)
        assert (lesson.status, lesson.now) == ("paused", 2)
        assert lesson.slow_step().losses.shape == (4, 16)
        lesson.back()
        assert lesson.now == 1
        lesson.run()
        assert (lesson.status, lesson.now) == ("done", 4)
        weights = lesson.model.flat.params.copy()
        lesson.go_to(0)
        lesson.run()
        np.testing.assert_array_equal(lesson.model.flat.params, weights)
        subscription = lesson.subscribe()
        assert len(lesson.rows()) == 4
    assert lesson.status == "stopped"
    assert [event.kind for event in subscription][-1] == "end"
    lesson.stop()  # twice is fine


def test_lesson_that_cannot_begin_says_why(no_threads):
    with Lesson(CHANGES, "too short") as lesson:
        assert lesson.status == "failed"
        assert lesson.problem


def test_run_is_shown_without_threads(no_threads, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    run = tmp_path / "run"
    text = str(tmp_path / "text.txt")
    assert main(["train", "--data", text, "--tokenizer", "char", "--out", str(run), *SIZES]) == 0
    assert json.loads((run / "training.json").read_text("utf-8"))
    with Following(run) as following:
        assert following.problem is None
        assert following.model is not None
        assert len(following.rows()) == 3
