"""Lessons, and following a run: driven without a page."""

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from tiny import TEXT
from watched import RUN_SETTINGS, training, until

from minigpt import AdamW, Settings, miniGPT, train
from minigpt.runs import Run
from minigpt.runs.checkpoints import path_of
from minigpt.show.figures.loss_curves import curves
from minigpt.web.learn import snapshots
from minigpt.web.learn.channel import MAX_QUEUED_EVENTS, Channel
from minigpt.web.learn.following import Following
from minigpt.web.learn.glimpse import rotation
from minigpt.web.learn.lesson import Lesson
from minigpt.web.learn.lesson_settings import LESSON, RANGES, Unfit, lesson_settings
from minigpt.web.learn.session import MAX_ROWS, thinned

TINY = {
    "tokenizer": "char", "vocab_size": None, "n_layers": 1, "n_heads": 2, "d_model": 16,
    "block_size": 8, "batch_size": 2, "steps": 120, "warmup": 3, "dropout": 0.1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.fixture
def lesson():
    with Lesson(TINY, TEXT) as lesson:
        yield lesson


def expected_after(lesson, n):
    """The parameters that `train` comes to in `n` steps by itself, and its losses."""
    model = miniGPT(lesson.model.vocab_size, 8, 16, 2, 1, dropout=0.1, seed=lesson.settings.seed)
    losses = []
    for step in train(model, lesson._dataset, lesson.settings, optimizer=AdamW(model)):
        losses.append(step.loss)
        if step.number == n:
            break
    return model.flat.params, losses


def params(session):
    with session.hold() as model:
        return model.flat.params.copy()


def test_a_lesson_runs_to_its_end_and_publishes_events(lesson):
    with lesson.subscribe() as events:
        lesson.run()
        taken = until(events, "state", status="done")
    kinds = {event.kind for event in taken}
    assert {"state", "history", "step", "sample", "heads", "embeddings"} <= kinds
    assert taken[0].kind == "history"
    json.dumps([event.to_dict() for event in taken])
    weights, losses = expected_after(lesson, 120)
    np.testing.assert_array_equal(params(lesson), weights)
    steps = [event.data for event in taken if event.kind == "step"]
    assert [step["loss"] for step in steps] == losses
    assert [step["number"] for step in steps if "val_loss" in step] == [1, 50, 100, 120]
    assert [row["loss"] for row in lesson.rows()] == losses
    (curve,), _ = curves([lesson.history()])
    np.testing.assert_array_equal(curve.history.metrics.loss, losses)
    assert curve.history.step == 120
    layers = lesson.layers()
    assert layers.number.tolist() == list(range(10, 121, 10))
    newest = [event.data for event in taken if event.kind == "layers"][-1]["layers"]
    assert [g for g, _ in newest.values()] == layers.gradient[-1].tolist()
    norm = lesson.rows()[-1]["gradient_norm"]
    assert np.linalg.norm(layers.gradient[-1]) == pytest.approx(norm)
    heads = [event.data for event in taken if event.kind == "heads"][-1]
    assert np.shape(heads["weights"]) == (1, 2, len(heads["pieces"]), len(heads["pieces"]))
    np.testing.assert_allclose(np.sum(heads["weights"], axis=-1), 1, atol=0.02)
    embeddings = [event.data for event in taken if event.kind == "embeddings"][-1]
    assert np.shape(embeddings["points"]) == (len(embeddings["pieces"]), 2)
    state = lesson.state()
    assert state["step"] == state["furthest"] == state["steps"] == 120
    assert state["parameters"] == weights.size


def test_steps_one_by_one_and_back_are_the_same_to_the_bit(lesson):
    with lesson.subscribe() as events:
        seen = {0: params(lesson)}
        for number in range(1, 31):
            lesson.step()
            until(events, "state", status="paused", step=number)
            seen[number] = params(lesson)
        np.testing.assert_array_equal(seen[30], expected_after(lesson, 30)[0])
        for number in (29, 28, 13, 0, 30, 7):
            lesson.go_to(number)
            until(events, "moved", step=number)
            np.testing.assert_array_equal(params(lesson), seen[number])
        lesson.back(2)
        np.testing.assert_array_equal(params(lesson), seen[5])
        lesson.back(99)
        assert lesson.now == 0
        until(events, "moved", step=0)
        lesson.step(30)
        until(events, "state", status="paused", step=30)
        np.testing.assert_array_equal(params(lesson), seen[30])
    with pytest.raises(ValueError, match="from 0 to 30, got 31"):
        lesson.go_to(31)
    with pytest.raises(ValueError, match="n"):
        lesson.step(0)


def test_a_lesson_pauses_and_continues(lesson):
    with lesson.subscribe() as events:
        lesson.run()
        until(events, "step")
        lesson.pause()
        before = params(lesson)
        now = lesson.now
        assert lesson.status == ("paused" if now < 120 else "done")
        time.sleep(0.05)
        np.testing.assert_array_equal(params(lesson), before)
        lesson.go_to(now // 2)
        assert (lesson.now, lesson.furthest) == (now // 2, now)
        lesson.run()
        until(events, "state", status="done")
    np.testing.assert_array_equal(params(lesson), expected_after(lesson, 120)[0])


def test_a_step_that_was_about_to_begin_is_not_taken_after_a_pause(lesson):
    lesson.ready.wait()
    with lesson._model_lock:
        lesson.run()
        time.sleep(0.05)  # now the thread waits at the door
        lesson.pause()
    time.sleep(0.05)
    assert lesson.now == 0


def test_many_threads_may_use_a_lesson_at_once(lesson):
    def ask(seed):
        rng = np.random.default_rng(seed)
        for _ in range(10):
            getattr(lesson, rng.choice(["run", "pause", "step", "back", "state", "slow_step"]))()

    askers = [threading.Thread(target=ask, args=[seed]) for seed in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    with lesson.subscribe() as events:
        lesson.run()
        if lesson.status != "done":
            until(events, "state", status="done")
    np.testing.assert_array_equal(params(lesson), expected_after(lesson, 120)[0])


def test_the_slow_step_is_the_one_that_comes_next(lesson):
    with lesson.subscribe() as events:
        lesson.step(4)
        until(events, "state", status="paused", step=4)
        before = params(lesson)
        slow = lesson.slow_step()
        np.testing.assert_array_equal(params(lesson), before)
        lesson.step()
        taken = until(events, "step", step=5)
    row = taken[-1].data
    assert (slow.loss, slow.gradient_norm) == (row["loss"], row["gradient_norm"])
    assert slow.learning_rate == row["learning_rate"]
    after = params(lesson)
    with lesson.hold() as model:
        for change in slow.changes:
            assert change.after == model.params()[change.name][change.index]
    assert not np.array_equal(before, after)


def test_divergence_is_reported_and_one_can_go_back(monkeypatch):
    monkeypatch.setitem(RANGES, "learning_rate", (0, 1e31))
    wild = {"optimizer": "sgd", "learning_rate": 1e30, "clip": 1e30, "dropout": 0.0}
    with Lesson(TINY | wild, TEXT) as lesson, lesson.subscribe() as events:
        lesson.run()
        error = until(events, "error")[-1]
        assert "Try a lower learning rate" in error.data["message"]
        assert lesson.status == "failed"
        fresh = miniGPT(lesson.model.vocab_size, 8, 16, 2, 1, seed=0)
        np.testing.assert_array_equal(params(lesson), fresh.flat.params)  # as before the step
        lesson.go_to(0)
        assert lesson.status == "paused"


@pytest.mark.parametrize("text", ["a short text", ""])
def test_a_lesson_that_cannot_begin_says_why(text):
    with Lesson(TINY, text) as lesson:
        told = [event.data["message"] for event in lesson.subscribe() if event.kind == "error"]
        assert lesson.status == "failed"
        assert told in ([], [lesson.problem])  # it may have been over before
        with pytest.raises(RuntimeError, match=r"no model: .*too short|no model: .*empty"):
            lesson.slow_step()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": ["/etc/passwd"]}, "'data' cannot be chosen"),
        ({"init_from": "gpt2"}, "'init_from' cannot be chosen"),
        ({"tokenizer": "/etc"}, "tokenizer must be bpe, char or word"),
        *(({name: high + 1}, f"{name} must be") for name, (_, high) in RANGES.items()),
        *(({name: low - 1}, f"{name} must be") for name, (low, _) in RANGES.items()),
        ({"n_heads": 3, "d_model": 48}, "n_heads must be 1, 2, 4 or 8 in a lesson, got 3"),
        ({"d_model": 256}, "d_model must be 16, 32, 64 or 128 in a lesson, got 256"),
        ({"optimizer": "adam"}, "optimizer"),
    ],
)
def test_a_lesson_has_limits(changes, message):
    with pytest.raises(ValueError, match=message):
        Lesson(changes)
    assert lesson_settings({"steps": 5}) == LESSON.replace({"steps": 5})
    with pytest.raises(ValueError, match="at most 2,000,000 characters"):
        Lesson({}, "x" * 2_000_001)


ENGLISH = "We met the old sailor by the harbour; he told us of ships, and of the wind. "


@pytest.mark.parametrize(
    ("changes", "text", "field"),
    [
        ({}, "a", "text"),
        ({}, "a b c d e f g h i j", "text"),  # one character too few
        ({}, ENGLISH, "block_size"),
        ({"block_size": 128}, ENGLISH * 4, "block_size"),
        ({"tokenizer": "char"}, ENGLISH[:30], "block_size"),
        ({"tokenizer": "word"}, ENGLISH, "block_size"),
        ({"tokenizer": "word", "block_size": 8}, "harboursailor wind, shipharbour", "tokenizer"),
        ({}, "a" * 20_000, "tokenizer"),
        ({}, "\n" * 3000, "tokenizer"),
        ({"tokenizer": "char"}, "".join(map(chr, range(0x4E00, 0x4E00 + 5000))), "tokenizer"),
        ({"tokenizer": "word"}, " ".join(f"word{i}" for i in range(5000)), "tokenizer"),
        ({"tokenizer": "word", "block_size": 8}, "wordword " * 3, "tokenizer"),
    ],
)
def test_the_value_offered_for_a_text_works(changes, text, field):
    settings = {"vocab_size": None} if changes.get("tokenizer", "bpe") != "bpe" else {}
    settings |= {"n_layers": 1, "d_model": 16, **changes}
    first = None
    for _ in range(3):
        with Lesson(settings, text) as lesson:
            lesson.ready.wait(30)
            if lesson.unfit is None:
                break
            first = first or lesson.unfit["field"]
            (error,) = [e.data for e in lesson.subscribe() if e.kind == "error"] or [lesson.state()]
            assert error["unfit"] == lesson.unfit == lesson.state()["unfit"]
            if lesson.unfit["offer"] is None:
                break
            settings[lesson.unfit["field"]] = lesson.unfit["offer"]
            settings["vocab_size"] = 512 if lesson.unfit["offer"] == "bpe" else None
    assert first == field
    if field == "text":
        assert lesson.unfit == {"field": "text", "offer": None}
        return
    assert lesson.unfit is None
    with Lesson(settings, text) as lesson, lesson.subscribe() as events:
        lesson.step()
        until(events, "step")


def test_a_text_too_long_for_a_lesson():
    with pytest.raises(Unfit, match="2,000,001") as error:
        Lesson({}, "x" * 2_000_001)
    assert (error.value.field, error.value.offer) == ("text", None)


def test_a_lesson_ends_with_the_process():
    code = (
        "import atexit\n"
        "from minigpt.web.learn.lesson import Lesson\n"
        "atexit.register(lambda: print(lesson._thread.is_alive()))\n"  # after those to come
        f"lesson = Lesson({TINY!r}, {TEXT!r})\n"
        "events = lesson.subscribe()\n"
        "lesson.run()\n"
        "while events.get().kind != 'step': pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, [b"False"], b"")


# ── events ──


def test_a_slow_listener_loses_only_steps_in_between():
    channel = Channel()
    with channel.subscribe() as slow:
        channel.publish("error", message="early")
        for i in range(5000):
            channel.publish("step", step=i)
            channel.publish("heads", step=i)
        assert len(slow) <= MAX_QUEUED_EVENTS
        channel.publish("moved", step=3)
        channel.close()
        taken = list(slow)
        assert slow.over
    assert taken[0].data == {"message": "early"}
    assert [event.data["step"] for event in taken if event.kind == "heads"] == [4999]
    steps = [event.data["step"] for event in taken if event.kind == "step"]
    assert steps == list(range(5000 - len(steps), 5000))
    assert taken[-1].kind == "moved"
    assert len(channel) == 0


def test_listening_ends_when_the_channel_does_or_the_listener():
    channel = Channel()
    first, second = channel.subscribe(), channel.subscribe()
    waiting = threading.Thread(target=lambda: list(first))
    waiting.start()
    first.close()
    waiting.join(30)
    assert not waiting.is_alive()
    channel.publish("step", step=1)
    assert (len(first), len(second), len(channel)) == (0, 1, 1)
    channel.close()
    assert [event.kind for event in second] == ["step"]
    assert channel.subscribe().get() is None
    assert Channel().subscribe().get(timeout=0.01) is None


def test_snapshots_are_few_and_spread(monkeypatch):
    model = miniGPT(5, 4, 4, 1, 1)
    optimizer = AdamW(model)
    each = model.flat.params.nbytes * 3 + 8
    monkeypatch.setattr(snapshots, "SNAPSHOT_BYTES", 20 * each)
    kept = snapshots.Snapshots(model, optimizer)
    for step in range(1000):
        model.flat.params[...] = step
        optimizer.state["t"][...] = step
        kept.take(step)
        assert len(kept.even) <= 15
    assert sorted(kept.even) == list(range(0, 1000, kept.spacing))
    assert kept.spacing == 128
    assert kept.before(127).step == 0
    for step in range(990, 1000):
        kept.take(step, on_request=True)
    assert len(kept.latest) == 5
    assert kept.before(996).step == 996
    kept.before(300).restore(model, optimizer)
    assert set(model.flat.params) == {256.0}
    assert optimizer.state["t"] == 256


def test_rows_are_thinned_except_important_ones():
    assert thinned(0, lambda i: True) == []
    assert thinned(5, lambda i: False) == list(range(5))
    chosen = thinned(10 * MAX_ROWS, lambda i: i == 7)
    assert 7 in chosen
    assert len(chosen) == MAX_ROWS + 1
    assert chosen[-1] == 10 * MAX_ROWS - 1


def test_points_are_rotated_back_to_the_last_ones():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(30, 2))
    turned = points @ np.array([[0.6, 0.8], [0.8, -0.6]])
    np.testing.assert_allclose(turned @ rotation(turned, points), points)


# ── following ──


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_is_followed_while_another_process_trains_it(tmp_path):
    with (
        training(tmp_path) as (process, run),
        Following(run, every=0.02) as following,
        following.subscribe() as events,
    ):
        taken = until(events, "state", status="done", step=60)
        assert process.wait(60) == 0
        json.dumps([event.to_dict() for event in taken])
        before = contents(run)
        steps = [event.data["number"] for event in taken if event.kind == "step"]
        first = taken[0].data["rows"]
        assert [row["number"] for row in first] + steps == list(range(1, 61))
        assert [row["number"] for row in following.rows()] == list(range(1, 61))
        assert following.history().step == 60
        newest = [event.data for event in taken if event.kind == "layers"][-1]
        np.testing.assert_array_equal(
            [g for g, _ in newest["layers"].values()], following.layers().gradient[-1]
        )
        samples = [event.data for event in taken if event.kind == "sample"]
        written = (run / "samples.txt").read_text(encoding="utf-8")
        assert f"──── step {samples[-1]['step']} ────\n{samples[-1]['text']}\n\n" in written
        newest = miniGPT.from_pretrained(run).flat.params
        np.testing.assert_array_equal(params(following), newest)

        following.go_to(39)
        until(events, "moved", step=20)
        chosen = miniGPT.from_pretrained(path_of(run, 20)).flat.params
        np.testing.assert_array_equal(params(following), chosen)
        slow = following.slow_step()
        row = following.rows()[20]
        assert (slow.loss, slow.gradient_norm) == (row["loss"], row["gradient_norm"])
        with pytest.raises(ValueError, match="no checkpoint up to step -1"):
            following.go_to(-1)
        assert contents(run) == before  # nothing was written


def test_a_run_that_goes_back_is_followed_there(tmp_path):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    settings = Settings().replace(
        RUN_SETTINGS | {"data": [str(tmp_path / "text.txt")], "steps": 30}
    )
    run = Run.new(settings, tmp_path / "run")
    steps = run.steps()
    for _ in range(27):
        next(steps)
    steps.close()
    with Following(run.folder, every=0.01) as following, following.subscribe() as events:
        until(events, "state", step=20)
        again = Run.resume(run.folder, {}).steps()  # from step 20: seven steps are forgotten
        next(again)
        taken = until(events, "history")
        rows = taken[-1].data["rows"]
        assert len(rows) in (20, 21)  # the step after may not be written yet
        assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
        for _ in again:
            pass
        until(events, "state", status="done", step=30)


def test_a_folder_that_is_not_a_run_cannot_be_followed(tmp_path):
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        Following(tmp_path)
