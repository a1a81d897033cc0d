import errno
import json
import math
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from tiny import TEXT, tiny_settings

from minigpt import Settings, miniGPT
from minigpt.runs import Run, RunNotWritten, checkpoints
from minigpt.runs.checkpoints import damage, path_of, steps_of
from minigpt.runs.divergence import MAX_SETBACKS, usual_loss
from minigpt.runs.history import History
from minigpt.runs.model_of_run import find_checkpoint
from minigpt.runs.progress import WARN_AFTER
from minigpt.support import files
from minigpt.support.lock import FolderLock
from minigpt.training import loop as training
from minigpt.training.evaluation import evaluate
from minigpt.training.loop import Step, TrainingDiverged


@pytest.fixture
def settings(tmp_path) -> Settings:
    return tiny_settings(tmp_path, dropout=0.1, learning_rate=3e-3)


@pytest.fixture
def run(settings, tmp_path) -> Run:
    """A finished run of 12 steps, with checkpoints of steps 8 and 12."""
    run = Run.new(settings, tmp_path / "run")
    for _ in run.steps():
        pass
    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def metrics(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in metrics(folder)]


def add_line(folder: Path, line: str) -> None:
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(line)


def test_checkpoints_are_models_and_the_run_folder_holds_the_best(run):
    assert steps_of(run.folder) == [12, 8]
    for path in run.folder.glob("checkpoint-*"):
        assert damage(path) is None
        model = miniGPT.from_pretrained(path)
        same = np.array_equal(model.flat.params, run.model.flat.params)
        assert same == (path.name == "checkpoint-12")
    assert damage(run.folder) is None
    newest = contents(run.folder / "checkpoint-12")
    assert newest == {name: (run.folder / name).read_bytes() for name in newest}


def test_newest_and_best_checkpoints_are_kept(settings, tmp_path):
    settings = settings.replace({"eval_every": 1, "keep": 3, "learning_rate": 0.3, "clip": 99.0})
    run = Run.new(settings, tmp_path / "run")
    values = {step.number: step.val_loss for step in run.steps()}
    best = min(values, key=lambda number: values[number])
    assert best < 10  # otherwise the learning rate is not high enough for this test
    assert run.progress.best == {"step": best, "val_loss": values[best]}
    assert steps_of(run.folder) == [12, 11, 10, best]
    assert Run.resume(run.folder, {}).progress == run.progress


@pytest.fixture
def overfitted(settings, tmp_path) -> Run:
    """A run with its highest validation loss at the end: it validates on another text."""
    other = "ZYXWV zyxwv 0123456789. " * 20
    (tmp_path / "text.txt").write_text(TEXT + other, encoding="utf-8")
    settings = settings.replace({"learning_rate": 3e-2, "steps": 20, "keep": 1, "eval_every": 2})
    run = Run.new(settings, tmp_path / "overfitted")
    for _ in run.steps():
        pass
    return run


def test_run_folder_always_holds_the_best_model_so_far(overfitted, tmp_path):
    """At each evaluation, and after resuming, the run folder holds the best model so far."""

    def at_top(folder: Path) -> float:
        model = miniGPT.from_pretrained(folder)
        return evaluate(model, overfitted.dataset.val, 8, max_tokens=32)

    lowest = math.inf
    run = Run.new(overfitted.settings, tmp_path / "again")
    for step in run.steps():
        if step.val_loss is not None:
            lowest = min(lowest, step.val_loss)
            assert at_top(run.folder) == pytest.approx(lowest, rel=1e-5)
            assert damage(run.folder) is None
    assert step.val_loss > lowest + 0.1  # otherwise this test tests nothing
    best = run.progress.best["step"]
    again = Run.resume(run.folder, {"steps": 22})
    assert again.step == 20
    list(again.steps())
    assert at_top(run.folder) == pytest.approx(lowest, rel=1e-5)
    assert steps_of(run.folder) == [22, best]
    top, kept = (path / "model.safetensors" for path in (run.folder, path_of(run.folder, best)))
    assert top.read_bytes() == kept.read_bytes()
    assert History.read(run.folder).settings.steps == 22


