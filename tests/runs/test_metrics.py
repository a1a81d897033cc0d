"""Metrics and history of run folders that are intact, damaged or still growing."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_runs import lines, make_run, minigpt, row

from minigpt.runs import metrics as limits
from minigpt.runs.history import History, find_runs, short_names
from minigpt.runs.metrics import Metrics, MetricsFile


def test_metrics_columns_hold_the_values_of_the_steps(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines(row(1, val_loss=3.0, val_bits=2.0), row(2), row(3, val_loss=1.5)))
    metrics = MetricsFile(path).read()
    assert metrics.number.tolist() == [1, 2, 3]
    assert metrics.number.dtype == np.int64
    np.testing.assert_array_equal(metrics.loss, [7, 3.5, 7 / 3])
    np.testing.assert_array_equal(metrics.gradient_norm, [1.5] * 3)
    np.testing.assert_array_equal(metrics.learning_rate, [0.01] * 3)
    np.testing.assert_array_equal(metrics.tokens_per_second, [100, 200, 300])
    np.testing.assert_array_equal(metrics.val_loss, [3, np.nan, 1.5])
    np.testing.assert_array_equal(metrics.val_bits, [2, np.nan, np.nan])
    assert (metrics.bits_per_nat, metrics.spelling) == (2 / 3, 0)
    assert metrics.best == 2


def test_metrics_without_steps_are_empty(tmp_path):
    path = tmp_path / "metrics.jsonl"
    empty = MetricsFile(path).read()
    assert (empty.number.size, empty.best, empty.bits_per_nat) == (0, None, None)
    path.write_text(lines(row(1)))
    begun = MetricsFile(path).read()
    assert (begun.number.size, begun.best, begun.bits_per_nat) == (1, None, None)


@given(st.data())
def test_metrics_read_in_pieces_are_the_same(tmp_path_factory, data):
    content = lines(*(row(n, val_loss=1.0 * n) for n in range(1, 6))).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    path = tmp_path_factory.mktemp("run") / "metrics.jsonl"
    file = MetricsFile(path)
    for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True):
        with path.open("ab") as growing:
            growing.write(content[start:end])
        so_far = file.read()
        assert so_far.number.size == content[:end].count(b"\n")  # an incomplete line waits
    whole = MetricsFile(path).read()
    for name in Metrics.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(so_far, name), getattr(whole, name))


def test_metrics_of_a_run_that_went_back_are_read_again(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines(*(row(n) for n in range(1, 9))))
    file = MetricsFile(path)
    assert file.read().number[-1] == 8
    path.write_text(lines(row(1), row(2, loss=9.0)))  # shorter
    assert file.read().loss.tolist() == [7, 9]
    other = tmp_path / "other"
    other.write_text(lines(*(row(n, loss=5.0) for n in range(1, 9))))  # longer, but another file
    other.replace(path)
    assert file.read().loss.tolist() == [5] * 8
    path.unlink()
    assert file.read().number.size == 0


def test_metrics_that_are_not_finite_become_gaps(tmp_path):
    path = tmp_path / "metrics.jsonl"
    values = ["NaN", "Infinity", "-Infinity", "1e999", "null", "1" + "0" * 400, "1e30"]
    rows = (f'{{"number": {i}, "loss": {value}}}\n' for i, value in enumerate(values, 1))
    path.write_text("".join(rows))
    assert np.isnan(MetricsFile(path).read().loss).all()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ('{"number": 2', "not JSON"),
        ("\ufeff{}", "not JSON"),
        ("[" * 4000, "not JSON"),
        ('{"number": ' + "9" * 4070 + "}", "JSON|whole"),
        (" " * 4097, "more than 4096 bytes"),
        ("[1]", "not an object"),
        ("{}", "number must be whole and more than 1, got None"),
        ('{"number": 1}', "number must be whole and more than 1, got 1"),
        ('{"number": true}', "got True"),
        ('{"number": 2.0}', "got 2.0"),
        ('{"number": 9007199254740992}', "number must be whole"),
        ('{"number": 2, "loss": "low"}', "loss must be a number, got 'low'"),
        ('{"number": 2, "val_bits": [1]}', "val_bits must be a number"),
        ('{"number": 2, "val_loss": true}', "val_loss must be a number, got True"),
    ],
)
def test_metrics_refuse_an_invalid_line_by_number(tmp_path, line, message):
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines(row(1)) + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"metrics\.jsonl, line 2: .*({message})"):
        MetricsFile(path).read()


@given(st.binary(max_size=60))
def test_metrics_read_or_refuse_any_bytes(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("run") / "metrics.jsonl"
    path.write_bytes(lines(row(1)).encode() + content + b"\n")
    with pytest.raises(ValueError, match="line 2"):
        MetricsFile(path).read()


def test_metrics_refuse_too_many_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_STEPS_READ", 2)
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines(row(1), row(2)))
    assert MetricsFile(path).read().number.size == 2
    path.write_text(lines(row(1), row(2), row(3)))
    with pytest.raises(ValueError, match="line 3: more than 2 steps"):
        MetricsFile(path).read()


def test_history_holds_settings_progress_and_the_best(tmp_path):
    rows = [row(1, val_loss=3.0, val_bits=2.0), row(2, val_loss=1.5, val_bits=1.0), row(3)]
    history = History.read(make_run(tmp_path / "a", rows, d_model=32, n_heads=2, step=2, steps=9))
    facts = history.to_dict()
    assert history.settings.d_model == facts["settings"]["d_model"] == 32
    assert (facts["step"], facts["steps"], history.saved) == (3, 9, 2)
    assert (facts["best_step"], facts["best_val_loss"], facts["best_val_bits"]) == (2, 1.5, 1.0)
    assert facts["training_bits"] == pytest.approx(facts["training_loss"] / 1.5)
    assert facts["training_loss"] == history.metrics.loss[1]
    assert facts["floor_bits_per_character"] == 0.4
    assert facts["tokens_per_second"] == 200
    unbegun = History.read(make_run(tmp_path / "b", floor=None)).to_dict()
    assert (unbegun["step"], unbegun["best_val_bits"], unbegun["tokens_per_second"]) == (
        *(0, None, None),
    )


def test_short_names_of_runs_are_distinct(tmp_path):
    a, b, c = (History.read(make_run(tmp_path / name)) for name in ("1/a", "1/b", "2/a"))
    assert short_names([a, b]) == ["a", "b"]
    assert short_names([a, b, c]) == [str(h.folder) for h in (a, b, c)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"d_modle": 3}}, "did you mean 'd_model'"),
        ({"settings": [1]}, "damaged"),
        ({"settings": {"steps": "many"}}, "steps must be int"),
        ({"step": "x"}, "damaged"),
        ({"floor_bits_per_character": -1}, "floor_bits_per_character must be a positive number"),
        ({"floor_bits_per_character": "low"}, "floor_bits_per_character must be"),
        ({"floor_bits_per_character": 10**400}, "floor_bits_per_character must be"),
    ],
)
def test_history_refuses_a_damaged_record(tmp_path, change, message):
    path = make_run(tmp_path / "a") / "training.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        History.read(tmp_path / "a")


@pytest.fixture
def folder(tmp_path):
    """A folder with runs of different ages, some of them damaged, and other files."""
    evaluated = [row(1, val_loss=3.0, val_bits=2.0), row(2, val_loss=1.5, val_bits=1.234)]
    make_run(tmp_path / "runs/old", evaluated, tokenizer="char")
    make_run(tmp_path / "runs/new", [row(1)], floor=None, data=["books/my-text.txt"])
    for name in ("training.json", "metrics.jsonl"):
        os.utime(tmp_path / "runs/old" / name, (10**9, 10**9))
    os.utime(tmp_path / "runs/new/training.json", (9**9, 9**9))  # still training
    (make_run(tmp_path / "runs/torn", [row(1)]) / "training.json").write_text('{"step"')
    (make_run(tmp_path / "runs/wrong") / "metrics.jsonl").write_text("{}\n")
    (tmp_path / "runs/lost").mkdir()
    (tmp_path / "runs/lost/metrics.jsonl").write_text(lines(row(1)))
    (tmp_path / "runs/no-run").mkdir()
    (tmp_path / "runs/notes.txt").write_text("my dear")
    return tmp_path


def test_find_runs_accepts_folders_and_runs(folder):
    names = ["lost", "new", "old", "torn", "wrong"]
    assert [run.name for run in find_runs([folder / "runs"])] == names
    old = Path(folder / "runs/old")
    assert [run.name for run in find_runs([old, folder / "runs"])][:2] == ["old", "lost"]
    assert find_runs([old, old]) == [old]


def test_runs_command_lists_runs(folder):
    for columns in ("60", "80", "120"):
        done = minigpt("runs", cwd=folder, COLUMNS=columns)
        assert (done.returncode, done.stderr) == (0, "")
        assert "\x1b" not in done.stdout
        table, _, damaged = done.stdout.partition(str(Path("runs/lost")))
        assert all(len(line) <= int(columns) for line in table.splitlines())
        for cell in ("4 × 128", "char, plays", "bpe, my-text.txt", "2/2000", "1.234", "0.400"):
            assert cell in table
        assert table.index(str(Path("runs/new"))) < table.index(str(Path("runs/old")))
        for reason in ("no training.json", "torn", "training.json is not JSON", "line 1"):
            assert reason in damaged
        assert "no-run" not in done.stdout


def test_runs_command_lists_runs_as_json(folder):
    done = minigpt("runs", "runs/old", "runs", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    rows = {Path(row["folder"]).name: row for row in map(json.loads, done.stdout.splitlines())}
    assert list(rows) == ["new", "old", "lost", "torn", "wrong"]
    assert rows["old"]["best_val_bits"] == 1.234
    assert rows["old"]["settings"]["tokenizer"] == "char"
    assert "line 1" in rows["wrong"]["error"]


def test_runs_command_without_runs(tmp_path):
    done = minigpt("runs", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "minigpt demo" in done.stderr
    assert minigpt("runs", "--json", cwd=tmp_path).stdout == ""
    missing = minigpt("runs", "nowhere", cwd=tmp_path)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "nowhere" in missing.stderr
