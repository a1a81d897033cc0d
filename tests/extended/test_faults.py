"""Hundreds of damaged checkpoints, and disks that are full after any number of bytes."""

import os
import random
import shutil
import subprocess
import sys

import pytest

from minigpt import Settings
from minigpt.runs import Run, checkpoints

TEXT = "my dear goose, take this lantern. my dear fox, where is my lantern?\n" * 20

LIMITED = """
import resource, sys
from minigpt.commands import cli
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.exit(cli.main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    settings = Settings(
        data=(str(folder / "text.txt"),), tokenizer="char", n_layers=1, n_heads=2, d_model=16,
        block_size=8, steps=12, batch_size=2, warmup=3, eval_every=4, eval_tokens=32,
        sample_every=4, sample_tokens=4, threads=1,
    )  # fmt: skip
    for _ in Run.new(settings, folder / "run").steps():
        pass
    return folder


@pytest.mark.parametrize("seed", range(300))
def test_any_damage_to_the_newest_checkpoint_is_seen(folder, tmp_path, seed):
    chance = random.Random(seed)
    run = tmp_path / "run"
    shutil.copytree(folder / "run", run)
    path = chance.choice(sorted((run / "checkpoint-12").iterdir()))
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    if seed % 3 == 0:
        content = content[:place]
    else:
        content[place] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    (run / path.name).write_bytes(content)
    notes: list[str] = []
    again = Run.resume(run, {}, notes.append)
    if again.step == 12:  # a blank that became another blank
        assert path.name == "training.json"
        assert notes == []
        record = checkpoints.read_record(folder / "run")
        assert checkpoints.read_record(run) == record
    else:
        assert again.step == 8
        assert notes[0].startswith("checkpoint-12 is damaged (")
    assert checkpoints.damage(run) is None


def test_a_file_may_grow_no_more(folder, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(folder / "run", run)
    largest = max(path.stat().st_size for path in run.iterdir())
    resume = ["train", "--resume", str(run), "--steps", "16"]
    for limit in [*range(0, largest, largest // 40), largest]:
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, str(limit), *resume],
            capture_output=True,
            encoding="utf-8",
        )
        assert "Traceback" not in done.stderr
        assert checkpoints.damage(run) is None
        if limit == largest:
            assert done.returncode == 0, done.stderr
        else:
            assert done.returncode == 1
            assert os.strerror(27) in done.stderr
            assert checkpoints.steps_of(run) == [12, 8]
            assert not list(run.glob(".*.tmp"))
