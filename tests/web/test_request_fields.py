"""Requests with wrong fields, too many requests, and requests that take too long."""

import json
import threading

import pytest

from minigpt.web import work
from minigpt.web.look import answers as looking
from minigpt.web.request_fields import MAX_REQUEST_BYTES, MAX_REQUEST_TEXT

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("path", "asked", "status", "said"),
    [
        ("look", {"text": 7}, 422, "text must be a text"),
        ("look", {"txt": ""}, 422, "there is no field 'txt'; there are model, text"),
        (
            "look",
            {"text": "x" * (MAX_REQUEST_TEXT + 1)},
            413,
            "at most 10,000 are read",
        ),
        ("look", {"text": "x" * MAX_REQUEST_BYTES}, 413, "the request is too long"),
        ("look", {"text": "\ud800"}, 422, "half a character"),
        ("look", {"more": [999]}, 404, "no token with the id 999: choose one from 0 to"),
        ("look", {"more": [-1]}, 422, r"more[0] must be a whole number from 0"),
        ("look", {"more": [0] * 2000}, 422, "a list of 0 to 1024"),
        ("look", {"off": [[0]]}, 422, "off[0] must be a list of 2"),
        ("look", {"off": [[0, 3]]}, 404, "no such head to switch off"),
        ("look", {"model": 2}, 422, "model must be a whole number from 0 to 1"),
        ("look", {"model": True}, 422, "model must be a whole number"),
        ("head", {"layer": 2}, 404, "there is no layer 2: choose one from 0 to 1"),
        ("head", {"head": 3}, 404, "there is no head 3: choose one from 0 to 2"),
        ("next", {"text": "my", "position": 1}, 404, "there is no token 1"),
        ("next", {"temperature": -1}, 422, "temperature must be a number from 0 to 10"),
        ("next", {"temperature": float("nan")}, 422, "not finite"),
        ("next", {"top_k": 0}, 422, "top_k must be a whole number from 1"),
        ("next", {"top_p": "1"}, 422, "top_p must be a number"),
        ("write", {"n": 10**9}, 422, "n must be a whole number from 1 to 256"),
    ],
)
def test_a_wrong_field_gets_a_message(client, path, asked, status, said):
    answer = client.post(
        f"/api/{path}", content=json.dumps(asked), headers={"content-type": "application/json"}
    )
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_requests_that_are_not_json_and_missing_addresses(client):
    sent = {"content-type": "application/json"}
    assert client.post("/api/look", content=b"{", headers=sent).status_code == 400
    assert client.post("/api/look", content=b"[" * 9999, headers=sent).status_code == 400
    assert client.post("/api/look", content=b"\xff", headers=sent).status_code == 400
    assert client.post("/api/look", content=b"[]", headers=sent).status_code == 422
    assert client.post("/api/look", data={"text": "x"}).status_code == 415
    assert client.get("/api/look").status_code == 405
    assert client.get("/api/nothing").status_code == 404
    assert client.get("/api/models/7").status_code == 404
    assert client.get("/api/nothing").json() == {"error": "not found"}


def test_too_many_requests_at_once_are_refused(client, monkeypatch):
    monkeypatch.setattr(work, "MAX_WAITING", 0)
    answer = client.post("/api/look", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    monkeypatch.undo()
    monkeypatch.setattr(work, "MAX_WRITING", 0)
    assert client.post("/api/write", json={}).status_code == 429
    monkeypatch.undo()
    assert client.post("/api/look", json={}).status_code == 200
    assert client.work.n_waiting == client.work.n_writing == 0


def test_an_answer_that_takes_too_long_is_abandoned(client, monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(work, "MAX_SECONDS", 0.05)
    monkeypatch.setattr(looking.Looker, "look", lambda *_: ended.wait(10))
    answer = client.post("/api/look", json={})
    ended.set()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    ("asked", "field", "offer"),
    [
        ({"text": "x" * 10_001}, "text", None),
        ({"text": 7}, "text", None),
        ({"temperature": -1}, "temperature", 0),
        ({"temperature": None}, "temperature", 1.0),
        ({"top_p": 1.5}, "top_p", 1),
        ({"top_k": 0}, "top_k", 1),
        ({"model": 9}, "model", 1),
        ({"layer": 1.5}, "layer", 2),
        ({"layer": float("nan")}, "layer", 0),
    ],
)
def test_an_error_names_the_field_and_offers_what_works(client, asked, field, offer):
    answer = client.post("/api/look", content=json.dumps(asked), headers=JSON)
    assert answer.status_code in (413, 422)
    assert answer.json()["unfit"] == {"field": field, "offer": offer}
