"""The answers about a model: they are those of a trace, of sampling and of generate."""

import base64
import html
import json
import re
import threading
import time

import numpy as np
import pytest
from live_page import TEXT, ask, serving, wait_for

from minigpt import CharTokenizer, miniGPT, trace
from minigpt.core.generation import generate
from minigpt.core.sampling import Sampling
from minigpt.folders.pretrained import save_pretrained
from minigpt.inside import logit_lens, without_heads
from minigpt.web.look import answers as looking
from minigpt.web.look.models import Models


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
