"""`minigpt generate gpt2` by the real huggingface_hub, from a Hub that this machine plays."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from minigpt import BPETokenizer

REPOSITORY = "openai-community/gpt2"
COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"
NEEDED = {"config.json", "model.safetensors", "tokenizer.json", "vocab.json", "merges.txt"}
NOT_NEEDED = {"pytorch_model.bin", "tf_model.h5", "onnx/decoder_model.onnx", "README.md"}
PROMPT = "my dear friend"
N_TOKENS = 20
NOBODY = "http://127.0.0.1:9"
"""The port of a service that no machine has had for decades."""


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory) -> Path:
    """Write a tiny GPT-2 of transformers, with all the kinds of files that its repository has."""
    folder = tmp_path_factory.mktemp("gpt2")
    tokenizer = BPETokenizer().train("my dear friend, a goose enters the tavern. " * 5, 270)
    tokenizer.save(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=270, n_positions=64, n_embd=24, n_head=3, n_layer=2, initializer_range=0.3,
        bos_token_id=269, eos_token_id=269,
    )  # fmt: skip
    GPT2LMHeadModel(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(folder).backend_tokenizer.model.save(str(folder))
    for name in NOT_NEEDED:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"of no use here " * 100)
    return folder


@pytest.fixture(scope="session")
def expected(gpt2) -> str:
    """Let transformers write greedily."""
    tokenizer = AutoTokenizer.from_pretrained(gpt2)
    model = AutoModelForCausalLM.from_pretrained(gpt2)
    prompt = tokenizer(PROMPT, return_tensors="pt")
    ids = model.generate(**prompt, max_new_tokens=N_TOKENS, do_sample=False, pad_token_id=269)
    return tokenizer.decode(ids[0]).removesuffix("<|endoftext|>") + "\n"


class Hub(ThreadingHTTPServer):
    """Answers as the Hub does for one repository, and notes what was asked for.

    Instead, it answers everything with the error `status`, or `refused`, a file, with 500.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        files = (path for path in folder.rglob("*") if path.is_file())
        self.files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
        self.asked: list[tuple[str, str]] = []
        self.status: int | None = None
        self.refused: str | None = None

    def fetched(self) -> set[str]:
        start = f"/{REPOSITORY}/resolve/{COMMIT}/"
        return {path.removeprefix(start) for verb, path in self.asked if verb == "GET"} & {
            *self.files
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.server.asked.append((self.command, path))
        api, files = f"/api/models/{REPOSITORY}", f"/{REPOSITORY}/resolve/{COMMIT}/"
        content = self.server.files
        if self.server.status is not None:
            self.answer(b'{"error": "not for you"}', self.server.status)
        elif path == f"{api}/revision/main":
            siblings = [{"rfilename": name} for name in content]
            self.answer({"id": REPOSITORY, "sha": COMMIT, "siblings": siblings})
        elif path == f"{api}/tree/{COMMIT}":
            self.answer([entry(name, body) for name, body in content.items()])
        elif path.startswith(files) and path.removeprefix(files) in content:
            name = path.removeprefix(files)
            refused = self.command == "GET" and name == self.server.refused
            self.answer(content[name], 500 if refused else 200)
        else:
            self.answer(b"", 404)

    do_HEAD = do_GET

    def answer(self, body: object, status: int = 200) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if status == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


def entry(name: str, body: bytes) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}


