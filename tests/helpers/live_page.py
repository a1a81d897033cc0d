"""A server of the live page in a thread, and a client that knows its token."""

import socket
import threading
import time
from contextlib import contextmanager

import httpx
import numpy as np

from minigpt import WordTokenizer, miniGPT
from minigpt.folders.pretrained import save_pretrained
from minigpt.web.connections import server_of
from minigpt.web.server import make_app
from minigpt.web.work import Work

TOKEN = "the-token"
KNOWN = {"authorization": f"Bearer {TOKEN}"}
TEXT = "my dear goose, take this lantern and my dear fox."


def make_folder(folder):
    """Write a small model, and another as its checkpoint."""
    tokenizer = WordTokenizer().train(TEXT)
    model = miniGPT(tokenizer.vocab_size, 12, 12, n_heads=3, n_layers=2, seed=0)
    rng = np.random.default_rng(1)
    for param in model.params().values():
        param += rng.normal(0, 0.3, param.shape)
    save_pretrained(model, folder, tokenizer)
    save_pretrained(model, folder / "checkpoint-20", tokenizer)
    return folder


@contextmanager
def serving(models, **changes):
    """Serve on a free port, in a thread."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    at_work = Work()
    host, lessons = changes.get("host", "127.0.0.1"), changes.get("lessons")
    app = make_app(models, TOKEN, host, port, at_work, lessons)
    server = server_of(app)
    at_work.stopping = lambda: server.should_exit
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=address, headers=KNOWN, timeout=20, trust_env=False) as client:
            client.work, client.server = at_work, server
            yield client
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
    assert not thread.is_alive()


def ask(client, path, status=200, **asked):
    """Send a POST request with these fields; return the answer, or its error."""
    answer = client.post(f"/api/{path}", json=asked)
    assert answer.status_code == status, answer.text
    return answer.json() if status == 200 else answer.json()["error"]


def wait_for(condition):
    """Wait until a condition is true, at most about ten seconds."""
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about")
