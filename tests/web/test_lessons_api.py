"""The API of the tab Learn: lessons that are begun, watched, told what to do, and left."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import httpx
import pytest
from live_page import ask, serving, wait_for
from tiny import TEXT, tiny_run
from watched import RUN_SETTINGS, training, until

from minigpt import Settings
from minigpt.runs import Run
from minigpt.web.learn import lessons as limits
from minigpt.web.learn.channel import to_json
from minigpt.web.learn.lesson import Lesson
from minigpt.web.learn.lesson_fields import BEGIN, chosen
from minigpt.web.learn.lessons import Lessons
from minigpt.web.look.models import Models
from minigpt.web.problems import Problem

TINY = {
    "tokenizer": "char", "n_layers": 1, "n_heads": 2, "d_model": 16, "block_size": 8,
    "batch_size": 2, "steps": 60, "text": TEXT,
}  # fmt: skip
TINY_SETTINGS, _ = chosen(TINY | {"learning_rate": 3e-3})


@pytest.fixture
def lessons():
    before = threading.active_count()
    made = Lessons()
    yield made
    made.close()
    wait_for(lambda: threading.active_count() <= before)


@pytest.fixture
def client(lessons):
    with serving(Models([]), lessons=lessons) as client:
        yield client


def begin(client, status=200, **changes):
    answer = ask(client, "lessons", status, **(TINY | changes))
    return answer["id"] if status == 200 else answer


@contextmanager
def watching(client, id_):
    """Return the events of a lesson, one after another."""
    with client.stream("GET", f"/api/lessons/{id_}/events") as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")

        def events():
            idle = 0
            for line in answer.iter_lines():
                idle = idle + 1 if line == ": still there" else 0 if line else idle
                assert idle < 4, "nothing came for twenty seconds"
                if line == "event: end":
                    return
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

        yield events()


# ── a lesson ──


def test_a_lesson_is_begun_and_watched_to_its_end(client):
    id_ = begin(client)
    with watching(client, id_) as events:
        assert ask(client, f"lessons/{id_}/run")["id"] == id_
        taken = until(events, "state", status="done")
    assert taken[0]["kind"] == "history"
    assert {"state", "step", "sample", "heads", "embeddings", "layers"} <= {
        event["kind"] for event in taken
    }
    state = client.get(f"/api/lessons/{id_}").json()
    assert (state["status"], state["step"], state["furthest"]) == ("done", 60, 60)
    assert state["settings"]["d_model"] == 16
    assert "data" not in state["settings"]
    losses = {event["number"]: event["loss"] for event in taken if event["kind"] == "step"}
    with Lesson(TINY_SETTINGS, TEXT) as same, same.subscribe() as heard:
        same.run()
        for event in heard:
            if event.kind == "state" and event.data["status"] == "done":
                break
        assert [losses[i] for i in range(1, 61)] == [row["loss"] for row in same.rows()]


def test_a_late_watcher_gets_the_past_and_the_newest_pictures(client):
    id_ = begin(client)
    with watching(client, id_) as events:
        ask(client, f"lessons/{id_}/step", n=55)
        first = until(events, "state", status="paused", step=55)
    with watching(client, id_) as events:
        later = {}
        for event in events:
            later[event["kind"]] = event
            if len(later) == 5:
                break
    assert set(later) == {"history", "state", "layers", "heads", "embeddings"}
    assert [row["number"] for row in later["history"]["rows"]] == list(range(1, 56))
    samples = [(e["step"], e["text"]) for e in first if e["kind"] == "sample"]
    assert [(s["step"], s["text"]) for s in later["history"]["samples"]] == samples
    assert later["state"]["step"] == later["heads"]["step"] == later["embeddings"]["step"] == 55
    assert "·" in later["heads"]["pieces"]  # as a page shows a space


def test_step_back_and_go_to_any_earlier_step(client):
    id_ = begin(client)
    with watching(client, id_) as events:
        ask(client, f"lessons/{id_}/step", n=20)
        seen = until(events, "state", status="paused", step=20)
        assert ask(client, f"lessons/{id_}/back")["step"] == 19
        until(events, "moved", step=19)
        state = ask(client, f"lessons/{id_}/go_to", step=3)
        assert (state["step"], state["furthest"], state["status"]) == (3, 20, "paused")
        until(events, "state", step=3)
        error = ask(client, f"lessons/{id_}/go_to", 404, step=21)
        assert error == "step must be from 0 to 20, got 21"
        ask(client, f"lessons/{id_}/step", n=17)
        again = until(events, "state", status="paused", step=20)
    losses = [
        {e["number"]: e["loss"] for e in taken if e["kind"] == "step"} for taken in (seen, again)
    ]
    assert set(losses[1]) == set(range(4, 21))
    assert losses[1].items() <= losses[0].items()


def test_run_and_pause(client):
    id_ = begin(client, steps=10_000)
    with watching(client, id_) as events:
        ask(client, f"lessons/{id_}/run")
        until(events, "step", number=30)
        state = ask(client, f"lessons/{id_}/pause")
        assert state["status"] == "paused"
        until(events, "state", status="paused")
    now = client.get(f"/api/lessons/{id_}").json()["step"]
    time.sleep(0.3)
    assert client.get(f"/api/lessons/{id_}").json()["step"] in (now, now + 1)  # that being taken


def test_the_next_step_in_slow_motion_is_the_one_that_is_taken(client):
    id_ = begin(client)
    with watching(client, id_) as events:
        ask(client, f"lessons/{id_}/step", n=4)
        until(events, "state", status="paused", step=4)
        slow = client.get(f"/api/lessons/{id_}/slow_step").json()
        ask(client, f"lessons/{id_}/step")
        taken = until(events, "step", number=5)[-1]
    assert slow["number"] == 5
    assert (slow["loss"], slow["gradient_norm"]) == (taken["loss"], taken["gradient_norm"])
    written = "".join(slow["pieces"][str(i)].replace("·", " ") for i in slow["x"][0])
    assert written in TEXT.replace("\n", "⏎")
    assert len(slow["losses"][0]) == len(slow["y"][0]) == 8


def test_any_client_can_end_a_lesson(client):
    id_ = begin(client)
    with watching(client, id_) as events:
        next(events)
        assert client.delete(f"/api/lessons/{id_}").json() == {"ended": id_}
        assert list(events)[-1] == {"kind": "end"}
    for answer in (client.get(f"/api/lessons/{id_}"), client.delete(f"/api/lessons/{id_}")):
        assert answer.status_code == 404
        assert f"there is no lesson {id_}" in answer.json()["error"]


@pytest.mark.parametrize("comes_late", [False, True])
def test_a_lesson_that_cannot_begin_says_why_and_ends(client, lessons, comes_late):
    id_ = begin(client, text="too short")
    if comes_late:
        wait_for(lambda: lessons[id_].channel.is_closed)
    with watching(client, id_) as events:
        taken = list(events)
    assert taken[-1] == {"kind": "end"}
    problems = [e.get("message") or e.get("problem") for e in taken if e["kind"] != "end"]
    assert any("too short" in (problem or "") for problem in problems)
    assert "too short" in ask(client, f"lessons/{id_}/go_to", 409)
    answer = client.get(f"/api/lessons/{id_}/slow_step")
    assert (answer.status_code, "too short" in answer.json()["error"]) == (409, True)


# ── bad input ──


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"d_model": 48}, 422, "d_model must be 16 or 32 or 64 or 128, got 48"),
        ({"d_model": True}, 422, "d_model must be"),
        ({"n_layers": 5}, 422, "n_layers must be a whole number from 1 to 4, got 5"),
        ({"steps": 10_001}, 422, "steps must be"),
        ({"tokenizer": "/etc/passwd"}, 422, "tokenizer must be bpe or char or word"),
        ({"learning_rate": "fast"}, 422, "learning_rate must be a number"),
        ({"data": ["/etc/passwd"]}, 422, "there is no field 'data'"),
        ({"init_from": "gpt2"}, 422, "there is no field 'init_from'"),
        ({"text": 5}, 422, "text must be a text"),
        ({"text": "\ud800"}, 422, "half a character"),
        ({"text": "x" * 2_000_001}, 413, "text has 2,000,001 characters"),
        ({"text": "x" * 2**23}, 413, "the request is too long"),
    ],
)
def test_a_wrong_setting_is_refused(client, lessons, changes, status, message):
    answer = client.post("/api/lessons", content=json.dumps(changes), headers=JSON)
    assert answer.status_code == status
    assert message in answer.json()["error"]
    assert lessons.list() == []


JSON = {"content-type": "application/json"}


def test_requests_that_are_not_json_or_name_no_lesson(client):
    assert client.post("/api/lessons", content="{").status_code == 415
    assert client.post("/api/lessons", content="{", headers=JSON).status_code == 400
    id_ = begin(client)
    for name, asked in (("step", {"n": 0}), ("go_to", {"step": -1}), ("run", {"n": 1})):
        assert ask(client, f"lessons/{id_}/{name}", 422, **asked)
    for unknown in ("0000", "run-0", "run-00", "..", "run-"):
        for path in ("", "/events", "/slow_step"):
            assert client.get(f"/api/lessons/{unknown}{path}").status_code == 404
    assert client.put(f"/api/lessons/{id_}").status_code == 405


def test_every_value_of_a_setting_works():
    for name, kind in BEGIN.items():
        told = kind.schema()
        ends = told.get("enum") or [told.get("minimum"), told.get("maximum")]
        for value in [] if name == "text" else ends:
            settings, _ = chosen({n: k.default for n, k in BEGIN.items()} | {name: value})
            with Lesson(settings | {"n_layers": 1}, "a few words, and no more") as lesson:
                assert lesson.settings.steps


def test_lessons_need_the_token(client):
    with httpx.Client(base_url=client.base_url, trust_env=False) as stranger:
        assert stranger.get("/api/lessons").status_code == 401
        assert stranger.post("/api/lessons", json=TINY).status_code == 401
    foreign = {"origin": "http://elsewhere.example"}
    assert client.post("/api/lessons", json=TINY, headers=foreign).status_code == 403
    assert client.get("/api/lessons").json()["lessons"] == []


# ── limits ──


def test_a_new_lesson_ends_an_unwatched_one_if_there_are_too_many(client, monkeypatch):
    ids = [begin(client) for _ in range(limits.MAX_SESSIONS)]
    assert "4 lessons are under way" in begin(client, 429)
    monkeypatch.setattr(limits, "SECONDS_TO_PAUSE", 0)
    with watching(client, ids[0]) as events:
        next(events)
        more = begin(client)
        listed = {each["id"]: each for each in client.get("/api/lessons").json()["lessons"]}
        assert set(listed) == {ids[0], *ids[2:], more}  # the one that was left longest ago ended
        assert [listed[id_]["n_watchers"] for id_ in (ids[0], more)] == [1, 0]


def test_the_number_of_watchers_is_limited(client, monkeypatch):
    id_ = begin(client)
    monkeypatch.setattr(limits, "MAX_WATCHERS", 1)
    with watching(client, id_) as events:
        next(events)
        with client.stream("GET", f"/api/lessons/{id_}/events") as answer:
            assert answer.status_code == 429
            assert "close one" in json.loads(answer.read())["error"]


def test_a_lesson_that_nobody_watches_pauses_and_then_ends(client, lessons, monkeypatch):
    monkeypatch.setattr(limits, "SECONDS_TO_PAUSE", 0.1)
    id_ = begin(client, steps=10_000)
    with watching(client, id_) as events:
        ask(client, f"lessons/{id_}/run")
        until(events, "step", number=5)
        time.sleep(0.2)
        lessons.sweep()
        assert lessons[id_].status == "running"
    session = lessons[id_]
    wait_for(lambda: len(session.channel) == 0)  # who went away is noticed
    lessons.sweep()
    time.sleep(0.2)
    lessons.sweep()
    assert session.status == "paused"
    monkeypatch.setattr(limits, "SECONDS_TO_END", 0)
    lessons.sweep()
    assert session.status == "stopped"
    with pytest.raises(Problem, match="there is no lesson"):
        lessons[id_]


def test_the_server_sweeps(client, lessons, monkeypatch):
    monkeypatch.setattr(limits, "SECONDS_TO_END", 0)
    begin(client)
    wait_for(lambda: lessons.list() == [])


def test_the_server_ends_while_a_lesson_runs(lessons):
    with serving(Models([]), lessons=lessons) as client:
        id_ = begin(client, steps=10_000)
        session = lessons[id_]
        with watching(client, id_) as events:
            ask(client, f"lessons/{id_}/run")
            until(events, "step")
            client.server.should_exit = True
            for _ in events:
                pass
    assert session.status == "stopped"


def test_ctrl_c_ends_the_command_with_a_lesson_running(tmp_path):
    tiny_run(tmp_path, steps=1)
    command = [sys.executable, "-m", "minigpt", "explore", str(tmp_path / "run"), "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as server:
        address, token = server.stdout.readline().strip().split("/?token=")
        known = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=address, headers=known, trust_env=False, timeout=20) as client:
            assert client.get("/api/lessons").json()["runs"] == ["run"]
            id_ = begin(client, steps=10_000)
            with watching(client, id_) as events:
                ask(client, f"lessons/{id_}/run")
                until(events, "step")
                server.send_signal(signal.SIGINT)
                for _ in events:
                    pass
        _, said = server.communicate(timeout=30)
    assert server.returncode == 0
    assert "Traceback" not in said


def test_nan_becomes_null_in_json():
    value = {"a": [1.5, float("nan")], "b": (float("inf"), {"c": None})}
    assert json.loads(to_json(value)) == {"a": [1.5, None], "b": [None, {"c": None}]}


# ── runs ──


def test_a_run_is_followed_live(tmp_path):
    with training(tmp_path) as (process, run):
        lessons = Lessons([run, tmp_path])  # the second is no run
        with serving(Models([]), lessons=lessons) as client:
            assert client.get("/api/lessons").json()["runs"] == ["run"]
            with watching(client, "run-0") as events:
                taken = until(events, "state", status="done", step=60)
                assert process.wait(60) == 0
            kinds = {event["kind"] for event in taken}
            assert {"step", "sample", "heads", "embeddings", "layers"} <= kinds
            assert str(tmp_path) not in json.dumps(taken)
            for name in ("run", "pause", "step", "back"):
                assert "can only be watched" in ask(client, f"lessons/run-0/{name}", 409)
            state = ask(client, "lessons/run-0/go_to", step=39)
            assert (state["step"], state["checkpoints"]) == (20, [0, 1, 20, 40, 60])
            slow = client.get("/api/lessons/run-0/slow_step").json()
            rows = taken[0]["rows"] + [e for e in taken if e["kind"] == "step"]
            (row,) = [row for row in rows if row["number"] == 21]
            assert (slow["number"], slow["loss"]) == (21, row["loss"])
            (tmp_path / "text.txt").unlink()


@pytest.mark.parametrize("name", ["run-0", "run-1"])
def test_errors_about_missing_files_of_a_run_contain_no_path(tmp_path, name):
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    changes = {"steps": 2, "data": [str(tmp_path / "text.txt")]}
    for folder in ("whole", "gone"):
        for _ in Run.new(Settings().replace(RUN_SETTINGS | changes), tmp_path / folder).steps():
            pass
    lessons = Lessons([tmp_path / "whole", tmp_path / "gone"])
    (tmp_path / "text.txt").unlink()
    for path in sorted((tmp_path / "gone").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with serving(Models([]), lessons=lessons) as client:
        answer = client.get(f"/api/lessons/{name}/slow_step")
    error = answer.json()["error"]
    assert str(tmp_path) not in error
    assert (answer.status_code, error) == {
        "run-0": (
            409,
            "the text of this run is not there any more",
        ),
        "run-1": (404, "gone cannot be read: it is damaged or gone"),
    }[name]


def finished_run(folder):
    settings = Settings().replace(RUN_SETTINGS | {"steps": 4, "data": ["plays"], "keep": 2})
    for _ in Run.new(settings, folder).steps():
        pass
    return folder


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("kind", ["pipe", "link"])
@pytest.mark.parametrize(
    "name",
    [
        "samples.txt", "metrics.jsonl", "layers.jsonl", "training.json", "config.json",
        "checkpoint-4", "checkpoint-4/training.json", "checkpoint-4/config.json",
        "checkpoint-4/model.safetensors", "checkpoint-4/tokenizer.json",
        "checkpoint-4/training_state.safetensors",
    ],
)  # fmt: skip
def test_no_file_in_a_followed_folder_blocks_the_server(tmp_path, capfd, name, kind, whole_run):
    """Whatever the files of a run become: answers come, they name no path, and tell no secret."""
    folder, secret = tmp_path / "run", tmp_path / "secret"
    shutil.copytree(whole_run, folder)
    secret.write_text("──── step 5 ────\nthe word is mellon\n\n", "utf-8")
    lessons, path = Lessons([folder]), folder / name
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    os.mkfifo(path) if kind == "pipe" else path.symlink_to(secret)
    told = ""
    with serving(Models([]), lessons=lessons) as client:
        for lookup in ("/api/lessons", "/api/lessons/run-0", "/api/lessons/run-0/slow_step"):
            check_told(client.get(lookup), tmp_path)
        for step in (1, 4):
            check_told(client.post("/api/lessons/run-0/go_to", json={"step": step}), tmp_path)
        if client.get("/api/lessons/run-0").status_code == 200:
            session = lessons["run-0"]
            session.stop()
            told = "".join(event.json for event in session.subscribe())
    assert "mellon" not in told
    assert str(tmp_path) not in told
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="a name cannot hold such characters")
def test_no_name_sample_or_problem_contains_control_characters(tmp_path, whole_run):
    folder = tmp_path / "run\x1b]0;owned\x07 \u202e<b>"
    shutil.copytree(whole_run, folder)
    (folder / "samples.txt").write_text("──── step 4 ────\n\x1b[31mred\x9b <script>\n\n", "utf-8")
    lessons, models = Lessons([folder]), Models([str(folder)])
    with serving(models, lessons=lessons) as client:
        session = lessons["run-0"]
        session.stop()
        told = [event.json for event in session.subscribe()]
        answers = ["lessons", "lessons/run-0", "models", "models/0", "lessons/run-0%1b[31m"]
        told += [client.get(f"/api/{path}").text for path in answers]
    found = [text for each in told for text in strings(json.loads(each))]
    assert any("run␛]0;owned␇ \\u202e<b>" in text for text in found)
    assert any("␛[31mred\\x9b <script>" in text for text in found)
    assert not [text for text in found if re.search("[\0-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)]


def strings(value):
    """Return all strings in what JSON holds."""
    if isinstance(value, dict):
        return [text for each in value.items() for text in strings(list(each))]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return [value] if isinstance(value, str) else []


def check_told(answer, folder):
    assert answer.status_code in (200, 404, 409), answer.text
    assert str(folder) not in answer.text
    assert "mellon" not in answer.text


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    return finished_run(tmp_path_factory.mktemp("runs") / "whole")


def test_an_unwatched_run_is_not_followed(tmp_path, monkeypatch):
    tiny_run(tmp_path, steps=1)
    lessons = Lessons([tmp_path / "run"])
    session = lessons["run-0"]
    assert lessons["run-0"] is session
    monkeypatch.setattr(limits, "SECONDS_TO_PAUSE", 0)
    lessons.sweep()
    assert session.status == "stopped"
    assert lessons["run-0"] is not session
    lessons.close()


def test_the_openapi_document_describes_lessons(client):
    paths = client.get("/api/openapi.json").json()["paths"]
    begun = paths["/api/lessons"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert begun == client.get("/api/lessons").json()["fields"]
    assert set(paths["/api/lessons/{id}"]) == {"get", "delete"}
    assert {"run", "pause", "step", "back", "go_to", "events", "slow_step"} == {
        path.rpartition("/")[2] for path in paths if path.startswith("/api/lessons/{id}/")
    }
