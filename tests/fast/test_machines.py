"""Training on several processes, simulated by threads. tests/mpi uses real processes."""

import copy
import os
import subprocess
import sys
import types
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from tiny import tiny_model

from minigpt import Dataset, Settings, train
from minigpt.fast import machines
from minigpt.fast.machines import ALONE, World
from minigpt.fast.replicas import Replicas
from minigpt.runs import Run
from minigpt.runs.shared_run import run_on_all

IDS = (np.arange(300) ** 2 % 127 % 11).astype(np.uint8)
DATASET = Dataset("x", IDS, IDS[:90], 90)
SETTINGS = Settings(
    block_size=8, steps=6, batch_size=6, warmup=1, eval_every=3, eval_tokens=32, clip=0.5, threads=1
)  # fmt: skip


class SimulatedWorld(World):
    """A world whose processes are threads, which exchange values through a shared table."""

    def __init__(self, rank: int, size: int, table: list, barrier: Barrier) -> None:
        self.rank, self.size, self.table, self.barrier = rank, size, table, barrier

    def _gather(self, value) -> list:
        self.table[self.rank] = value
        self.barrier.wait(timeout=20)
        values = list(self.table)
        self.barrier.wait(timeout=20)
        return values

    def all_reduce(self, grads, loss):
        grads[...] = sum(self._gather(grads.copy()))
        return sum(self._gather(loss))

    def broadcast(self, value):
        first = self._gather(value)[0]
        return value if self.rank == 0 else copy.deepcopy(first)

    def check_same(self, params):
        first, *others = self._gather(params.copy())
        assert all(np.array_equal(first, other) for other in others)


def together(size: int, work) -> list:
    """Run work(world) in `size` simulated processes, and return their results."""
    barrier, table = Barrier(size), [None] * size
    worlds = [SimulatedWorld(rank, size, table, barrier) for rank in range(size)]
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, worlds))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("n_rows", [5, 6, 16])
def test_parts_of_all_ranks_make_up_the_batch(size, n_rows):
    parts = [SimulatedWorld(rank, size, [], None).part(n_rows) for rank in range(size)]
    rows = [row for part in parts for row in range(n_rows)[part]]
    assert rows == list(range(n_rows))
    assert {len(range(n_rows)[part]) for part in parts} <= {n_rows // size, -(-n_rows // size)}


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("size", [2, 4])  # 6 rows in equal parts, and in unequal ones
def test_training_is_the_same_for_any_number_of_processes(monkeypatch, size, accumulate):
    settings = SETTINGS.replace({"accumulate": accumulate})
    rows, learn_rows = [], Replicas.learn

    def count_rows(replicas, x, *rest):
        rows.append(len(x))
        return learn_rows(replicas, x, *rest)

    def learn(world):
        model = tiny_model(dtype=np.float64)
        steps = list(train(model, DATASET, settings, world=world))
        return model.flat.params, steps

    alone, expected = learn(ALONE)
    monkeypatch.setattr(Replicas, "learn", count_rows)
    results = together(size, learn)
    assert sum(rows) == 6 * accumulate * 6  # each row once, in 6 steps
    for params, steps in results:
        np.testing.assert_array_equal(params, results[0][0])
        np.testing.assert_allclose(params, alone, rtol=1e-7, atol=1e-9)
        for step, other in zip(steps, expected, strict=True):
            assert step.loss == pytest.approx(other.loss, rel=1e-9)
            assert step.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-9)
        losses = [
            [s.val_loss for s in some if s.val_loss is not None] for some in (steps, expected)
        ]
        assert len(losses[0]) == 3
        np.testing.assert_allclose(*losses, rtol=1e-9)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_differs_between_processes(dropout):
    """All windows are equal here, so only dropout can make the losses differ."""
    same = np.full(300, 7, np.uint8)

    def learn(world):
        model = tiny_model(dropout=dropout)
        seen = []
        all_reduce, world.all_reduce = (
            world.all_reduce,
            lambda *each: (seen.append(each), all_reduce(*each))[1],
        )
        next(train(model, Dataset("x", same, same, 300), SETTINGS, world=world))
        return seen[0][1]

    losses = together(2, learn)
    assert (losses[0] == losses[1]) == (dropout == 0)


def test_more_processes_than_rows_are_refused():
    model = tiny_model()
    world = SimulatedWorld(0, 7, [], None)
    with pytest.raises(ValueError, match="batch_size is 6, but 7 processes"):
        next(train(model, DATASET, SETTINGS, world=world))