def test_find_checkpoint_opens_best_last_or_a_step(overfitted):
    folder, best = overfitted.folder, overfitted.progress.best["step"]
    opened, note = find_checkpoint(folder)
    assert opened == folder
    assert note.endswith(
        f"step {best}, the best by validation; --checkpoint last for the last, step 20"
    )
    assert find_checkpoint(folder, "last") == (path_of(folder, 20), None)
    assert find_checkpoint(folder, "20") == (path_of(folder, 20), None)
    assert find_checkpoint(folder, str(best))[0] == path_of(folder, best)
    with pytest.raises(ValueError, match=f"best, last or one of {best}, 20, got '7'"):
        find_checkpoint(folder, "7")
    # As in older versions, or if a run is killed before it links the best model.
    for file in path_of(folder, 20).iterdir():
        (folder / file.name).unlink()
        shutil.copy(file, folder / file.name)
    assert find_checkpoint(folder)[0] == path_of(folder, best)
    shutil.rmtree(path_of(folder, best))
    assert find_checkpoint(folder) == (folder, None)


def test_find_checkpoint_accepts_a_plain_model_folder(run, tmp_path):
    run.model.save_pretrained(tmp_path / "model", run.tokenizer)
    for which in ("best", "last"):
        assert find_checkpoint(tmp_path / "model", which) == (tmp_path / "model", None)
    with pytest.raises(ValueError, match="keeps no checkpoints"):
        find_checkpoint(tmp_path / "model", "3")
    (run.folder / "training.json").write_text("{", encoding="utf-8")
    assert find_checkpoint(run.folder) == (run.folder, None)


def test_patience_ends_a_run_without_improvement(overfitted, tmp_path):
    best = overfitted.progress.best["step"]
    notes = []
    settings = overfitted.settings.replace({"patience": 3})
    run = Run.new(settings, tmp_path / "patient", notes.append)
    numbers = [step.number for step in run.steps()]
    assert run.stopped_early
    evaluations = [row["number"] for row in metrics(run.folder) if "val_loss" in row]
    assert evaluations.index(best) + 4 == len(evaluations) < 11
    assert numbers[-1] == evaluations[-1]
    assert losses(run.folder) == losses(overfitted.folder)[: len(numbers)]
    assert History.read(run.folder).to_dict()["stopped_early"]
    assert not History.read(overfitted.folder).to_dict()["stopped_early"]

    again = Run.resume(run.folder, {})
    assert again.stopped_early
    assert list(again.steps()) == []
    on = Run.resume(run.folder, {"patience": 0})
    list(on.steps())
    assert losses(on.folder) == losses(overfitted.folder)
    np.testing.assert_array_equal(on.model.flat.params, overfitted.model.flat.params)
    assert not on.stopped_early


@pytest.mark.parametrize("stop_at", [1, 5, 7, 8])
def test_patience_continues_after_a_resume(overfitted, tmp_path, stop_at):
    settings = overfitted.settings.replace({"patience": 3})
    whole = Run.new(settings, tmp_path / "whole")
    list(whole.steps())
    half = Run.new(settings, tmp_path / "half")
    for step in half.steps():
        if step.number == stop_at:
            half.save()
            break
    on = Run.resume(half.folder, {})
    list(on.steps())
    for name in ("step", "best", "worse"):
        assert getattr(on.progress, name) == getattr(whole.progress, name)
    assert losses(on.folder) == losses(whole.folder)
    np.testing.assert_array_equal(on.model.flat.params, whole.model.flat.params)


def test_run_notes_a_long_time_without_improvement(overfitted, tmp_path):
    notes = []
    settings = overfitted.settings.replace({"eval_every": 1})
    run = Run.new(settings, tmp_path / "noted", notes.append)
    worse, expected = 0, 0
    for step in run.steps():
        worse = 0 if step.number == run.progress.best["step"] else worse + 1
        expected += worse == WARN_AFTER and step.number < 20
    said = [note for note in notes if "validation has not improved for 5 evaluations" in note]
    assert len(said) == expected >= 1
    assert f"since step {run.progress.best['step']}" in said[-1]


