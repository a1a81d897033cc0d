import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from minigpt import Settings, load_tokenizer, preset

TEXT = "my dear goose, take this lantern. my dear fox, where is my lantern?\n" * 60
TURN = TEXT[:3000] + "ZYXWV 0123456789 " * 20  # validation text unlike the training text
TINY = (
    *("--n-layers", "1", "--n-heads", "2", "--d-model", "16", "--block-size", "16"),
    *("--batch-size", "4", "--steps", "6", "--eval-every", "3", "--sample-every", "3"),
    *("--eval-tokens", "64", "--sample-tokens", "8", "--vocab-size", "280", "--threads", "1"),
)


def minigpt(*arguments, cwd, stdin="", **environment):
    return subprocess.run(
        [sys.executable, "-m", "minigpt", *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        env={**os.environ, "MINIGPT_CACHE": str(Path(cwd) / "cache"), **environment},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with a text and a run, trained by the command itself."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    done = minigpt("train", "--data", "text.txt", "--out", "runs/a", *TINY, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "step 6/6" in done.stderr
    assert "minigpt generate" in done.stderr
    return folder


def test_train_writes_a_run_folder(folder):
    run = folder / "runs" / "a"
    assert {path.name for path in run.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        *("generation_config.json", "training.json", "training_state.safetensors"),
        *("metrics.jsonl", "layers.jsonl", "samples.txt", ".lock", "checkpoint-3", "checkpoint-6"),
    }
    latest = {path.name: path.read_bytes() for path in (run / "checkpoint-6").iterdir()}
    assert latest == {name: (run / name).read_bytes() for name in latest}
    assert {"model.safetensors", "tokenizer.json", "training_state.safetensors"} <= latest.keys()
    record = json.loads((run / "training.json").read_text(encoding="utf-8"))
    assert record["step"] == 6
    assert record["settings"]["d_model"] == 16
    assert record["settings"]["data"] == ["text.txt"]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["number"] for row in rows if "val_bits" in row] == [1, 3, 6]
    assert (run / "samples.txt").read_text(encoding="utf-8").count("──── step") == 2


def test_generate_prints_text_and_nothing_else(folder):
    done = minigpt(
        *("generate", "runs/a", "--prompt", "my dear", "--max-new-tokens", 20, "--seed", 1),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("my dear")
    assert len(done.stdout) > len("my dear\n")
    assert done.stderr == ""
    piped = minigpt(
        *("generate", "runs/a", "--prompt", "-", "--max-new-tokens", 20, "--seed", 1),
        cwd=folder,
        stdin="my dear",
    )
    assert piped.stdout == done.stdout


def test_generate_writes_several_texts(folder):
    common = ("generate", "runs/a", "--max-new-tokens", 12, "--seed", 1)
    done = minigpt(*common, "--prompt", "my dear", "--prompt", "fox", "--samples", 2, cwd=folder)
    assert done.returncode == 0, done.stderr
    headings = [line for line in done.stdout.splitlines() if line.startswith("────")]
    assert headings == [f"──── {i}/4 ────" for i in range(1, 5)]
    json_lines = minigpt(*common, "--prompt", "my dear", "--json", cwd=folder)
    (row,) = map(json.loads, json_lines.stdout.splitlines())
    assert row["prompt"] == "my dear"
    assert len(row["ids"]) == len(row["log_probs"]) == 12
    assert row["finish_reason"] == "length"
    streamed = minigpt(*common, "--prompt", "my dear", cwd=folder)
    assert streamed.stdout == "my dear" + row["text"] + "\n"
    letter = row["text"][1]
    stopped = minigpt(*common, "--prompt", "my dear", "--stop", letter, cwd=folder)
    assert stopped.stdout == "my dear" + row["text"].partition(letter)[0] + "\n"


def test_commands_open_the_best_checkpoint_and_say_so(folder):
    (folder / "turn.txt").write_text(TURN, encoding="utf-8")
    done = minigpt(
        *("train", "--data", "turn.txt", "--out", "runs/turn", *TINY, "--steps", "24"),
        *("--learning-rate", "0.03", "--patience", "0"),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((folder / "runs/turn/checkpoint-24/training.json").read_text("utf-8"))
    best = record["best"]["step"]
    assert best < 24
    said = (
        f"runs/turn: step {best}, the best by validation; --checkpoint last for the last, step 24"
    )
    outputs = {}
    for which in ("best", "last", "24", str(best)):
        for command in (
            *(["generate", "--seed", 1, "--max-new-tokens", 30], ["eval"], ["check"]),
            ["explain", "my dear", "-o", "page.html"],
        ):
            name, *rest = command
            done = minigpt(name, "runs/turn", *rest, "--checkpoint", which, cwd=folder)
            assert done.returncode == 0, done.stderr
            assert (said in done.stderr) == (which == "best")
            outputs[name, which] = done.stdout
    for name in ("generate", "eval"):
        assert outputs[name, "best"] == outputs[name, str(best)] != outputs[name, "last"]
        assert outputs[name, "last"] == outputs[name, "24"]
    wrong = minigpt("generate", "runs/turn", "--checkpoint", "7", cwd=folder)
    assert wrong.returncode == 1
    assert "--checkpoint must be best, last or one of" in wrong.stderr


def test_early_stopping_is_mentioned_by_every_command(folder):
    (folder / "turn.txt").write_text(TURN, encoding="utf-8")
    done = minigpt(
        *("train", "--data", "turn.txt", "--out", "runs/early", *TINY, "--steps", "60"),
        *("--learning-rate", "0.03", "--patience", "2"),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    assert "stopped early" in done.stderr
    (row,) = map(
        json.loads, minigpt("runs", "runs/early", "--json", cwd=folder).stdout.splitlines()
    )
    assert row["stopped_early"]
    assert row["step"] < 60
    assert "stopped early" in minigpt("runs", "runs/early", cwd=folder, COLUMNS="120").stdout
    again = minigpt("train", "--resume", "runs/early", cwd=folder)
    assert again.returncode == 1
    assert f"stopped early, after step {row['step']}, as 2 evaluations" in again.stderr
    assert "--patience" in again.stderr
    on = minigpt("train", "--resume", "runs/early", "--patience", "0", cwd=folder)
    assert on.returncode == 0, on.stderr
    assert "step 60/60" in on.stderr


def test_fine_tuning_keeps_architecture_tokenizer_and_frozen_layers(folder):
    done = minigpt(
        *("train", "--init-from", "runs/a", "--data", "text.txt", "--out", "runs/fine"),
        *("--block-size", 16, "--steps", 2, "--batch-size", 4, "--freeze", 1, "--eval-tokens", 64),
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    assert "of them learn" in done.stderr
    record = json.loads((folder / "runs/fine/training.json").read_text(encoding="utf-8"))
    assert (record["settings"]["d_model"], record["settings"]["vocab_size"]) == (16, 280)
    more = minigpt("train", "--resume", "runs/fine", "--steps", 3, cwd=folder)
    assert more.returncode == 0, more.stderr
    old, new = (load_file(folder / "runs" / run / "model.safetensors") for run in ("a", "fine"))
    same = {name for name in old if (old[name] == new[name]).all()}
    assert same == {name for name in old if not name.startswith(("transformer.ln_f", "lm_head"))}
    tokenizers = [(folder / "runs" / run / "tokenizer.json").read_bytes() for run in ("a", "fine")]
    assert tokenizers[0] == tokenizers[1]


def test_eval_measures_a_run_on_its_own_and_on_another_text(folder):
    done = minigpt("eval", "runs/a", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "validation part of text" in done.stdout
    assert "bits per character" in done.stdout
    assert "bits/char" not in done.stdout  # the unit is printed once
    (folder / "other.txt").write_text("my dear goose " * 20, encoding="utf-8")
    other = minigpt("eval", "runs/a", "--data", "other.txt", cwd=folder)
    assert f"other, {14 * 20} characters" in other.stdout
    for unit in ("per token", "per word", "bits per byte", "bits per character"):
        assert unit in other.stdout
    strided = minigpt("eval", "runs/a", "--data", "other.txt", "--stride", 4, cwd=folder)
    assert "windows of 16, moved by 4 tokens" in strided.stdout
    shutil.copytree(folder / "runs" / "a", folder / "bare")
    (folder / "bare" / "training.json").unlink()
    bare = minigpt("eval", "bare", cwd=folder)
    assert (bare.returncode, bare.stdout) == (1, "")
    assert "give one with --data" in bare.stderr


def test_tokenize_compares_tokenizers(folder):
    done = minigpt("tokenize", "my dear goose\U0001f986", "--data", "text.txt", cwd=folder)
    assert done.returncode == 0, done.stderr
    for line in ("my| |dear| |goose", "m|y| |d|e|a|r", "the showdown"):
        assert line in done.stdout
    assert "\x1b" not in done.stdout
    alone = minigpt("tokenize", "-", "--tokenizer", "runs/a", cwd=folder, stdin="my dear")
    assert alone.returncode == 0
    assert "runs/a" in alone.stdout


def test_check_prints_its_tables_and_nothing_else(folder):
    for arguments in ([], ["runs/a"]):
        done = minigpt("check", *arguments, cwd=folder, COLUMNS="60")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1].endswith("checks pass")
        assert all(len(line) <= 60 for line in done.stdout.splitlines())
        for name in ("head Linear", "the whole model", "causal mask", "bpe tokenizer"):
            assert name in done.stdout
        assert "✗" not in done.stdout
        assert "\x1b" not in done.stdout
        assert done.stderr == ""


def test_fetch_and_data_say_what_to_do_without_network(folder):
    dead = {"MINIGPT_MIRROR": "http://127.0.0.1:9", "no_proxy": "*"}
    done = minigpt("fetch", "shakespeare", cwd=folder, **dead)
    assert done.returncode == 1
    assert "--data plays" in done.stderr
    assert "Traceback" not in done.stderr
    train = minigpt("train", "--data", "shakespeare", cwd=folder)
    assert "minigpt fetch shakespeare" in train.stderr


def test_demo_trains_on_the_plays_and_writes_scenes(tmp_path):
    done = minigpt("demo", "--steps", 2, "--out", "runs/d", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "floor" in done.stderr
    assert len(done.stdout) > 200
    assert "What to try next" in done.stderr


def test_help_explains_every_command(folder):
    commands = "demo train runs plot generate eval explain explore prepare tokenize check fetch"
    for command in ["", *commands.split()]:
        done = minigpt(*command.split(), "--help", cwd=folder)
        assert done.returncode == 0
        assert "minigpt " + command in done.stdout
    assert "(0.001*)" in minigpt("train", "--help", cwd=folder).stdout


def test_flags_override_a_settings_file(folder):
    (folder / "my.toml").write_text('data = ["text.txt"]\nn_layers = 2\nsteps = 1\n')
    done = minigpt(
        *("train", "--config", "my.toml", "--out", "runs/toml", *TINY, "--steps", "2"), cwd=folder
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((folder / "runs/toml/training.json").read_text(encoding="utf-8"))
    settings = record["settings"]
    assert (settings["n_layers"], settings["steps"], settings["data"]) == (1, 2, ["text.txt"])


def test_train_chooses_a_free_name_and_overwrites_nothing(folder):
    for expected in ("runs/text", "runs/text-2"):
        done = minigpt("train", "--data", "text.txt", *TINY, "--steps", "1", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert (folder / expected / "model.safetensors").exists()
    before = (folder / "runs/a/model.safetensors").read_bytes()
    again = minigpt("train", "--data", "text.txt", "--out", "runs/a", *TINY, cwd=folder)
    assert again.returncode == 1
    assert "already exists" in again.stderr
    assert "--resume" in again.stderr
    assert (folder / "runs/a/model.safetensors").read_bytes() == before


INTERRUPTED = """
import os, signal, sys
from minigpt.commands import cli
from minigpt.show import display
name, number, twice, *arguments = sys.argv[1:]
show, fsync = display.TrainingDisplay.show, os.fsync
def show_and_interrupt(self, step):
    show(self, step)
    if step.number == int(number):
        if twice == "twice":
            os.fsync = fsync_and_interrupt
        signal.raise_signal(signal.Signals[name])
def fsync_and_interrupt(handle):
    fsync(handle)
    signal.raise_signal(signal.Signals[name])
display.TrainingDisplay.show = show_and_interrupt
sys.exit(cli.main(arguments))
"""


def interrupted(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


def test_interrupted_training_loses_nothing(folder):
    sizes = ["--data", "text.txt", *TINY, "--steps", "50", "--dropout", "0.1"]
    whole = minigpt("train", "--out", "runs/whole", *sizes, cwd=folder)
    assert whole.returncode == 0, whole.stderr
    half = interrupted(folder, "SIGINT", 20, "once", "train", "--out", "runs/half", *sizes)
    assert half.returncode == 130, half.stderr
    assert "once more to stop at once" in half.stderr
    assert "stopped after step 20" in half.stderr
    assert "minigpt train --resume" in half.stderr
    assert "minigpt generate" in half.stderr
    more = interrupted(folder, "SIGTERM", 34, "once", "train", "--resume", "runs/half")
    assert more.returncode == 143, more.stderr
    assert "continuing runs/half after step 20" in more.stderr.replace(os.sep, "/")
    twice = interrupted(folder, "SIGINT", 38, "twice", "train", "--resume", "runs/half")
    assert twice.returncode == 130, twice.stderr
    assert "Traceback" not in twice.stderr
    assert not list((folder / "runs/half").glob(".*.tmp"))
    on = minigpt("train", "--resume", "runs/half", cwd=folder)
    assert on.returncode == 0, on.stderr
    assert "after step 36" in on.stderr  # the second Ctrl-C does not wait until all is saved
    assert "continuing" in on.stderr
    for file in ("model.safetensors", "training_state.safetensors", "samples.txt"):
        assert (folder / "runs/half" / file).read_bytes() == (
            folder / "runs/whole" / file
        ).read_bytes()

    def rows_without_times(run):
        rows = (folder / "runs" / run / "metrics.jsonl").read_text().splitlines()
        return [json.loads(row) | {"tokens_per_second": None} for row in rows]

    assert rows_without_times("half") == rows_without_times("whole")


def test_resume_names_a_damaged_checkpoint_and_uses_the_previous(folder):
    shutil.copytree(folder / "runs" / "a", folder / "runs" / "b")
    path = folder / "runs" / "b" / "checkpoint-6" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    (folder / "runs" / "b" / "model.safetensors").write_bytes(path.read_bytes())
    done = minigpt("train", "--resume", "runs/b", cwd=folder)
    assert done.returncode == 0, done.stderr
    what = "checkpoint-6 is damaged (model.safetensors is cut short): continuing from checkpoint-3"
    assert what in done.stderr
    for name in ("checkpoint-6/model.safetensors", "model.safetensors"):
        assert (folder / "runs/b" / name).read_bytes() == (folder / "runs/a" / name).read_bytes()


FULL = """
import errno, os, sys
from minigpt.commands import cli
def full(handle):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
os.fsync = full
sys.exit(cli.main(sys.argv[1:]))
"""


def test_train_reports_a_full_disk(folder):
    for arguments, kept in (
        (["--resume", "runs/a", "--steps", "9"], "checkpoint of step 6 is intact"),
        (["--data", "text.txt", "--out", "runs/full", *TINY], "Nothing was saved yet"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", FULL, "train", *arguments],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        assert done.returncode == 1
        assert "No space left on device" in done.stderr
        assert kept in done.stderr
        assert "Traceback" not in done.stderr
    assert minigpt("generate", "runs/a", "--max-new-tokens", 1, cwd=folder).returncode == 0


def test_diverging_run_keeps_its_last_good_state(folder):
    done = minigpt(
        *("train", "--data", "text.txt", "--out", "runs/wild", *TINY, "--optimizer", "sgd"),
        *("--learning-rate", "1e30", "--warmup", "0", "--eval-every", "1"),
        cwd=folder,
    )
    assert done.returncode == 1
    assert "lower learning rate" in done.stderr
    assert "last good state is in" in done.stderr
    assert "Traceback" not in done.stderr
    assert minigpt("generate", "runs/wild", cwd=folder).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["trian"], 2, "unknown command 'trian': did you mean 'train'?"),
        (["--helpp"], 2, "did you mean '--help'"),
        (["generate"], 2, "required: MODEL"),
        (["explain", "runs/a"], 2, "required: TEXT"),
        (["tokenize", "my dear", "--tokeniser", "bpe"], 2, "did you mean '--tokenizer'"),
        (["generate", "--Top_p", "1"], 2, "did you mean '--top-p'"),
        (["generate", "runs/a", "--temp", "1"], 2, "did you mean '--temperature'"),
        (["generate", "runs/a", "--prompt", "--json"], 2, "write --prompt=--json"),
        (["train", "text.txt"], 2, "did you mean --data text.txt?"),
        (["runs", "-x.txt"], 2, "for the file of that name, write ./-x.txt"),
        (["train", "--n-layer", "3"], 2, "did you mean '--n-layers'"),
        (["train", "--preset", "shakespere-char"], 2, "did you mean 'shakespeare-char'"),
        (["train", "--steps", "many"], 2, "--steps: must be a whole number, got 'many'"),
        (["train", "--dropout", "x"], 2, "--dropout: must be a number, got 'x'"),
        (["train", "--lr", "1"], 2, "unknown flag '--lr': did you mean '--learning-rate'?"),
        (["eval", "x", "--lr", "1"], 2, "unknown flag '--lr'"),
        (["train", "--steps", "0"], 1, "--steps must be at least 1, got 0"),
        (["train", "--data", "missing.txt"], 1, "no file 'missing.txt'"),
        (["train", "--data", "text.txt", "--tokenizer", "bpee"], 1, "did you mean 'bpe'"),
        (["train", "--data", "text.txt", "--vocab-size", "100"], 1, "--vocab-size 100 is too"),
        (
            ["train", "--data", "short.txt"],
            1,
            "has 7 characters: to learn from it, and to evaluate",
        ),
        (
            ["train", "--data", "text.txt", "--d-model", "30", "--vocab-size", "257"],
            1,
            "must be a multiple of --n-heads, got --d-model 30, --n-heads 4: choose 28 or 32",
        ),
        (["train", "--config", "missing.toml"], 1, "missing.toml"),
        (["train", "--resume", "nowhere"], 1, "not a run folder"),
        (["train", "--resume", "runs/a", "--d-model", "8"], 1, "--d-model cannot change"),
        (["train", "--resume", "runs/a"], 1, "has done all its 6 steps"),
        (["train", "--resume", "runs/a", "--out", "x"], 1, "leave out --out"),
        (["train", "--resume", "runs/a", "--preset", "demo"], 1, "leave out --preset"),
        (["train", "--resume", "runs/a/checkpoint-3"], 1, "is a checkpoint of the run"),
        (["train", "--keep", "0"], 1, "--keep must be at least 1, got 0"),
        (["train", "--spike", "0"], 1, "--spike must be more than 0, got 0"),
        (["train", "--on-divergence", "bakc"], 1, "did you mean 'back'"),
        (["train", "--freeze", "1"], 1, "--freeze needs --init-from"),
        (
            ["train", "--init-from", "runs/a", "--n-heads", "4"],
            1,
            "--n-heads comes from the model in --init-from",
        ),
        (["train", "--data", "text.txt", "--block-size", "9999"], 1, "choose --block-size "),
        (["train", "--init-from", "nowhere", "--data", "text.txt"], 1, "not a model folder"),
        (["generate", "nowhere"], 1, "nowhere is not a model folder"),
        (["generate", "text.txt"], 1, "text.txt is a file, but a model folder is needed"),
        (["eval", "runs/a/config.json"], 1, "give the folder it is in, runs/a"),
        (["explain", "text.txt", "hi"], 1, "minigpt train --data"),
        (["check", "existing.py"], 1, "minigpt.check_gradients"),
        (["check", "text.txt"], 1, "is a file"),
        (["plot", "text.txt"], 1, "is not a run folder: it is a file"),
        (["plot", "nowhere"], 1, "is not a run folder: it does not exist"),
        (["runs", "text.txt"], 1, "it is a file"),
        (["runs", "nowhere"], 1, "it does not exist"),
        (["train", "--resume", "text.txt"], 1, "is not a run folder: it is a file"),
        (["generate", "gtp2"], 1, "did you mean 'gpt2'"),
        (["generate", "runs/a", "--stop", ""], 1, "none of them empty"),
        (["generate", "runs/a", "--samples", "0"], 1, "--samples must be at least 1"),
        (["generate", "runs/a", "--min-p", "2"], 1, "--min-p must be"),
        (["generate", "runs/a", "--repetition-penalty", "0"], 1, "--repetition-penalty must be"),
        (["generate", "runs/a", "--seed", "-1"], 2, "must be a whole number, 0 or more, got '-1'"),
        (["check", "--seed", "x"], 2, "must be a whole number, 0 or more, got 'x'"),
        (["check", "nowhere"], 1, "nowhere is not a model folder"),
        (["eval", "runs/a", "--stride", "16"], 1, "--stride must be at least 1 and less"),
        (["eval", "runs/a", "--allow-special"], 1, "--allow-special is for another text"),
        (["train", "--data", "text.txt", "--field", "a"], 1, "leave out --field"),
        (["generate", "runs/a", "--temperature", "-1"], 1, "--temperature must be 0"),
        (["generate", "runs/a", "--top-p", "2"], 1, "--top-p must be"),
        (["generate", "runs/a", "--top-k", "0"], 1, "--top-k must be at least 1"),
        (["generate", "runs/a", "--max-new-tokens", "0"], 1, "--max-new-tokens must be at least 1"),
        (["eval", "runs/a", "--data", "short.txt", "--dat"], 2, "did you mean '--data'"),
        (["check", "--sed", "1"], 2, "did you mean '--seed'"),
        (["fetch", "shakespear"], 1, "did you mean 'shakespeare'"),
    ],
)
def test_invalid_command_lines_get_a_message_without_traceback(folder, arguments, code, message):
    for name in ("short.txt", "-x.txt", "existing.py"):
        (folder / name).write_text("my dear", encoding="utf-8")
    done = minigpt(*arguments, cwd=folder)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_unknown_flag_gets_a_suggestion_and_one_line_of_usage(folder):
    done = minigpt("train", "--learning-rat", "1", cwd=folder, COLUMNS="40")
    guess, usage, where = done.stderr.splitlines()
    assert guess.endswith("unknown flag '--learning-rat': did you mean '--learning-rate'?")
    assert usage == "usage: minigpt train [flags]"
    assert where == "For help: minigpt train --help"


def test_minigpt_without_a_command_prints_help(folder):
    bare, asked = minigpt(cwd=folder), minigpt("--help", cwd=folder)
    assert (bare.returncode, bare.stdout, bare.stderr) == (0, asked.stdout, "")


GENERATE = (
    *("generate", "runs/m", "--prompt", "<|endoftext|>", "--max-new-tokens", "5", "--seed", "1"),
)
MARKED = "a tale of a goose.\n<|endoftext|>another one.\n<|endoftext|>" * 20


def test_commands_read_special_token_names_as_letters_unless_allowed(folder):
    (folder / "marked.txt").write_text(MARKED, encoding="utf-8")
    said = "read as letters, not as a special token"
    train = ("train", "--data", "marked.txt", *TINY)
    for flags, run, is_said in ((), "runs/letters", True), (("--allow-special",), "runs/m", False):
        done = minigpt(*train, "--out", run, *flags, "--prompt", "<|endoftext|>", cwd=folder)
        assert done.returncode == 0, done.stderr
        assert (said in done.stderr) == is_said
    done = minigpt("eval", "runs/m", cwd=folder)
    assert said not in done.stderr
    n_characters = next(line for line in done.stdout.splitlines() if line.startswith("text"))
    assert "64 characters" in n_characters
    for flags, is_said in ((), True), (("--allow-special",), False):
        for command in (
            ("eval", "runs/m", "--data", "marked.txt"),
            GENERATE,
            (*GENERATE, "--json"),
        ):
            done = minigpt(*command, *flags, cwd=folder)
            assert done.returncode == 0, done.stderr
            assert (said in done.stderr) == is_said
    new = minigpt(*("" if each == "<|endoftext|>" else each for each in GENERATE), cwd=folder)
    named = minigpt(*GENERATE, "--allow-special", cwd=folder)
    assert "<|endoftext|>" + new.stdout == named.stdout


@pytest.mark.parametrize("text", ["-hello", "--hello", "-h", "--json", "-1", "- a", "--prompt=x"])
def test_prompt_may_begin_with_a_dash(folder, text):
    common = ("generate", "runs/a", "--max-new-tokens", 1, "--seed", 1)
    glued = minigpt(*common, f"--prompt={text}", cwd=folder)
    assert glued.returncode == 0, glued.stderr
    assert glued.stdout.startswith(text)
    if text not in ("-h", "--json", "--prompt=x"):  # these are flags of the command
        assert minigpt(*common, "--prompt", text, cwd=folder).stdout == glued.stdout


@pytest.mark.parametrize("text", ["-hello", "--hello", "-only"])
def test_text_argument_may_begin_with_a_dash(folder, text):
    common = ("--tokenizer", "runs/a")
    after = minigpt("tokenize", *common, "--", text, cwd=folder)
    assert after.returncode == 0, after.stderr
    assert "".join(after.stdout.splitlines()[1].split("|")) == text
    assert minigpt("tokenize", text, *common, cwd=folder).stdout == after.stdout
    for arguments in ((text, "-o", "dash.html"), ("-o", "dash.html", "--", text)):
        done = minigpt("explain", "runs/a", *arguments, cwd=folder)
        assert (done.returncode, done.stdout) == (0, "dash.html\n"), done.stderr


def test_backslash_n_in_a_prompt_is_a_line_break(folder):
    common = ("generate", "runs/a", "--max-new-tokens", 1, "--json")
    texts = {r"\n": "\n", r"a\nb": "a\nb", r"\\nabla": r"\nabla", r"C:\dir": r"C:\dir", "\n": "\n"}
    prompts = [part for text in texts for part in ("--prompt", text)]
    done = minigpt(*common, *prompts, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["prompt"] for line in done.stdout.splitlines()] == [*texts.values()]
    cut = minigpt("tokenize", r"my\ndear", "--tokenizer", "runs/a", cwd=folder)
    assert cut.stdout == minigpt("tokenize", "my\ndear", "--tokenizer", "runs/a", cwd=folder).stdout
    typed = minigpt("generate", "runs/a", "--prompt", "-", *common[2:], cwd=folder, stdin=r"\n")
    assert json.loads(typed.stdout)["prompt"] == r"\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--optimizer", "adam"], "did you mean 'adamw'"),
        (["--activation", "gleu"], "did you mean 'gelu'"),
        (["--d-model", "130"], "--d-model must be a multiple of --n-heads"),
        (["--tokenizer", "foo"], "unknown tokenizer 'foo'"),
        (["--tokenizer", "text.txt"], "text.txt is not JSON"),
        (["--tokenizer", "char", "--vocab-size", "1"], "--vocab-size 1 is too small"),
        (["--vocab-size", "256"], "--vocab-size 256 is too small"),
        (["--out", "text.txt"], "text.txt already exists"),
        (["--out", "text.txt/deep/x"], "text.txt is a file"),
        (
            ["--init-from", "runs/a", "--block-size", "128"],
            "is more than the context of the model",
        ),
        (["--init-from", "runs/a", "--block-size", "8", "--freeze", "9"], "must be from 1 to 1"),
    ],
)
def test_invalid_settings_are_reported_before_any_text_is_read(folder, arguments, message):
    done = minigpt("train", "--data", "missing.txt", *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "missing.txt" not in done.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("d_model = 130", "d_model must be a multiple of n_heads, got d_model=130, n_heads=4"),
        ("n_layer = 3", "unknown setting 'n_layer': did you mean 'n_layers'"),
        ('steps = "many"', "steps must be int, got 'many'"),
        ("steps: 3", "is not a TOML file"),
        ('init_from = "gpt2"\nn_layers = 3', "n_layers comes from the model in init_from"),
    ],
)
def test_invalid_settings_file_is_named_with_its_keys(folder, line, message):
    (folder / "wrong.toml").write_text(line, encoding="utf-8")
    done = minigpt("train", "--data", "missing.txt", "--config", "wrong.toml", cwd=folder)
    assert done.returncode == 1
    assert "minigpt: wrong.toml" in done.stderr
    assert message in done.stderr


def test_invalid_flag_beside_a_settings_file_is_named_as_a_flag(folder):
    (folder / "right.toml").write_text("d_model = 130\nn_heads = 5", encoding="utf-8")
    done = minigpt("train", "--config", "right.toml", "--n-heads", "4", cwd=folder)
    assert "minigpt: --d-model must be a multiple of --n-heads" in done.stderr
    (folder / "half.toml").write_text("d_model = 130", encoding="utf-8")  # the flag corrects it
    more = ("--n-heads", "5", "--data", "missing.txt")
    done = minigpt("train", "--config", "half.toml", *more, cwd=folder)
    assert "no file 'missing.txt'" in done.stderr


def test_demo_help_shows_the_settings_of_demo(folder):
    lines = minigpt("demo", "--help", cwd=folder).stdout
    assert f"training steps ({preset('demo').steps})" in lines
    assert f"training steps ({Settings().steps}*)" in minigpt("train", "--help", cwd=folder).stdout


def test_commands_limit_the_vocabulary_to_what_the_text_allows(folder):
    (folder / "little.txt").write_text("a bee, a bee, a sea. " * 40, encoding="utf-8")
    wish = ("--vocab-size", "5000")
    sentence = "fewer than the 5,000 asked for"
    sizes = set()
    done = minigpt("train", "--data", "little.txt", "--out", "runs/v", *TINY, *wish, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert sentence in done.stderr
    record = json.loads((folder / "runs/v/training.json").read_text(encoding="utf-8"))
    sizes.add(record["settings"]["vocab_size"])
    sizes.add(load_tokenizer(folder / "runs/v").vocab_size)
    done = minigpt("prepare", "little.txt", "-o", "tokens", *wish, cwd=folder)
    assert sentence in done.stderr
    sizes.add(load_tokenizer(folder / "tokens").vocab_size)
    done = minigpt("tokenize", "a bee", "--data", "little.txt", *wish, cwd=folder)
    assert done.stderr.count(sentence) == 3
    assert len(sizes) == 1
    assert sizes.pop() < 300
