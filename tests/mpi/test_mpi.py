"""Training on real processes that mpiexec starts: pip install -e '.[test,mpi]'."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

MPIEXEC = Path(sys.executable).with_name("mpiexec")
RANK = Path(__file__).parents[1] / "helpers" / "mpi_rank.py"
HANGS = 60  # seconds after which nothing will happen any more
STEPS = 100


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> list[str]:
    text = tmp_path_factory.mktemp("text") / "text.txt"
    words = np.random.default_rng(0).choice("my dear goose fox, where is a lantern?".split(), 3000)
    text.write_text(" ".join(words), encoding="utf-8")
    options = {
        "data": text, "tokenizer": "char", "n-layers": 2, "n-heads": 2, "d-model": 24,
        "block-size": 16, "dropout": 0,
        "batch-size": 6, "accumulate": 2, "warmup": 5, "learning-rate": 3e-3,
        "eval-every": 20, "eval-tokens": 128, "sample-every": 0, "threads": 1, "steps": STEPS,
    }  # fmt: skip
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def start(n: int, folder: Path, *arguments, fault: str = "none") -> subprocess.Popen:
    """Start minigpt in n processes; in this one's way, without mpiexec, if n is 0."""
    if n == 0:
        command = [sys.executable, "-m", "minigpt", *arguments]
    else:
        command = [MPIEXEC, "-n", str(n), sys.executable, RANK, folder, fault, *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", cwd=folder
    )


def minigpt(n: int, folder: Path, *arguments, fault: str = "none") -> tuple[int, str]:
    """Run minigpt in n processes to its end; give the exit code and what it said."""
    process = start(n, folder, *arguments, fault=fault)
    _, said = process.communicate(timeout=HANGS)
    return process.returncode, said


def losses(folder: Path) -> list[float]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["loss"] for line in lines]


def test_losses_are_the_same_for_any_number_of_processes(settings, tmp_path):
    """6 rows: in four processes, two of them have two and two have one."""
    found = {}
    for n in (0, 1, 2, 4):
        code, said = minigpt(n, tmp_path, "train", *settings, "--out", f"run-{n}")
        assert code == 0, said
        assert said.count("parameters") == said.count(f"step {STEPS}/{STEPS}") == 1
        found[n] = losses(tmp_path / f"run-{n}")
    assert len(found[0]) == STEPS
    assert found[0][-1] < 0.8 * found[0][0]
    assert found[1] == found[0]
    for n in (2, 4):
        np.testing.assert_allclose(found[n], found[0], rtol=2e-5)


def test_training_is_reproducible_to_the_bit_with_processes(settings, tmp_path):
    for name in "ab":
        arguments = ["train", *settings, "--dropout", "0.2", "--out", name]
        assert minigpt(4, tmp_path, *arguments)[0] == 0
    a, b = tmp_path / "a", tmp_path / "b"
    assert losses(a) == losses(b)
    for file in ("model.safetensors", "training_state.safetensors"):
        assert (a / file).read_bytes() == (b / file).read_bytes()


def test_run_can_be_resumed_with_another_number_of_processes(settings, tmp_path):
    for name, (first, then) in {"alone": (0, 0), "fewer": (4, 2), "more": (0, 4)}.items():
        code, said = minigpt(first, tmp_path, "train", *settings, "--steps", "40", "--out", name)
        assert code == 0, said
        code, said = minigpt(then, tmp_path, "train", "--resume", name, "--steps", "80")
        assert code == 0, said
        assert f"continuing {name} after step 40" in said
        assert len(losses(tmp_path / name)) == 80
        np.testing.assert_allclose(
            losses(tmp_path / name), losses(tmp_path / "alone"), rtol=2e-5, err_msg=name
        )