def test_checkpoints_are_copied_where_hard_links_fail(run, tmp_path, monkeypatch):
    def no_links(source, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    for _ in Run.resume(run.folder, {"steps": 16}).steps():
        pass
    top, newest = (
        path / "model.safetensors" for path in (run.folder, run.folder / "checkpoint-16")
    )
    assert not top.samefile(newest)
    assert top.read_bytes() == newest.read_bytes()


DAMAGES = {
    "cut short": lambda content: content[: len(content) // 2],
    "has changed": lambda content: content[:-9] + bytes([content[-9] ^ 64]) + content[-8:],
    "longer than it was": lambda content: content + b"\0",
    "missing": None,
}


@pytest.mark.parametrize("name", ["model.safetensors", "training_state.safetensors", "config.json"])
@pytest.mark.parametrize("what", DAMAGES)
def test_damaged_checkpoint_is_skipped(run, name, what):
    expected = losses(run.folder)
    path = run.folder / "checkpoint-12" / name
    if DAMAGES[what] is None:
        path.unlink()
        (run.folder / name).unlink()
    else:
        damaged = DAMAGES[what](path.read_bytes())
        path.write_bytes(damaged)  # the run folder links to the same file
    add_line(run.folder, '{"number": 13, "lo')
    notes = []
    again = Run.resume(run.folder, {}, notes.append)
    assert again.step == 8
    (note,) = notes
    assert note.startswith(f"checkpoint-12 is damaged ({name} ")
    assert note.endswith(f"{what}): continuing from checkpoint-8")
    assert len(losses(run.folder)) == 8
    assert damage(run.folder) is None  # the model that others open is intact again
    for _ in again.steps():
        pass
    assert losses(run.folder) == expected
    np.testing.assert_array_equal(again.model.flat.params, run.model.flat.params)
    assert [damage(path) for path in run.folder.glob("checkpoint-*")] == [None, None]


@pytest.mark.parametrize("position", [0.1, 0.5, 0.9])
def test_flipped_bit_in_training_json_is_noticed(run, position):
    path = run.folder / "checkpoint-12" / "training.json"
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 1
    path.write_bytes(content)
    notes = []
    assert Run.resume(run.folder, {}, notes.append).step == 8
    assert "checkpoint-12 is damaged" in notes[0]


def test_run_resumes_from_its_folder_without_checkpoints(run):
    for step in steps_of(run.folder):
        shutil.rmtree(checkpoints.path_of(run.folder, step))
    assert Run.resume(run.folder, {}).step == 12


def test_resume_without_any_whole_checkpoint_is_refused(run):
    for path in run.folder.glob("**/model.safetensors"):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content[:-1])
    before = contents(run.folder)
    with pytest.raises(ValueError, match=r"no intact checkpoint: checkpoint-12 .*cut short"):
        Run.resume(run.folder, {})
    assert contents(run.folder) == before | {".lock": str(os.getpid()).encode()}


NONSENSE = (
    *("", "[]", "{}", "[" * 100_000, '{"step": 3}', '{"step": 3, "settings": 3}'),
    *(f'{{"step": {step}, "settings": {{}}}}' for step in ("[]", "1e999", '"x"')),
)


@pytest.mark.parametrize("content", NONSENSE, ids=range(len(NONSENSE)))
def test_invalid_training_json_is_named(tmp_path, content):
    (tmp_path / "training.json").write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"damaged \(training\.json cannot be read\)"):
        Run.resume(tmp_path, {})


def test_copied_checkpoint_is_a_run_of_its_own(run, tmp_path):
    shutil.copytree(run.folder / "checkpoint-8", tmp_path / "copy")
    copy = Run.resume(tmp_path / "copy", {})
    for _ in copy.steps():
        pass
    np.testing.assert_array_equal(copy.model.flat.params, run.model.flat.params)
    with pytest.raises(ValueError, match="copy the checkpoint elsewhere"):
        Run.resume(run.folder / "checkpoint-8", {})


def test_run_of_version_0_1_can_be_resumed(run):
    """Version 0.1 wrote such runs."""
    for step in steps_of(run.folder):
        shutil.rmtree(checkpoints.path_of(run.folder, step))
    path = run.folder / "training.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    old = {name: record[name] for name in ("version", "step", "floor_bits_per_character")}
    new = ("keep", "spike", "on_divergence")
    settings = {name: value for name, value in record["settings"].items() if name not in new}
    path.unlink()
    path.write_text(json.dumps({**old, "settings": settings}), encoding="utf-8")
    add_line(run.folder, '{"number": 13}\n')
    again = Run.resume(run.folder, {"steps": 13})
    assert again.step == 12
    assert [step.number for step in again.steps()] == [13]
    assert len(losses(run.folder)) == 13
    assert steps_of(run.folder) == [13]


