"""Hundreds of damaged checkpoints, and disks that are full after any number of bytes."""

import os
import random
import shutil
import subprocess
import sys

import pytest
from tiny import tiny_run

from minigpt.runs import Run, checkpoints

LIMITED = """
import resource, sys
from minigpt.commands import cli
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.exit(cli.main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_run(tmp_path_factory.mktemp("work")).folder.parent


@pytest.mark.parametrize("seed", range(300))
def test_damage_to_the_newest_checkpoint_is_noticed(folder, tmp_path, seed):
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


def test_training_survives_a_file_size_limit(folder, tmp_path):
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