def wait_for_step(number: int, folder: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + HANGS
    while not (folder / "metrics.jsonl").exists() or len(losses(folder)) < number:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("rank", [0, 1])
def test_killed_process_ends_the_job_and_the_run_can_be_resumed(settings, tmp_path, rank):
    run = tmp_path / "run"
    arguments = ["train", *settings, "--steps", "1000000", "--out", "run"]
    process = start(2, tmp_path, *arguments)
    wait_for_step(25, run, process)
    os.kill(int((tmp_path / f"pid-{rank}").read_text("utf-8")), signal.SIGKILL)
    said = "".join(process.communicate(timeout=HANGS))
    # If it dies while the other reads its memory, MPICH may end mpiexec before it says more.
    assert "signal 9" in said or process.returncode == 143, said
    saved = json.loads((run / "training.json").read_text(encoding="utf-8"))["step"]
    assert saved >= 20
    code, said = minigpt(2, tmp_path, "train", "--resume", "run", "--steps", str(saved + 5))
    assert code == 0, said
    assert len(losses(run)) == saved + 5


@pytest.mark.parametrize("to_all", [True, False])
def test_ctrl_c_stops_all_processes_after_the_same_step(settings, tmp_path, to_all):
    arguments = ["train", *settings, "--steps", "1000000", "--out", "run"]
    process = start(2, tmp_path, *arguments)
    wait_for_step(5, tmp_path / "run", process)
    one = int((tmp_path / "pid-1").read_text("utf-8"))
    os.kill(process.pid if to_all else one, signal.SIGINT)
    _, said = process.communicate(timeout=HANGS)
    assert process.returncode == 130
    assert said.count("stopped after step") == 1
    done = len(losses(tmp_path / "run"))
    assert f"stopped after step {done};" in said
    code, said = minigpt(4, tmp_path, "train", "--resume", "run", "--steps", str(done + 3))
    assert code == 0, said
    assert len(losses(tmp_path / "run")) == done + 3


def test_differently_rounded_norm_on_one_rank_changes_nothing(settings, tmp_path):
    found = {}
    for fault in ("none", "norm"):
        arguments = ["train", *settings, "--clip", "0.01", "--steps", "30", "--out", fault]
        code, said = minigpt(2, tmp_path, *arguments, fault=fault)
        assert code == 0, said
        found[fault] = losses(tmp_path / fault)
    assert found["norm"] == found["none"]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("error", "minigpt, process 1 of 0 to 1: a cosmic ray\n"),
        ("bug", "AssertionError: nobody has thought of this\n"),
        ("weights", "minigpt: the processes no longer have the same weights"),
    ],
)
def test_error_in_one_process_ends_all(settings, tmp_path, fault, sentence):
    code, said = minigpt(2, tmp_path, "train", *settings, "--out", "run", fault=fault)
    assert code == 1
    assert said.count(sentence) == 1
    assert said.count("minigpt") == sentence.count("minigpt") or fault == "bug"
    assert len(losses(tmp_path / "run")) in ((19,) if fault == "weights" else (4, 5))


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--batch-size", "1"], 1, "batch-size is 1, but 2 processes share the batch"),
        (["--data", "nowhere.txt"], 1, "no file 'nowhere.txt'"),
        (["--bogus"], 2, "unknown flag '--bogus'"),
    ],
)
def test_error_of_all_processes_is_printed_once(settings, tmp_path, arguments, code, sentence):
    found, said = minigpt(2, tmp_path, "train", *settings, *arguments, "--out", "run")
    assert found == code
    assert said.count(sentence) == 1


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["train", "--bogus"], "process 1 \"minigpt train: unknown flag '--bogus'\""),
        (["train", "--help"], "process 1 '--help'"),
        (["runs"], "process 1 'runs'"),
        (["train", "--steps", "-5"], "minigpt, process 1 of 0 to 1: --steps must be at least 1"),
    ],
)
def test_invalid_arguments_of_one_process_end_all(settings, tmp_path, wrong, sentence):
    """At the door: no folder is left that would be in the way of the right command."""
    one = ["-n", "1", sys.executable, RANK, tmp_path, "none"]
    right = ["train", *settings, "--out", "run"]
    for first, second, said in ((right, wrong, sentence), (wrong, right, "minigpt")):
        done = subprocess.run(
            [MPIEXEC, *one, *first, ":", *one, *second],
            capture_output=True, encoding="utf-8", cwd=tmp_path, timeout=HANGS, check=False,
        )  # fmt: skip
        assert done.returncode != 0
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change", [["--data", "other.txt"], ["--seed", "3"], ["--out", "run-2"]])
def test_processes_with_different_arguments_are_refused(settings, tmp_path, change):
    (tmp_path / "other.txt").write_text("my dear quagga " * 99, encoding="utf-8")
    one = ["-n", "1", sys.executable, RANK, tmp_path, "none", "train", *settings, "--out", "run"]
    done = subprocess.run(
        [MPIEXEC, *one, ":", *one, *change],
        capture_output=True, encoding="utf-8", cwd=tmp_path, timeout=HANGS, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "all processes need the same command" in done.stderr
    assert " ".join(change) in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damage", ["a token", "no folder", None])
def test_token_files_must_be_the_same_for_all_processes(settings, tmp_path, damage):
    """Each process opens its own, which may lie on a machine of its own."""
    text = settings[settings.index("--data") + 1]
    for name in ("0", "1"):
        (tmp_path / name).mkdir()
        assert minigpt(0, tmp_path, "prepare", text, "-o", f"{name}/data")[0] == 0
    file = tmp_path / "1/data/train.bin"
    content = file.read_bytes()
    if damage == "a token":
        file.write_bytes(content[:-2] + bytes([content[-2] ^ 1, 0]))
    if damage == "no folder":
        (tmp_path / "1/data").rename(tmp_path / "1/elsewhere")
        (tmp_path / "1/data").mkdir()
    rest = [*settings[settings.index("--tokenizer") + 2 :], "--data", "data", "--steps", "20"]
    command = [sys.executable, RANK, tmp_path, "none", "train", *rest]

    def run(*arguments):
        parts = [["-n", "1", "-wdir", tmp_path / rank, *command, *arguments] for rank in "01"]
        return subprocess.run(
            [MPIEXEC, *parts[0], ":", *parts[1]],
            capture_output=True, encoding="utf-8", timeout=HANGS, check=False,
        )  # fmt: skip

    done = run("--out", tmp_path / "run")
    if damage is None:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 1
    assert "process 1: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_more_processes_than_rows_are_refused_and_change_no_folder(settings, tmp_path):
    code, said = minigpt(4, tmp_path, "train", *settings, "--batch-size", "3", "--out", "run")
    assert code == 1
    assert "--batch-size is 3, but 4 processes share the batch" in said
    assert not (tmp_path / "run").exists()
    few = ["--batch-size", "3", "--steps", "2", "--out", "run"]
    assert minigpt(2, tmp_path, "train", *settings, *few)[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    code, said = minigpt(4, tmp_path, "train", "--resume", "run", "--steps", "9")
    assert code == 1
    assert "4 processes share the batch" in said
    assert before == {path: path.read_bytes() for path in before}


def test_mpi4py_is_not_imported_without_mpiexec(settings, tmp_path):
    program = (
        "import sys; from minigpt.commands.cli import main; code = main(sys.argv[1:]); "
        "assert 'mpi4py' not in sys.modules; sys.exit(code)"
    )
    command = [sys.executable, "-c", program, "train", *settings, "--steps", "2", "--out", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
