"""The live page and clients that do harm: by mistake, by haste, or on purpose."""

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import anyio
import httpx
import pytest
from live_page import KNOWN, TOKEN, serving, wait_for

from minigpt.web import connections, requests, work
from minigpt.web.look import answers as looking
from minigpt.web.requests import Events
from minigpt.web.turns import Turns

JSON = "Content-Type: application/json"
LOOK = "POST /api/look HTTP/1.1"
CHUNKED = "Transfer-Encoding: chunked"


def connect(client):
    connection = socket.create_connection(("127.0.0.1", client.base_url.port))
    connection.settimeout(10)
    return connection


def head(client, *lines, known=True):
    host = f"Host: 127.0.0.1:{client.base_url.port}"
    lines = [lines[0], host, *([f"Authorization: Bearer {TOKEN}"] if known else []), *lines[1:]]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def ask_for_models(client, connection):
    connection.sendall(head(client, "GET /api/models HTTP/1.1"))
    got = b""
    while not got.endswith(b"]}"):
        part = connection.recv(2**16)
        assert part
        got += part
    assert got.startswith(b"HTTP/1.1 200")


def read_all(connection):
    got = b""
    try:
        while part := connection.recv(2**16):
            got += part
    except ConnectionResetError:
        pass
    return got


# ── nothing that a client sends ends in a traceback ──


