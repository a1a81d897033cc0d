"""A class of twenty types for two minutes: no error, no growth, 95 of 100 answers within a second.

    python tests/extended/test_explorer_load.py MODEL [SECONDS] [CLIENTS]

measures any model; as a test it is run on a new one of the demo's size.
"""

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import httpx

from minigpt import BPETokenizer, Settings, miniGPT
from minigpt.folders.pretrained import save_pretrained
from minigpt.text.corpus import plays

HOST = ("--host", "0.0.0.0")


def measure(folder, seconds, clients):
    """Return the times of all keystrokes, the answers that were errors, and the memory's growth."""
    server = subprocess.Popen(
        [sys.executable, *("-m", "minigpt", "explore", str(folder), "--no-browser", *HOST)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    try:
        address, token = server.stdout.readline().strip().split("/?token=")
        return asyncio.run(_all(address, token, server.pid, seconds, clients))
    finally:
        server.terminate()
        server.wait(20)
        server.stdout.close()


async def _all(address, token, pid, seconds, clients):
    times, wrong = [], []
    async with httpx.AsyncClient(
        base_url=address,
        headers={"authorization": f"Bearer {token}"},
        limits=httpx.Limits(max_connections=None),
        timeout=60,
        trust_env=False,
    ) as client:
        end = time.monotonic() + seconds
        text = plays(30_000).text
        typing = [_type(client, text, random.Random(i), end, times, wrong) for i in range(clients)]
        warm, *_ = await asyncio.gather(_memory(pid, seconds / 2), *typing)
    return times, wrong, _resident(pid) - warm


async def _memory(pid, seconds):
    await asyncio.sleep(seconds)
    return _resident(pid)


async def _type(client, text, chance, end, times, wrong):
    """Type about five letters a second."""
    while time.monotonic() < end:
        start = chance.randrange(len(text) - 100)
        for n in range(1, 60):
            asked = {"text": text[start : start + n]}
            before = time.monotonic()
            answer = await client.post("/api/look", json=asked)
            times.append(time.monotonic() - before)
            if answer.status_code != 200:
                wrong.append(answer.text)
            if time.monotonic() > end:
                return
            await asyncio.sleep(max(0, before + chance.uniform(0.15, 0.25) - time.monotonic()))


def _resident(pid):
    """Return the memory of a process in MB (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_explorer_serves_a_class_for_two_minutes(tmp_path):
    tokenizer = BPETokenizer().train(plays(100_000).text, 1024)
    size = Settings()
    model = miniGPT(
        tokenizer.vocab_size, 128, size.d_model, n_heads=size.n_heads, n_layers=size.n_layers
    )
    save_pretrained(model, tmp_path / "model", tokenizer)
    times, wrong, growth = measure(tmp_path / "model", 120, 20)
    assert wrong == []
    assert sorted(times)[int(0.95 * len(times))] < 1
    assert growth < 300  # what is kept of traces is at most 268 MB


if __name__ == "__main__":
    folder, seconds, clients = (*sys.argv[1:], *("20", "20")[len(sys.argv) - 2 :])
    times, wrong, growth = measure(Path(folder), float(seconds), int(clients))
    times.sort()
    print(
        f"{len(times)} keystrokes, {len(wrong)} errors, median {times[len(times) // 2]:.3f} s, "
        f"95th percentile {times[int(0.95 * len(times))]:.3f} s, growth {growth:.0f} MB"
    )