def test_resume_refuses_a_changed_text(run, tmp_path):
    (tmp_path / "text.txt").write_text(TEXT.replace("goose", "g00se"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"no longer what it was.*--init-from"):
        Run.resume(run.folder, {"steps": 16})


@pytest.mark.parametrize("function", ["fsync", "replace", "rename", "mkdir"])
def test_failed_save_keeps_the_previous_checkpoint(run, monkeypatch, function):
    before = contents(run.folder / "checkpoint-12")

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    again = Run.resume(run.folder, {"steps": 20})
    with monkeypatch.context() as patch:
        patch.setattr(os, function, full)
        with pytest.raises(RunNotWritten, match=r"No space left.*step 12 is intact.*--resume"):
            list(again.steps())
    assert contents(run.folder / "checkpoint-12") == before
    assert damage(run.folder) is None
    assert not list(run.folder.glob(".*.tmp"))
    del again  # then another run in this process may continue
    on = Run.resume(run.folder, {"steps": 20})
    assert on.step == 12
    assert [step.number for step in on.steps()] == list(range(13, 21))


def test_checkpoint_is_renamed_after_it_is_flushed(run, monkeypatch):
    flushed, named = set(), []
    fsync, rename = os.fsync, os.rename

    def flush(handle):
        flushed.add(os.fstat(handle).st_ino)
        fsync(handle)

    def name(source, target):
        if Path(target).name == "checkpoint-16":
            content = [*Path(source).iterdir(), run.folder / "metrics.jsonl"]
            content += [Path(source)] if os.name == "posix" else []
            assert {path.stat().st_ino for path in content} <= flushed
            assert len(content) >= 8
            flushed.discard(run.folder.stat().st_ino)
            named.append(target)
        rename(source, target)

    again = Run.resume(run.folder, {"steps": 16})
    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "rename", name)
    list(again.steps())
    assert len(named) == 1
    assert run.folder.stat().st_ino in flushed or os.name != "posix"


def test_leftover_temporary_files_are_removed(run):
    (run.folder / ".checkpoint-16.tmp").mkdir()
    (run.folder / ".checkpoint-16.tmp" / "config.json").touch()
    (run.folder / ".config.json.x.tmp").touch()
    Run.resume(run.folder, {})
    assert not list(run.folder.glob(".*.tmp"))


def test_folder_of_a_crash_before_the_first_checkpoint_is_free(settings, tmp_path):
    folder = tmp_path / "run"
    (folder / ".checkpoint-0.tmp").mkdir(parents=True)
    (folder / ".lock").touch()
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        Run.resume(folder, {})
    Run.new(settings, folder)
    assert steps_of(folder) == [0]


def test_lock_refuses_a_second_process(run):
    script = "import sys; from minigpt.support.lock import FolderLock; from pathlib import Path\n"
    script += "lock = FolderLock(Path(sys.argv[1])).__enter__(); print('held'); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", script, run.folder],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8",
    ) as process:  # fmt: skip
        process.stdout.read(4)
        for attempt in (lambda: Run.resume(run.folder, {}), lambda: next(run.steps()), run.save):
            with pytest.raises(BlockingIOError, match=f"being trained by process {process.pid}"):
                attempt()
        process.kill()
    assert Run.resume(run.folder, {}).step == 12


def test_lock_may_be_entered_twice(tmp_path):
    lock = FolderLock(tmp_path)
    with lock, lock:
        pass
    with FolderLock(tmp_path), pytest.raises(BlockingIOError, match=str(os.getpid())), lock:
        pass


def test_lock_can_remove_its_file(tmp_path):
    path = tmp_path / ".lock"
    with FolderLock(tmp_path, stays=False):
        assert path.read_text() == str(os.getpid())
    assert not path.exists()
    path.write_text("7")  # a killed process leaves it so
    with suppress(ZeroDivisionError), FolderLock(tmp_path, stays=False):
        raise ZeroDivisionError
    assert path.read_text() == "7"
    with FolderLock(tmp_path, stays=False):
        pass
    assert not path.exists()


def test_saving_a_model_into_a_locked_folder_is_refused(run, tmp_path):
    model = Run.resume(run.folder, {}).model
    before = contents(run.folder)
    refused = pytest.raises(BlockingIOError, match=f"being written by process {os.getpid()}")
    with FolderLock(run.folder), refused:
        model.save_pretrained(run.folder)
    assert contents(run.folder) == before
    model.save_pretrained(tmp_path / "model")
    with FolderLock(tmp_path / "model", stays=False), pytest.raises(BlockingIOError):
        model.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model" / ".lock").exists()