@pytest.fixture
def hub(gpt2) -> Iterator[Hub]:
    with Hub(gpt2) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def generate(tmp_path):
    """Return a function that lets `minigpt generate gpt2` look at a Hub of that address."""

    def run(address: str, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
        others = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(("HF_", "HUGGING"))
            and not name.lower().endswith("_proxy")
        }
        how = ["--prompt", PROMPT, "--temperature", "0", "--max-new-tokens", str(N_TOKENS)]
        return subprocess.run(
            [sys.executable, "-m", "minigpt", *(command or ("generate", "gpt2", *how))],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            cwd=tmp_path,
            env=others
            | {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_DISABLE_XET": "1"}
            | {"NO_PROXY": "127.0.0.1", "PYTHONPATH": os.pathsep.join(sys.path)}
            | settings,
        )

    return run


def test_hub_downloads_once_and_only_what_is_needed(hub, generate, expected):
    first = generate(hub.url)
    assert (first.stdout, first.returncode) == (expected, 0)
    assert "100%" in first.stderr  # a progress bar
    assert hub.fetched() - {"generation_config.json"} == NEEDED
    assert not any("pytorch_model" in path or "onnx" in path for _, path in hub.asked)

    for settings in ({}, {"HF_HUB_OFFLINE": "1"}):  # even if the Hub could be asked
        hub.asked.clear()
        again = generate(hub.url, **settings)
        assert (again.stdout, again.stderr, again.returncode) == (expected, "", 0)
        assert not any(REPOSITORY in path for _, path in hub.asked)
    hub.shutdown()
    hub.server_close()
    assert generate(hub.url).stdout == expected


def test_hub_tokenizer_needs_no_weights(hub, generate, gpt2):
    ids = AutoTokenizer.from_pretrained(gpt2)(PROMPT)["input_ids"]
    for name in ("gpt2", "openai-community/gpt2"):
        done = generate(hub.url, "tokenize", PROMPT, "--tokenizer", name)
        assert "ids " + " ".join(map(str, ids)) in done.stdout.splitlines()
    assert hub.fetched() == NEEDED - {"model.safetensors"}


@pytest.mark.parametrize("has", [{"config.json"}, NEEDED - {"tokenizer.json", "merges.txt"}])
def test_hub_fetches_what_the_cache_lacks(hub, generate, expected, gpt2, tmp_path, has):
    """Of a download that broke off, or by a program that needed fewer files."""
    folder = cached(tmp_path, REPOSITORY)
    for name in has:
        (folder / name).write_bytes((gpt2 / name).read_bytes())
    done = generate(hub.url)
    assert (done.stdout, done.returncode) == (expected, 0)
    assert hub.fetched() - {"generation_config.json"} == NEEDED - has


def test_hub_finds_the_older_name_of_the_repository_in_a_cache(generate, expected, gpt2, tmp_path):
    folder = cached(tmp_path, "gpt2")
    for name in NEEDED:
        (folder / name).write_bytes((gpt2 / name).read_bytes())
    assert generate(NOBODY).stdout == expected


def cached(tmp_path: Path, repository: str) -> Path:
    """Return the folder in which huggingface_hub keeps the files of a repository."""
    storage = tmp_path / "hf" / "hub" / f"models--{repository.replace('/', '--')}"
    (storage / "refs").mkdir(parents=True)
    (storage / "refs" / "main").write_text(COMMIT)
    folder = storage / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    return folder


def test_hub_fetches_a_missing_file_the_next_time(hub, generate, expected):
    hub.refused = "model.safetensors"
    check_sentence(generate(hub.url), "500")
    check_sentence(generate(hub.url, HF_HUB_OFFLINE="1"), "reach")
    hub.refused = None
    hub.asked.clear()
    assert generate(hub.url).stdout == expected
    assert hub.fetched() == {"model.safetensors"}


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_hub_that_refuses_is_reported(hub, generate, status):
    hub.status = status
    check_sentence(generate(hub.url), str(status))


def test_missing_hub_is_reported(generate, gpt2, tmp_path):
    check_sentence(generate(NOBODY), "")
    check_sentence(generate(NOBODY, HF_HUB_OFFLINE="1"), "HF_HUB_OFFLINE")
    folder = cached(tmp_path, REPOSITORY)
    (folder / "config.json").write_bytes((gpt2 / "config.json").read_bytes())
    check_sentence(generate(NOBODY), "an earlier download was interrupted")
    check_sentence(generate(NOBODY, HF_HUB_OFFLINE="1"), "an earlier download was interrupted")


def check_sentence(done: subprocess.CompletedProcess[str], reason: str) -> None:
    """See that it failed in good order: what is wrong and what to do, in one line."""
    assert (done.stdout, done.returncode) == ("", 1)
    assert "Traceback" not in done.stderr
    sentence = done.stderr.splitlines()[-1]  # a progress bar may stand before it
    assert sentence.startswith("minigpt: gpt2 is not on this machine and cannot be downloaded (")
    assert reason in sentence.partition("). Check the network")[0]
    assert f"https://huggingface.co/{REPOSITORY} into a folder" in sentence