@pytest.mark.parametrize(
    ("lines", "rest", "status"),
    [
        (["GET /api/models/" + 5000 * "9" + " HTTP/1.1"], b"", 404),
        (["GET /api/models/" + 20 * "9" + " HTTP/1.1"], b"", 404),
        (["GET /api/models/%D9%A3 HTTP/1.1"], b"", 404),
        (["GET /api/models/-1 HTTP/1.1"], b"", 404),
        (["GET /api/lessons/run-" + 5000 * "9" + " HTTP/1.1"], b"", 404),
        (["GET /static/%00 HTTP/1.1"], b"", 404),
        (["GET /static/" + 5000 * "a" + " HTTP/1.1"], b"", 404),
        (["GET /%ff%1b[31m HTTP/1.1"], b"", 404),
        (["FOO /api/models HTTP/1.1"], b"", 405),
        (["OPTIONS * HTTP/1.1"], b"", 404),
        (["GET /api/models HTTP/1.1", "Connection: upgrade", "Upgrade: websocket"], b"", 200),
        (["GET /static/main.js HTTP/1.1", "Range: bytes=" + 5000 * "9" + "-"], b"", 400),
        ([LOOK, JSON, "Content-Length: 5000"], b'{"layer": ' + 4989 * b"9" + b"}", 400),
        ([LOOK, JSON, "Content-Length: 4000"], b'{"layer": ' + 3989 * b"9" + b"}", 422),
        ([LOOK, JSON, "Content-Length: 23"], b'{"temperature": 1e-320}', 200),
        ([LOOK, JSON, "Content-Length: 22"], b'{"temperature": 1e999}', 422),
        ([LOOK, JSON, "Content-Length: 1921"], b'{"text": ' + 956 * b"[" + 956 * b"]", 400),
        ([LOOK, JSON, "Content-Length: 1800"], b'{"more":' + 895 * b"[" + 895 * b"]" + b"} ", 422),
        ([LOOK, JSON, CHUNKED], b"ZZ\r\n", 400),
        ([LOOK, JSON, CHUNKED], b"2\r\n{}\r\n0\r\n\r\n", 200),
        ([LOOK, JSON, "Content-Length: -1"], b"{}", 400),
        ([LOOK, "Transfer-Encoding: gzip"], b"{}", 400),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_odd_requests_get_an_answer_and_leave_no_traceback(client, capfd, lines, rest, status):
    with connect(client) as connection:
        connection.sendall(head(client, *lines, "Connection: close") + rest)
        got = read_all(connection)
    assert re.match(rb"HTTP/1.1 (\d+)", got)[1] == str(status).encode()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("pause", [0, 0.2])
def test_an_invalid_chunk_after_the_answer_began(client, capfd, known, pause):
    with connect(client) as connection:
        connection.sendall(head(client, LOOK, JSON, CHUNKED, known=known))
        time.sleep(pause)
        connection.sendall(b"ZZ\r\n")
        assert re.match(rb"HTTP/1.1 40[01] ", read_all(connection))
    assert client.get("/api/models").status_code == 200
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("path", ["look", "write", "lessons"])
@pytest.mark.parametrize("how", ["Content-Length: 1000", CHUNKED])
def test_an_incomplete_body(client, capfd, path, how):
    for _ in range(8):
        with connect(client) as connection:
            connection.sendall(head(client, f"POST /api/{path} HTTP/1.1", JSON, how) + b"{")
    assert client.get("/api/models").status_code == 200
    assert capfd.readouterr().err == ""


def test_a_body_that_does_not_arrive(client, monkeypatch):
    monkeypatch.setattr(requests, "SECONDS_TO_SEND", 0.1)
    with connect(client) as connection:
        connection.sendall(head(client, LOOK, JSON, "Content-Length: 5", "Connection: close"))
        assert b"HTTP/1.1 408" in read_all(connection)


def test_log_lines_contain_no_control_characters(capfd):
    connections.server_of(None)
    for name in ("uvicorn.error", "asyncio"):
        logging.getLogger(name).error("a client wrote \x1b]0;owned\x07 and \r\x9b31m\x7f")
    said = capfd.readouterr().err
    assert said.count("a client wrote") == 2
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", said)


# ── connections ──


def n_connections(client):
    return len(client.server.server_state.connections)


def test_idle_connections_do_not_block_others_or_fill_the_log(client, capfd, monkeypatch):
    monkeypatch.setattr(connections, "max_connections", lambda: 8)
    idle = [connect(client) for _ in range(60)]
    for _ in range(3):
        with httpx.Client(base_url=client.base_url, headers=client.headers) as another:
            assert another.get("/api/models").status_code == 200
        idle.append(connect(client))
    wait_for(lambda: n_connections(client) <= 8)
    assert read_all(idle[0]) == b""  # the oldest is closed
    for connection in idle:
        connection.close()
    assert capfd.readouterr().err == ""


def test_a_connection_with_the_token_outlives_those_without(models, monkeypatch):
    monkeypatch.setattr(connections, "max_connections", lambda: 4)
    with serving(models) as client, connect(client) as known:
        ask_for_models(client, known)
        idle = [connect(client) for _ in range(20)]
        wait_for(lambda: n_connections(client) <= 4)
        for connection in idle:
            connection.close()
        ask_for_models(client, known)


@pytest.mark.parametrize("known", [True, False])
def test_an_idle_connection_is_closed(client, monkeypatch, known):
    monkeypatch.setattr(connections, "SECONDS_TO_ASK", 0.3)
    with connect(client) as silent, connect(client) as slow, connect(client) as done:
        done.sendall(head(client, "GET /api/models HTTP/1.1", known=known))
        for character in b"GET / HTTP/1.1\r\nX-Slow: " + 100 * b"x":
            time.sleep(0.02)
            try:
                slow.sendall(bytes([character]))  # which does not put the end off
            except OSError:
                break
        else:
            raise AssertionError("it was not closed")
        assert read_all(silent) == b""
        assert read_all(done).count(b"HTTP/1.1") == 1


def test_a_client_that_does_not_read_is_disconnected(models, monkeypatch):
    monkeypatch.setattr(connections, "SECONDS_TO_READ", 0.2)
    with serving(models) as client, connect(client) as connection:
        wait_for(lambda: n_connections(client) == 1)
        for _ in range(10):  # 4.5 MB each
            connection.sendall(head(client, "GET /plotly.js HTTP/1.1"))
        wait_for(lambda: n_connections(client) == 0)


# ── turns ──


def order_of(asked, n_places=1):
    """Return the clients in the order in which they get a place."""
    served = []

    async def ask(turns, client):
        async with turns.of(client):
            served.append(client)
            await anyio.sleep(0)

    async def all_of_them():
        turns = Turns(n_places)
        async with anyio.create_task_group() as group:
            for client in asked:
                group.start_soon(ask, turns, client)
        assert turns._n_free == n_places
        assert not turns._waiting

    anyio.run(all_of_them)
    return served


def test_clients_take_turns_however_many_requests_each_has():
    served = order_of([*100 * ["greedy"], "modest", "third", "modest"])
    assert sorted(served) == sorted([*100 * ["greedy"], *2 * ["modest"], "third"])
    assert {"modest", "third"} < set(served[:4])
    assert served[:7].count("modest") == 2


def test_the_newest_request_of_a_client_does_not_wait_for_all_others():
    served = []

    async def ask(turns, number):
        async with turns.of("one"):
            served.append(number)
            await anyio.sleep(0)

    async def all_of_them():
        turns = Turns(1)
        async with anyio.create_task_group() as group:
            for number in range(6):
                group.start_soon(ask, turns, number)

    anyio.run(all_of_them)
    assert served == [0, 1, 5, 2, 4, 3]


def test_a_cancelled_request_takes_no_turn():
    async def all_of_them():
        turns = Turns(1)
        async with turns.of("first"):
            for _ in range(3):
                with anyio.move_on_after(0.01):
                    async with turns.of("second"):
                        raise AssertionError("there is no place")
        async with turns.of("second"):
            assert turns._n_free == 0
        assert (turns._n_free, len(turns._waiting)) == (1, 0)

    anyio.run(all_of_them)


def test_a_hundred_requests_of_one_client_do_not_delay_another(client, monkeypatch):
    """While 100 requests of one browser are under way, another is answered among the first."""
    gate, texts = threading.Event(), []
    look = looking.Looker.look

    def look_when_open(looker, asked, *args):
        gate.wait(20)
        texts.append(asked.text)
        return look(looker, asked, *args)

    monkeypatch.setattr(looking.Looker, "look", look_when_open)

    async def all_of_them():
        limits = httpx.Limits(max_connections=200)
        address = str(client.base_url)
        async with (
            httpx.AsyncClient(base_url=address, limits=limits, timeout=30) as greedy,
            httpx.AsyncClient(base_url=address, timeout=30) as modest,
        ):
            for each in (greedy, modest):
                assert (await each.get(f"/?token={TOKEN}")).status_code == 303
            statuses = []

            async def ask(who):
                asked = {"text": "goose" if who is modest else "fox"}
                statuses.append((await who.post("/api/look", json=asked)).status_code)

            async with anyio.create_task_group() as group:
                for _ in range(100):
                    group.start_soon(ask, greedy)
                while client.work.n_waiting < 100:
                    await anyio.sleep(0.005)
                group.start_soon(ask, modest)
                while client.work.n_waiting < 101:
                    await anyio.sleep(0.005)
                gate.set()
            assert statuses == 101 * [200]
            assert texts.index("goose") < 20

    anyio.run(all_of_them)


def test_one_client_cannot_take_all_places(client, monkeypatch):
    monkeypatch.setattr(work, "MAX_WAITING_PER_CLIENT", 0)
    answer = client.post("/api/look", json={})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    monkeypatch.undo()
    monkeypatch.setattr(work, "MAX_WRITING_PER_CLIENT", 0)
    assert client.post("/api/write", json={}).status_code == 429
    monkeypatch.undo()
    assert client.post("/api/write", json={"n": 1}).status_code == 200
    assert client.work.n_waiting == client.work.n_writing == 0


def test_a_client_that_sends_texts_slowly_blocks_only_itself(client):
    begin = ["POST /api/lessons HTTP/1.1", JSON, "Content-Length: 100000"]
    cookie = {"cookie": f"minigpt-{client.base_url.port}={TOKEN}.another"}
    with connect(client) as one, connect(client) as two:
        for connection in (one, two):
            connection.sendall(head(client, *begin) + b"{")

        def status(**headers):
            with httpx.Client(base_url=client.base_url, trust_env=False) as asking:
                headers = {"content-type": "application/json", **headers}
                return asking.post("/api/lessons", content="no JSON", headers=headers).status_code

        wait_for(lambda: status(**KNOWN) == 503)
        assert status(**cookie) == 400  # it is read
    wait_for(lambda: status(**KNOWN) == 400)


def test_counts_of_disconnected_clients_are_removed():
    counts = Counter()
    for i in range(100):
        counts[f"client {i}"] += 2
        work.count_down(counts, f"client {i}")
        work.count_down(counts, f"client {i}")
    assert not counts


def test_events_without_a_reader_release_their_place():
    over, sent = [], []

    async def events():
        yield "data: 1\n\n"

    async def gone():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    for method in ("POST", "HEAD"):
        scope = {"type": "http", "method": method, "asgi": {"spec_version": "2.3"}}
        anyio.run(Events(events(), lambda: over.append(1)), scope, gone, send)
    assert len(over) == 2


def test_a_head_request_gets_only_the_headers_of_events(client):
    answer = client.post("/api/lessons", json={"text": 200 * "a word "})
    path = f"/api/lessons/{answer.json()['id']}"
    assert client.head(f"{path}/events").headers["content-type"].startswith("text/event-stream")
    assert client.get(path).status_code == 200
    client.delete(path)


# ── the browser ──


@pytest.mark.skipif(os.name != "posix", reason="sends signals, and starts a shell script")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_no_command_line_shows_the_token(folder, tmp_path, name):
    """A stand-in for the browser writes down its arguments; the file it is given does the rest."""
    number = getattr(signal, name)
    said = tmp_path / "said"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {said}.tmp && mv {said}.tmp {said}\n')
    browser.chmod(0o755)
    command = [sys.executable, "-m", "minigpt", "explore", str(folder)]
    environment = {**os.environ, "BROWSER": str(browser), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, encoding="utf-8"
    ) as server:
        address, token = server.stdout.readline().strip().split("?token=")
        wait_for(said.exists)
        (argument,) = said.read_text().splitlines()
        assert token not in argument
        file = Path(url2pathname(urlsplit(argument).path))
        form = file.read_text()
        assert re.search('action="(.*?)"', form)[1] == address
        sent = dict([re.search('name="(.*?)" value="(.*?)"', form).groups()])
        if name == "SIGINT":  # the browser opens it
            with httpx.Client(base_url=address, trust_env=False) as client:
                origin = {"origin": "null"}
                assert client.post("/", data={"token": "wrong"}, headers=origin).status_code == 403
                answer = client.post("/", data=sent, headers=origin)
                assert 'content="0; url=/"' in answer.text
                assert token not in answer.text
                assert client.get("/").status_code == 200
            wait_for(lambda: not file.parent.exists())
        server.send_signal(number)
        if name == "SIGHUP":  # it often comes twice
            server.send_signal(number)
        _, log = server.communicate(timeout=30)
    assert server.returncode == (0 if name == "SIGINT" else 128 + number)
    assert log.splitlines()[1:] == []
    assert not file.parent.exists()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
def test_under_nohup_the_server_outlives_its_terminal(folder):
    command = ["nohup", sys.executable, "-m", "minigpt", "explore", str(folder), "--no-browser"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    ) as server:
        address, _ = server.stdout.readline().strip().split("?token=")
        assert httpx.get(address, trust_env=False).status_code == 403
        server.send_signal(signal.SIGHUP)
        assert httpx.get(address, trust_env=False).status_code == 403
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    assert server.returncode == 128 + signal.SIGTERM


def test_an_incomplete_form_is_refused(models, monkeypatch):
    monkeypatch.setattr("minigpt.web.safety.SECONDS_FOR_A_FORM", 0.1)
    with serving(models) as client:
        for length, body in ((20, b"token="), (10**6, 2000 * b"x")):
            with connect(client) as connection:
                start = head(client, "POST / HTTP/1.1", f"Content-Length: {length}", known=False)
                connection.sendall(start + body)
                assert connection.recv(2**16).startswith(b"HTTP/1.1 403")