def test_run_continued_by_another_process_is_refused(run):
    stale = Run.resume(run.folder, {"steps": 16})
    for _ in Run.resume(run.folder, {"steps": 16}).steps():
        pass
    before = contents(run.folder)
    for attempt in (stale.save, lambda: next(stale.steps())):
        with pytest.raises(RuntimeError, match="another process has continued"):
            attempt()
    assert contents(run.folder) == before


def step(loss: float) -> Step:
    return Step(7, loss, 1.0, 1e-3, 1.0)


def test_divergence_is_a_loss_far_above_its_running_mean():
    assert usual_loss(None, step(4.0), 0.5, 100) == 4.0
    assert usual_loss(4.0, step(2.0), 0.5, 100) == pytest.approx(3.9)
    limit = 4 + 0.5 * np.log(100)
    assert usual_loss(4.0, step(limit - 1e-9), 0.5, 100) > 4
    with pytest.raises(TrainingDiverged, match=r"step 7: the loss is 6.30, far above the 4.00"):
        usual_loss(4.0, step(limit + 1e-9), 0.5, 100)
    assert usual_loss(4.0, step(1e9), None, 100) > 4


def diverging(monkeypatch, above: float) -> None:
    """Make the loss of step 6 NaN if the learning rate is above `above`."""
    original = training.train

    def train(model, dataset, settings, *others):
        for each in original(model, dataset, settings, *others):
            if each.number == 6 and settings.learning_rate > above:
                raise TrainingDiverged("step 6: the loss is nan")
            yield each

    monkeypatch.setattr("minigpt.runs.run.train", train)


def test_divergence_goes_back_and_halves_the_learning_rate(settings, tmp_path, monkeypatch):
    diverging(monkeypatch, above=1e-3)
    settings = settings.replace({"on_divergence": "back"})
    notes = []
    run = Run.new(settings, tmp_path / "run", notes.append)
    numbers = [each.number for each in run.steps()]
    # First back to the last checkpoint; as that does not help, to the one before it.
    assert numbers == [1, 2, 3, 4, 5, 5, *range(2, 13)]
    assert run.settings.learning_rate == settings.learning_rate / 4
    assert "Going back to step 4, learning rate 0.0015" in notes[-2]
    assert "Going back to step 1, learning rate 0.00075" in notes[-1]
    assert [row["number"] for row in metrics(run.folder)] == list(range(1, 13))
    (first, second) = run.progress.setbacks
    assert (first["after"], first["back_to"], first["learning_rate"]) == (5, 4, 1.5e-3)
    assert (second["after"], second["back_to"], second["learning_rate"]) == (5, 1, 7.5e-4)
    assert second["why"] == "step 6: the loss is nan"

    resumed = Run.resume(run.folder, {"steps": 14})
    assert resumed.progress.setbacks == [first, second]
    assert resumed.settings.learning_rate == settings.learning_rate / 4

    # If the run is killed after the setbacks, before it saves, the same happens again.
    again = Run.new(settings, tmp_path / "again")
    for each in again.steps():
        if each.number == 3 and again.progress.setbacks:
            break
    del each, again
    again = Run.resume(tmp_path / "again", {})
    assert again.step == 4
    assert [each.number for each in again.steps()] == [5, 5, *range(2, 13)]
    assert again.progress.setbacks == run.progress.setbacks
    assert losses(again.folder) == losses(run.folder)
    np.testing.assert_array_equal(again.model.flat.params, run.model.flat.params)


@pytest.mark.parametrize(("policy", "setbacks"), [("stop", 0), ("back", MAX_SETBACKS)])
def test_repeated_divergence_stops_training(settings, tmp_path, monkeypatch, policy, setbacks):
    diverging(monkeypatch, above=0)
    notes = []
    run = Run.new(settings.replace({"on_divergence": policy}), tmp_path / "run", notes.append)
    with pytest.raises(TrainingDiverged, match="step 6"):
        list(run.steps())
    assert sum("Going back" in note for note in notes) == setbacks
    assert damage(run.folder) is None
    assert Run.resume(run.folder, {}).step in (1, 4)


def test_replacing_folder_is_atomic(tmp_path):
    target = tmp_path / "target"
    for broken in (False, True):
        try:
            with files.replacing_folder(target) as temporary:
                (temporary / "a").write_text(str(broken))
                assert not (tmp_path / "target" / "a").exists() or broken
                if broken:
                    raise KeyboardInterrupt
        except KeyboardInterrupt:
            pass
        assert [path.name for path in tmp_path.iterdir()] == ["target"]
        assert (target / "a").read_text() == "False"