def test_rank_0_makes_the_run_and_the_others_receive_it(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("my dear goose, my dear fox! " * 40, encoding="utf-8")
    settings = SETTINGS.replace(
        {"data": (str(text),), "tokenizer": "char", "n_layers": 1, "d_model": 16, "prompt": "my",
         "sample_every": 3, "sample_tokens": 4}
    )  # fmt: skip
    makers, savers = [], []

    def work(world):
        def make() -> Run:
            makers.append(world.rank)
            return Run.new(settings, tmp_path / "run")

        run = run_on_all(world, make)
        write = run._write_into
        run._write_into = lambda folder: (savers.append(world.rank), write(folder))
        samples = [step.sample for step in run.steps() if step.sample is not None]
        return run, samples

    (first, samples), (other, none) = together(2, work)
    assert makers == [0]
    assert set(savers) == {0}
    assert (len(samples), len(none)) == (2, 0)
    assert len((tmp_path / "run/metrics.jsonl").read_text("utf-8").splitlines()) == 6
    assert other.settings == first.settings
    assert other.model is not first.model
    np.testing.assert_array_equal(other.model.flat.params, first.model.flat.params)
    np.testing.assert_array_equal(other.optimizer.state["m"], first.optimizer.state["m"])
    assert other.optimizer.model.flat.params is other.model.flat.params


def test_resumed_run_has_the_optimizer_state_in_all_processes(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("my dear goose, my dear fox! " * 40, encoding="utf-8")
    settings = SETTINGS.replace(
        {"data": (str(text),), "tokenizer": "char", "n_layers": 1, "d_model": 16, "prompt": "my"}
    )
    for _ in Run.new(settings, tmp_path / "run").steps():
        pass

    def work(world):
        run = run_on_all(world, lambda: Run.resume(tmp_path / "run", {"steps": 9}))
        state = {name: value.copy() for name, value in run.optimizer.state.items()}
        return state, [step.number for step in run.steps()]

    (state, numbers), (other, other_numbers) = together(2, work)
    assert numbers == other_numbers == [7, 8, 9]
    assert state["t"] == 6
    for name in state:
        np.testing.assert_array_equal(state[name], other[name])


@pytest.fixture
def fresh(monkeypatch):
    """Set up a process that has not joined a world, and was not started by mpiexec."""
    monkeypatch.setattr(machines, "_world", None)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(machines.time, "sleep", lambda seconds: None)
    for name in ("PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def launched(monkeypatch, rank: int, size: int, mpi4py) -> None:
    monkeypatch.setenv("PMI_RANK", str(rank))
    monkeypatch.setenv("PMI_SIZE", str(size))
    monkeypatch.setitem(sys.modules, "mpi4py", mpi4py)  # None: not installed


def test_world_without_mpiexec_is_one_process(fresh):
    fresh.setitem(sys.modules, "mpi4py", None)
    assert machines.world() is ALONE
    assert (ALONE.rank, ALONE.size, ALONE.part(5)) == (0, 1, slice(0, 5))


def test_mpiexec_without_mpi4py_says_how_to_install_it():
    """Only rank 0 says it, although all processes find the error."""
    errors = []
    for rank in "01":
        command = [sys.executable, "-c", "import sys; sys.modules['mpi4py'] = None\n"
                   "from minigpt.commands.cli import main; sys.exit(main(['train']))"]  # fmt: skip
        environment = {**os.environ, "PMI_RANK": rank, "PMI_SIZE": "2"}
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")
        assert done.returncode == 1
        errors.append(done.stderr)
    assert "pip install 'minigpt-numpy[mpi]'" in errors[0]
    assert errors[0].count("\n") == 1
    assert errors[1] == ""


def test_mpiexec_of_another_mpi_is_refused(fresh):
    comm = types.SimpleNamespace(size=1)
    mpi = types.SimpleNamespace(COMM_WORLD=comm)
    launched(fresh, 0, 2, types.SimpleNamespace(MPI=mpi))
    with pytest.raises(RuntimeError, match="2 processes, but mpi4py sees 1"):
        machines.world()


def test_lost_process_is_an_error_that_says_how_to_resume():
    class Gone(Exception):
        pass

    def fail(*args):
        raise Gone("no connection\nin MPI_Something\nin MPI_Other")

    processes = object.__new__(machines.Processes)
    processes._mpi = types.SimpleNamespace(Exception=Gone, IN_PLACE=None, LOR=None)
    names = ("Allreduce", "allreduce", "bcast", "allgather")
    processes._comm = types.SimpleNamespace(**dict.fromkeys(names, fail))
    grads = np.zeros(3)
    for ask in (
        lambda: processes.all_reduce(grads, 0.0),
        lambda: processes.broadcast(1),
        lambda: processes.any(False),
        lambda: processes.check_same(grads),
    ):
        with pytest.raises(
            RuntimeError, match=r"no longer answers \(no connection\): .* with --resume"
        ):
            ask()


def test_processes_with_different_commands_are_refused():
    processes = object.__new__(machines.Processes)
    processes._mpi = types.SimpleNamespace(Exception=OSError)
    processes._comm = types.SimpleNamespace(allgather=lambda own: [own, own, "runs"])
    with pytest.raises(RuntimeError, match="command 'train', and process 2 'runs'"):
        processes.check_command("train")
    processes.check_command("runs")


def test_more_processes_than_batch_rows_are_refused():
    world = SimulatedWorld(0, 9, [None] * 9, None)
    with pytest.raises(ValueError, match="batch_size is 8, but 9 processes share the batch"):
        world.check_batch(8)
    world.check_batch(9)


@pytest.mark.parametrize(
    ("processors", "threads"),
    [([[0, 1, 2, 3]] * 2, 2), ([[0, 1, 2, 3]] * 8, 1), ([[0, 1], [2, 3]], 4), ([None] * 4, 1)],
)
def test_threads_are_shared_among_processes_on_the_same_cores(monkeypatch, processors, threads):
    monkeypatch.setattr(machines, "available_cores", lambda: 4)
    assert machines._share_of_cores(processors, 0) == threads


def test_only_rank_0_prints_and_errors_name_the_rank(fresh, capsys):
    launched(fresh, 1, 2, None)
    fresh.setattr(machines, "_world", SimulatedWorld(1, 2, [], None))
    with machines.only_rank_0_prints():
        print("a result")
        print("progress", file=sys.stderr)
    assert machines.leave(1, "it is broken") == 1
    assert capsys.readouterr() == ("", "minigpt, process 1 of 0 to 1: it is broken\n")
    fresh.setattr(machines, "_world", ALONE)
    fresh.delenv("PMI_RANK")
    with machines.only_rank_0_prints():
        print("a result")
    assert machines.leave(1, "it is broken") == 1
    assert capsys.readouterr() == ("a result\n", "minigpt: it is broken\n")
