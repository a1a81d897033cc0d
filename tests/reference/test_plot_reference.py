"""Event files and pictures, opened by the programs they are for: TensorBoard and a browser."""

import json
import os
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from minigpt.runs.events import TAGS
from minigpt.runs.history import History
from minigpt.show.figures.figure_file import save_figure
from minigpt.show.figures.loss_curves import loss_curves

TINY = (
    *("--n-layers", "1", "--n-heads", "2", "--d-model", "16", "--block-size", "16"),
    *("--batch-size", "4", "--steps", "6", "--eval-every", "2", "--sample-every", "3"),
    *("--eval-tokens", "64", "--sample-tokens", "8", "--tokenizer", "char", "--threads", "1"),
)


def minigpt(*arguments, cwd):
    subprocess.run([sys.executable, "-m", "minigpt", *arguments], cwd=cwd, check=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """Train with events, then go on with the run: the second file takes over from the first."""
    folder = tmp_path_factory.mktemp("work")
    text = "my dear goose, take this lantern.\nmy dear fox, where is my lantern?\n"
    (folder / "text.txt").write_text(text * 60, encoding="utf-8")
    options = ("--data", "text.txt", "--out", "runs/a", "--tensorboard", *TINY)
    minigpt("train", *options, cwd=folder)
    minigpt("train", "--resume", "runs/a", "--steps", "9", "--tensorboard", cwd=folder)
    return folder / "runs/a"


def test_tensorboard_reads_the_metrics(run):
    assert len(list(run.glob("events.out.tfevents.*"))) == 2
    events = EventAccumulator(str(run), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    assert set(events.Tags()["scalars"]) == set(TAGS.values())
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["number"] for row in rows] == list(range(1, 10))
    for name, tag in TAGS.items():
        expected = [(row["number"], np.float32(row[name])) for row in rows if name in row]
        assert [(event.step, event.value) for event in events.Scalars(tag)] == expected
    samples = (run / "samples.txt").read_text(encoding="utf-8")
    (tag,) = (tag for tag in events.Tags()["tensors"] if "sample" in tag)
    texts = events.Tensors(tag)
    assert [event.step for event in texts] == [3, 6, 9]
    for event in texts:
        text = event.tensor_proto.string_val[0].decode("utf-8")
        assert "\n".join(line[4:] for line in text.split("\n")) in samples


def test_tensorboard_server_shows_the_metrics(run):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "tensorboard.main", "--logdir", str(run.parent)),
            *("--port", str(port), "--host", "127.0.0.1", "--load_fast", "false"),
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{port}/data/plugin/scalars"
        tags = _ask(f"{address}/tags", lambda answer: len(answer.get("a", ())) == len(TAGS))
        assert set(tags["a"]) == set(TAGS.values())
        tag = urllib.parse.quote(TAGS["val_bits"])
        shown = _ask(f"{address}/scalars?run=a&tag={tag}", bool)
    finally:
        server.terminate()
        server.wait(timeout=30)
    metrics = History.read(run).metrics
    measured = np.isfinite(metrics.val_bits)
    assert [step for _, step, _ in shown] == metrics.number[measured].tolist()
    values = np.float32([value for _, _, value in shown])
    np.testing.assert_array_equal(values, np.float32(metrics.val_bits[measured]))


def _ask(url, complete):
    """Ask until the answer is complete: the server reads the files while it runs."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                result = json.load(answer)
            if complete(result):
                return result
        except (urllib.error.URLError, ConnectionError):
            pass
        time.sleep(0.2)
    raise TimeoutError(url)


def test_plot_png_is_drawn_by_a_browser(run):
    path = run.parent / "curves.png"
    save_figure(loss_curves([History.read(run)]), path)
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (2000, 1400)

    pixels = np.asarray(Image.open(path).convert("RGB")) / 255
    blue = np.array([0x00, 0x72, 0xB2]) / 255
    assert (np.abs(pixels - blue).max(axis=-1) < 0.02).sum() > 1000  # the first run's lines
    assert (pixels == 1).all(axis=-1).mean() > 0.8  # on white


@pytest.mark.parametrize("browser", [None, "#!/bin/sh\nexit 1\n"], ids=["none", "broken"])
def test_plot_png_without_a_browser_says_what_to_do(run, tmp_path, browser):
    if browser is not None:
        (tmp_path / "chromium").write_text(browser)
        (tmp_path / "chromium").chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "minigpt", "plot", str(run), "-o", "curves.png"],
        env=os.environ | {"BROWSER_PATH": str(tmp_path / "chromium")},
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "install Chrome or Chromium" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "curves.png").exists()
