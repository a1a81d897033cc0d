"""The live page's server: who may ask, what may be asked, and that the answers are the trace's."""

import base64
import gc
import html
import json
import os
import re
import socket
import stat
import sys
import threading
import time
import tracemalloc
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname
from weakref import ref

import httpx
import numpy as np
import pytest
import uvicorn
from live_page import TEXT, TOKEN, ask, serving, wait_for

from minigpt import CharTokenizer, load_tokenizer, miniGPT, trace
from minigpt.commands import cli, explore
from minigpt.core.generation import generate
from minigpt.core.sampling import Sampling
from minigpt.folders.pretrained import save_pretrained
from minigpt.inside import logit_lens, without_heads
from minigpt.web import memory, work
from minigpt.web.look import answers as looking
from minigpt.web.look.models import Models
from minigpt.web.problems import Problem
from minigpt.web.request_fields import MAX_REQUEST_BYTES, MAX_REQUEST_TEXT
from minigpt.web.safety import Guard

JSON = {"content-type": "application/json"}


# ── who may ask ──


def test_the_token_opens_the_page_once_and_then_a_cookie_does(client):
    with httpx.Client(base_url=client.base_url, trust_env=False) as stranger:
        assert stranger.get("/").status_code == 403
        assert stranger.get("/api/models").status_code == 401
        assert stranger.get("/static/main.js").status_code == 401
        assert stranger.get("/?token=wrong").status_code == 403
        assert stranger.get("/api/models?token=the-token").status_code == 401
        opened = stranger.get(f"/?token={TOKEN}")
        assert (opened.status_code, opened.headers["location"]) == (303, "/")
        cookie = opened.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        page = stranger.get("/")
        assert page.status_code == 200
        assert TOKEN not in page.text
        assert stranger.get("/api/models").json() == {"names": ["small", "small, step 20"]}


@pytest.mark.parametrize("scheme", ["Bearer the-tokem", "Bearer", "Basic the-token", "Bearer é"])
def test_a_wrong_bearer_token_is_refused(client, scheme):
    headers = {"authorization": scheme.encode("latin-1")}
    assert client.get("/api/models", headers=headers).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[::1"])
def test_another_host_is_refused(client, host):
    for name in (host, f"{host}:{client.base_url.port}"):
        assert client.get("/api/models", headers={"host": name}).status_code in (400, 403)


def test_hosts_that_mean_this_server():
    loopback = Guard(None, TOKEN, "127.0.0.1", 8100)
    known = ("127.0.0.1:8100", "localhost:8100", "LOCALHOST:8100", "[::1]:8100")
    assert all(map(loopback.is_ours, known))
    other = ("127.0.0.1:8101", "127.0.0.1", "10.0.0.1:8100", "evil.example:8100", "a:b", ":8100")
    assert not any(map(loopback.is_ours, other))
    everywhere = Guard(None, TOKEN, "0.0.0.0", 8100)
    assert everywhere.is_ours("10.0.0.1:8100")
    assert everywhere.is_ours("localhost:8100")
    assert not everywhere.is_ours("evil.example:8100")
    assert Guard(None, TOKEN, "127.0.0.1", 80).is_ours("localhost")


def test_another_origin_is_refused(client):
    own = f"http://127.0.0.1:{client.base_url.port}"
    assert client.get("/api/models", headers={"origin": own}).status_code == 200
    for origin in ("http://evil.example", "null", own.replace("http", "https")):
        assert client.get("/api/models", headers={"origin": origin}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/api/models", "/static/main.js", "/nothing", "/?token=x"])
@pytest.mark.parametrize("known", [True, False])
def test_every_answer_has_the_headers_that_keep_others_out(client, path, known):
    headers = client.get(path, headers={} if known else {"authorization": ""}).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; connect-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


def test_a_request_cannot_choose_a_path(client):
    for path in ("/static/../server.py", "/static/%2e%2e/server.py", "/static//etc/passwd"):
        assert client.get(path).status_code == 404
    assert "must be a whole number" in ask(client, "look", 422, model="../x")


# ── what may be asked ──


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


# ── the answers ──


def test_the_first_text_is_of_the_kind_that_the_model_learned(models, folder, tmp_path):
    """A play for a model of the plays only; for any other what it writes itself, for each step."""
    written = models.describe(0)["example"]
    assert re.fullmatch("(my|dear|goose|take|this|lantern|and|fox|[., ])+", written)
    assert models.describe(1)["example"] == written
    texts = {
        "chinese": "山水月花風雪人心，" * 9,
        "csv": "id,name,price\n7,\x1b[31m,9.5\u202e\n" * 9,
        "python": "def f(x):\n\treturn x + 1\n" * 9,
    }
    for name, text in texts.items():
        tokenizer = CharTokenizer().train(text)
        save_pretrained(miniGPT(tokenizer.vocab_size, 16, 8, 2, 1), tmp_path / name, tokenizer)
        (tmp_path / name / "training.json").write_text(
            json.dumps({"step": 1, "settings": {"data": ["/etc/passwd"]}})
        )
        example = Models([str(tmp_path / name)]).describe(0)["example"]
        assert len(example) > 5
        assert set(example) <= set(text) - set("\x1b\u202e")
    plays = json.dumps({"step": 1, "settings": {"data": ["plays"]}})
    (tmp_path / "python" / "training.json").write_text(plays)
    assert "tavern" in Models([str(tmp_path / "python")]).describe(0)["example"]


def test_a_model_that_cannot_write_begins_with_an_empty_text(tmp_path):
    tokenizer = CharTokenizer().train("abc")
    model = miniGPT(tokenizer.vocab_size, 16, 8, 2, 1)
    model.params()["final_norm.shift"][...] = np.nan
    save_pretrained(model, tmp_path / "damaged", tokenizer)
    assert Models([str(tmp_path / "damaged")]).describe(0)["example"] == ""


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


def test_the_pictures_are_those_of_the_trace(client, looker):
    seen = trace(looker.model, TEXT[:30], looker.tokenizer)
    got = ask(client, "look", text=TEXT[:30])
    assert [token["id"] for token in got["tokens"]] == seen.ids.tolist()
    assert [token["piece"] for token in got["tokens"]] == seen.pieces
    bytes_ = np.frombuffer(base64.b64decode(got["heads"]["bytes"]), np.uint8)
    np.testing.assert_allclose(
        bytes_.reshape(got["heads"]["shape"]) / 255, seen.weights, atol=0.6 / 255
    )
    lens = logit_lens(looker.model, seen, looking.N_LENS)
    answers = got["lens"]["answers"]
    assert [[one["id"] for one in row] for row in answers] == lens.tokens.tolist()
    shares = [[one["probability"] for one in row] for row in answers]
    np.testing.assert_allclose(shares, lens.probabilities, atol=1e-5)
    at = {"layer": 1, "head": 2, "position": 1, "temperature": 0.5}
    got = ask(client, "look", text=TEXT[:30], **at)
    assert got["head"] == ask(client, "head", text=TEXT[:30], layer=1, head=2)
    assert got["next"] == ask(client, "next", text=TEXT[:30], position=1, temperature=0.5)
    assert ask(client, "look", text="my", position=9)["next"]["position"] == 0
    for layer, head in ((0, 0), (1, 2)):
        weights = ask(client, "head", text=TEXT[:30], layer=layer, head=head)["weights"]
        np.testing.assert_allclose(weights, seen.blocks[layer].weights[head], atol=1e-5)


@pytest.mark.parametrize("position", [None, 2])
def test_the_next_tokens_are_those_of_sampling(client, looker, position):
    seen = trace(looker.model, TEXT[:30], looker.tokenizer)
    at = len(seen.ids) - 1 if position is None else position
    how = {"temperature": 0.7, "top_k": 5, "top_p": 0.8}
    asked = how if position is None else {**how, "position": position}
    got = ask(client, "next", text=TEXT[:30], **asked)
    drawn = Sampling(**how).probabilities(seen.logits[at][None])[0]
    by_model = seen.probabilities(at)
    assert got["position"] == at
    assert got["n_kept"] == np.count_nonzero(drawn)
    ids = [one["id"] for one in got["candidates"]]
    assert ids == np.argsort(-by_model, kind="stable")[: looking.N_CANDIDATES].tolist()
    np.testing.assert_allclose([one["drawn"] for one in got["candidates"]], drawn[ids])
    np.testing.assert_allclose([one["probability"] for one in got["candidates"]], by_model[ids])


def test_answers_with_a_head_off_are_those_of_the_model_without_it(client, looker):
    whole = trace(looker.model, TEXT[:30], looker.tokenizer).probabilities()
    less = trace(without_heads(looker.model, [(0, 1)]), TEXT[:30], looker.tokenizer)
    got = ask(client, "next", text=TEXT[:30], off=[[0, 1]])
    for one in got["candidates"] + got["changes"]:
        assert one["before"] == pytest.approx(whole[one["id"]])
        assert one["probability"] == pytest.approx(less.probabilities()[one["id"]])
    changes = [abs(one["probability"] - one["before"]) for one in got["changes"]]
    assert max(changes) == pytest.approx(np.abs(less.probabilities() - whole).max())
    assert ask(client, "next", text=TEXT[:30])["changes"] == []


def test_a_long_text_is_cut_and_an_empty_one_gets_a_token(client, looker):
    got = ask(client, "look", text=TEXT * 3)
    n = len(looker.tokenizer.encode(TEXT * 3))
    assert (len(got["tokens"]), got["n_dropped"]) == (12, n - 12)
    nothing = ask(client, "look")
    assert (len(nothing["tokens"]), nothing["is_start"]) == (1, True)


def test_more_tokens_follow_a_text(client, looker):
    ids = looker.tokenizer.encode("my dear")
    more = looker.tokenizer.encode(" goose")
    got = ask(client, "look", text="my dear", more=more)
    assert [token["id"] for token in got["tokens"]] == ids + more
    assert got["text"] == "my dear goose"


def events(answer):
    parts = answer.text.strip().split("\n\n")
    assert parts[-1] == "event: end\ndata: {}"
    return [json.loads(part.removeprefix("data: ")) for part in parts[:-1]]


def test_the_written_text_is_that_of_generate(client, looker):
    ids = looker.tokenizer.encode("my dear")
    asked = {"text": "my dear", "n": 20, "seed": 3, "temperature": 0.8}
    answer = client.post("/api/write", json=asked)
    assert answer.headers["content-type"].startswith("text/event-stream")
    expected = generate(looker.model, [ids], 20, temperature=0.8, seed=3)[0, len(ids) :]
    assert [one["id"] for one in events(answer)] == expected.tolist()


def slow(monkeypatch):
    """Let a model write slowly and for ever; tells when it ended."""
    ended = threading.Event()

    def write(self, *args):
        try:
            while True:
                time.sleep(0.01)
                yield {"id": 0, "piece": "", "shown": ""}
        finally:
            ended.set()

    monkeypatch.setattr(looking.Looker, "write", write)
    return ended


def test_the_work_ends_when_the_client_leaves(client, monkeypatch):
    ended = slow(monkeypatch)
    with client.stream("POST", "/api/write", json={}) as answer:
        next(answer.iter_lines())
        assert client.work.n_writing == 1
    wait_for(lambda: client.work.n_writing == 0 and ended.is_set())


def test_the_server_ends_while_a_model_writes(models, monkeypatch):
    ended = slow(monkeypatch)
    with serving(models) as client, client.stream("POST", "/api/write", json={}) as answer:
        lines = answer.iter_lines()
        next(lines)
        client.server.should_exit = True
        assert list(lines)[-3:] == ["event: end", "data: {}", ""]
    wait_for(ended.is_set)


def test_a_trace_is_kept_for_its_other_pictures_within_the_budget(looker, monkeypatch):
    taken = []
    monkeypatch.setattr(looking, "trace", lambda *args: taken.append(1) or trace(*args))
    asked = looking.Question("my dear fox, my dear fox", (), ())
    looker.look(asked)
    looker.head(asked, 1, 1)
    looker.next(asked, None, Sampling())
    assert len(taken) == 1
    monkeypatch.setattr(memory, "BUDGET", 0)
    looker.look(looking.Question("lantern my fox", (), ()))
    assert len(looker.memory) == 0


def test_memory_of_models_without_heads_stays_within_the_budget(folder, monkeypatch):
    """Asked again and again with heads switched off, nothing else than traces is kept of a model.

    A trace that is looked at goes last.
    """
    monkeypatch.setattr(memory, "BUDGET", 2**20)
    looker, first = Models([str(folder)])[0], looking.Question("my", (), ((0, 0),))
    made = []
    without = looking.without_heads
    monkeypatch.setattr(
        looking, "without_heads", lambda *args: made.append(ref(twin := without(*args))) or twin
    )
    taken = []
    monkeypatch.setattr(looking, "trace", lambda *args: taken.append(1) or trace(*args))
    for i in range(300):
        looker.look(looking.Question("my dear", (i % 8, i % 7, i % 5), ((0, i % 3), (1, i % 2))))
        looker.look(first)
        assert looker.memory.n_bytes <= 2**20
    gc.collect()
    assert made
    assert not any(twin() for twin in made)
    assert len(looker.memory) < 200
    n = len(taken)
    looker.look(first)
    assert len(taken) == n


def test_memory_counts_the_base_arrays_of_views(looker):
    shares = []
    for text in ("my", *(5 * f"{word} my dear fox " for word in ("goose", "lantern", "tea"))):
        gc.collect()
        before = looker.memory.n_bytes
        tracemalloc.start()
        at_first = tracemalloc.get_traced_memory()[0]
        looker.next(looking.Question(text, (), ((1, 1),)), None, Sampling())
        gc.collect()  # with it, Python gives up what it keeps to make the next objects of
        taken = tracemalloc.get_traced_memory()[0] - at_first
        tracemalloc.stop()
        shares.append((looker.memory.n_bytes - before) / taken)
    assert 0.5 < max(shares) < 2  # at first, other things are made that stay
    whole = np.zeros((50, 100), np.float32)
    assert 0 < memory.bytes_of([whole[:1], whole[1:]]) - whole.nbytes < 1000


def test_the_server_gives_freed_memory_back(models, monkeypatch):
    given_back = threading.Event()
    monkeypatch.setattr(memory, "TRIM_SECONDS", 0)
    monkeypatch.setattr(memory, "trim", given_back.set)
    with serving(models):
        assert given_back.wait(10)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing need be given back")
def test_freed_memory_goes_back_to_the_system():
    """The C library keeps what threads have freed below something that is still used."""

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    memory.trim()
    before, pieces = resident(), [bytearray(b"x" * 50_000) for _ in range(2000)]  # 100 MB
    still_used = pieces[-1]
    del pieces
    memory.trim()
    assert resident() - before < 2**25
    assert still_used


def test_lessons_and_texts_being_written_count_too(monkeypatch):
    kept = memory.Memory()
    for i in range(10):
        kept.keep(i, str(i), 100)
    monkeypatch.setattr(memory, "BUDGET", 1000)
    kept.hold(450)
    assert (len(kept), kept.get(4), kept.get(5)) == (5, None, "5")
    with pytest.raises(Problem, match="memory is full") as refused:
        kept.hold(600)
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
    kept.release(450)
    kept.hold(5000)  # nobody else holds anything: it must do
    kept.release(5000)
    kept.others = lambda: 900
    kept.keep("new", "new", 80)
    assert (len(kept), kept.get("new")) == (1, "new")


def test_a_model_stays_in_its_file_and_is_warmed_up(folder, monkeypatch):
    taken = []
    monkeypatch.setattr(looking, "trace", lambda *args: taken.append(1) or trace(*args))
    models = Models([str(folder)])
    models.warm_up()
    assert taken == [1]
    model = models[0].model
    counted = models.describe(0)["n_parameters"]
    assert "flat" not in vars(model)  # laid flat, all of it would be copied
    assert counted == sum(param.size for param in model.params().values())


def test_warming_up_leaves_errors_to_the_first_request(folder, tmp_path):
    tokenizer = load_tokenizer(folder)
    model = miniGPT.from_pretrained(folder)
    model.params()["head.weight"][...] = np.nan
    save_pretrained(model, tmp_path / "damaged", tokenizer)
    models = Models([str(tmp_path / "damaged")])
    models.warm_up()
    with pytest.raises(Problem, match="damaged"):
        models[0].look(looking.Question("my", (), ()))


def test_every_picture_has_its_source_with_the_file(client):
    got = client.get("/api/source").json()
    assert {"tokens", "attention", "lens", "next", "curve", "update"} <= set(got)
    for part in (part for parts in got.values() for part in parts):
        assert part["file"].startswith("minigpt/")
        assert part["text"].startswith("def ")
        page = client.get(f"/source/{part['file']}").text
        line = re.search(rf'<code id="L{part["line"]}">(.*)</code>', page)[1]
        assert line.strip() == html.escape(part["text"].splitlines()[0])


@pytest.mark.parametrize(
    "name",
    ["minigpt/commands/cli.py", "minigpt/%2e%2e/minigpt/core/functional.py", "%2Fetc%2Fpasswd", ""],
)
def test_other_files_are_not_shown(client, name):
    assert client.get("/source/minigpt/core/functional.py").status_code == 200
    assert client.get(f"/source/{name}").status_code == 404


def test_a_checkpoint_can_be_chosen_by_its_number(client, folder):
    assert client.get("/api/models/1").json()["name"] == "small, step 20"
    assert str(folder.parent) not in client.get("/api/models").text
    assert ask(client, "look", model=1, text="my")["tokens"]


# ── the command ──


def test_a_folder_that_is_not_a_model(tmp_path, capsys):
    assert cli.main(["explore", str(tmp_path), "--no-browser"]) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_without_the_extra_the_error_says_what_installs_it(monkeypatch, capsys, folder):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.main(["explore", str(folder)]) == 1
    assert "pip install 'minigpt-numpy[explore]'" in capsys.readouterr().err


@pytest.fixture
def ending_at_once(monkeypatch):
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)


@pytest.mark.parametrize("told", [True, False])
def test_a_port_in_use_gives_way_to_the_next(folder, capsys, ending_at_once, monkeypatch, told):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(explore, "FIRST_PORT", port)
        given = ["--port", str(port)] if told else []
        assert cli.main(["explore", str(folder), "--no-browser", *given]) == 0
    printed = capsys.readouterr()
    assert f"port {port} is in use: using " in printed.err
    assert printed.out.startswith("http://127.0.0.1:")
    assert f":{port}/" not in printed.out
    assert "warning" not in printed.err


def test_the_parts_of_an_answer_are_sent_at_once(folder, monkeypatch):
    protocols = []
    monkeypatch.setattr(
        uvicorn.Server, "run", lambda self, sockets: protocols.extend(s.proto for s in sockets)
    )
    assert cli.main(["explore", str(folder), "--no-browser"]) == 0
    assert protocols == [socket.IPPROTO_TCP]  # only then asyncio turns Nagle's algorithm off


def test_listening_on_another_host_is_warned_of(folder, capsys, ending_at_once):
    assert cli.main(["explore", str(folder), "--no-browser", "--host", "0.0.0.0"]) == 0
    printed = capsys.readouterr()
    assert "warning: everyone who can reach 0.0.0.0" in printed.err
    address = urlsplit(printed.out)  # 0.0.0.0 is each reader's own machine
    assert address.hostname != "0.0.0.0"
    assert Guard(None, TOKEN, "0.0.0.0", address.port).is_ours(address.netloc)


def test_a_host_that_is_not_of_this_machine(folder, capsys):
    assert cli.main(["explore", str(folder), "--no-browser", "--host", "no.such.invalid"]) == 1
    assert "--host no.such.invalid is not an address" in capsys.readouterr().err


@pytest.mark.parametrize("works", [True, False])
def test_the_browser_is_opened_if_there_is_one_and_the_model_warmed(
    folder, capsys, ending_at_once, monkeypatch, works
):
    opened = []

    def open_(address):
        path = Path(url2pathname(urlsplit(address).path))
        modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)]
        opened.append((path, path.read_text(), modes))
        return works

    monkeypatch.setattr("webbrowser.open", open_)
    warmed = []
    monkeypatch.setattr(Models, "warm_up", lambda self: warmed.append(len(self)))
    assert cli.main(["explore", str(folder)]) == 0
    wait_for(lambda: opened and warmed)
    ((path, page, modes),) = opened
    address, token = capsys.readouterr().out.strip().split("?token=")
    assert f'action="{address}"' in page
    assert f'value="{token}"' in page
    if os.name == "posix":
        assert modes == [0o600, 0o700]
    assert not path.parent.exists()
