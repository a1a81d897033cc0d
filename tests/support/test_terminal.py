"""Output: no control characters, and no failure if a log cannot be written."""

import io
import json
import logging
import os
import re
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from tiny import tiny_model

from minigpt import CharTokenizer
from minigpt.commands.cli import main
from minigpt.support import terminal

posix = pytest.mark.skipif(sys.platform == "win32", reason="such names and streams are of Unix")

BAD = [
    *(c for c in map(chr, range(32)) if c not in "\n\t"),
    *map(chr, range(0x7F, 0xA0)),
    *"\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
]
SURROGATES = ["\udc80", "\udfff", "\ud800", "\udbff"]  # no two neighbours form a character
ODD = "x\x1b]0;owned\x07" + "".join(BAD[1:])  # without \0, which file names cannot have
OWN = re.compile(r"\x1b\[\??[\d;]*[A-Za-z]|\r")
"""Escape sequences that rich prints to a terminal: colours, cursor moves."""


def test_visible_escapes_control_characters():
    for c in (*BAD, *SURROGATES):
        shown = terminal.visible(f"a{c}b")
        assert shown[0] + shown[-1] == "ab"
        assert shown[1:-1].isprintable()
        assert len(shown) > 2
    every = [c for c in map(chr, range(0x110000)) if terminal.visible(c) != c]
    assert set(every) == {*BAD, *map(chr, range(0xD800, 0xE000))}
    assert terminal.visible("a\nb\té\u200f\u05d0👩\u200d🔬") == "a\nb\té\u200f\u05d0👩\u200d🔬"


def test_json_line_keeps_the_meaning():
    content = {"text": "".join((*map(chr, range(0x3000)), *SURROGATES)), ODD: 1}
    line = terminal.json_line(content)
    assert line.endswith("\n")
    assert terminal.visible(line) == line
    assert line.count("\n") == 1
    assert json.loads(line) == content


class Terminal(io.StringIO):
    """A stream that claims to be a terminal, or not."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self) -> bool:
        return self.is_terminal


def run(*arguments: object, is_terminal: bool = True) -> tuple[int, str, str]:
    """Run a command in this process; return its exit code, its results and its log."""
    out, log = Terminal(is_terminal), Terminal(is_terminal)
    with redirect_stdout(out), redirect_stderr(log):
        code = main(list(map(str, arguments)))
    return code, out.getvalue(), log.getvalue()


def no_control_characters_in(*printed: str) -> None:
    for text in printed:
        text = OWN.sub("", text)
        assert terminal.visible(text) == text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a run of an odd name, whose model writes control characters."""
    folder = tmp_path_factory.mktemp("odd")
    text = folder / f"{ODD}.txt"
    text.write_text(("my dear goose, " + ODD) * 99, encoding="utf-8")
    (folder / "runs").mkdir()
    tiny = "--n-layers 1 --n-heads 2 --d-model 16 --block-size 8 --batch-size 4 --steps 4"
    more = "--eval-every 2 --sample-every 2 --eval-tokens 64 --sample-tokens 8 --threads 1"
    code, out, log = run(
        *("train", "--data", text, "--tokenizer", "char", "--out", folder / "runs" / ODD),
        *tiny.split(),
        *more.split(),
    )
    assert code == 0
    assert "owned" in log
    no_control_characters_in(out, log)
    broken = folder / "runs" / f"broken-{ODD}"
    broken.mkdir()
    (broken / "training.json").write_text(json.dumps({"step": ODD}), encoding="utf-8")
    (folder / "odd.toml").write_text(f'data = ["a"]\n"{"owned"}\\u0085" = 3', encoding="utf-8")
    (folder / "bad.toml").write_bytes(b"\x1b]0;owned\x07")
    return folder


COMMANDS = [
    [ODD],
    ["runs", "RUNS"],
    ["runs", f"RUNS/{ODD}", "--json"],
    ["runs", f"nowhere/{ODD}"],
    ["plot", f"RUNS/{ODD}", "--text"],
    ["plot", f"RUNS/{ODD}", "-o", f"RUNS/../{ODD}.html"],
    ["plot", f"RUNS/{ODD}", "-o", f"RUNS/../plot.{ODD}"],
    ["plot", f"RUNS/broken-{ODD}", "--text"],
    ["generate", f"RUNS/{ODD}", "--prompt", ODD, "--temperature", "2", "--seed", "1"],
    ["generate", f"RUNS/{ODD}", "--prompt", ODD, "--samples", "2", "--seed", "1"],
    ["generate", f"RUNS/{ODD}", "--json", "--prompt", ODD, "--max-new-tokens", "9"],
    ["generate", f"RUNS/broken-{ODD}"],
    ["generate", f"nowhere/{ODD}"],
    ["generate", ODD],
    ["eval", f"RUNS/{ODD}"],
    ["eval", f"RUNS/{ODD}", "--data", f"nowhere/{ODD}"],
    ["explain", f"RUNS/{ODD}", ODD, "-o", f"RUNS/../{ODD}.html"],
    ["explain", f"RUNS/{ODD}", ODD, "-o", f"nowhere/{ODD}.html"],
    ["tokenize", ODD, "--tokenizer", f"RUNS/{ODD}", "char", "--data", f"RUNS/../{ODD}.txt"],
    ["tokenize", ODD, "--tokenizer", ODD],
    ["check", f"RUNS/{ODD}"],
    ["check", ODD],
    ["fetch", ODD],
    ["explore", f"nowhere/{ODD}", "--no-browser"],
    ["explore", f"RUNS/{ODD}", "--no-browser", "--host", ODD],
    ["prepare", f"RUNS/../{ODD}.txt", "-o", f"RUNS/../tokens-{ODD}", "--tokenizer", "char"],
    ["prepare", f"RUNS/../{ODD}.txt", "-o", f"RUNS/../tokens-{ODD}", "--tokenizer", "char"],
    ["prepare", ODD, "-o", ODD],
    ["train", "--resume", f"RUNS/{ODD}"],
    ["train", "--resume", ODD],
    ["train", "--data", f"RUNS/../{ODD}.txt", "--out", f"RUNS/{ODD}"],
    ["train", "--data", f"nowhere/{ODD}"],
    ["train", "--config", f"RUNS/../{ODD}.txt"],
    ["train", "--config", "RUNS/../odd.toml"],
    ["train", "--config", "RUNS/../bad.toml"],
    ["train", f"--{ODD}"],
    ["train", "--steps", ODD],
    ["train", "--preset", ODD],
    ["train", "--tokenizer", ODD],
    ["train", ODD],
]


@posix
@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0][:9])
def test_no_command_prints_control_characters(folder, monkeypatch, arguments, is_terminal):
    monkeypatch.setenv("COLUMNS", "400")
    arguments = [argument.replace("RUNS", str(folder / "runs")) for argument in arguments]
    code, out, log = run(*arguments, is_terminal=is_terminal)
    assert "Traceback" not in log
    assert out + log != ""
    if arguments[0] == "generate" and code == 0 and not is_terminal and "--json" not in arguments:
        assert ODD in out  # text of a model goes unchanged to a file or a pipe
        out = ""
    no_control_characters_in(out, log)


def test_json_of_runs_and_texts_is_exact(folder):
    _, out, _ = run("runs", folder / "runs", "--json")
    assert {json.loads(line)["folder"] for line in out.splitlines()} == {
        str(folder / "runs" / name) for name in (ODD, f"broken-{ODD}")
    }
    _, out, _ = run("generate", folder / "runs" / ODD, "--json", "--prompt", ODD)
    assert json.loads(out)["prompt"] == ODD


def test_logs_and_errors_hold_no_control_characters(monkeypatch):
    def work(name):
        logger = logging.getLogger("minigpt-test")
        logger.addHandler(logging.StreamHandler())
        logger.error(ODD)
        raise AssertionError(ODD)

    monkeypatch.setattr("minigpt.text.corpus.fetch.fetch", work)
    code, out, log = run("fetch", "shakespeare")
    assert code == 1
    assert log.count("owned") == 2
    assert "Traceback" in log
    no_control_characters_in(out, log)


def test_server_log_holds_no_control_characters():
    uvicorn = pytest.importorskip("uvicorn")
    log = Terminal(True)
    with redirect_stderr(log), terminal.safe_output():
        uvicorn.Config(None, log_level="error", use_colors=False)
        logging.getLogger("uvicorn.error").error(ODD)
    assert "owned" in log.getvalue()
    no_control_characters_in(log.getvalue())


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    tokenizer = CharTokenizer().train("my dear goose")
    tiny_model(tokenizer.vocab_size).save_pretrained(folder, tokenizer)
    return folder


def with_streams(command: str, streams: str, cwd: Path) -> tuple[int, str]:
    """Run a command with shell redirections; BROKEN is a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    line = f"exec {sys.executable} -m minigpt {command} {streams.replace('BROKEN', '&0')}"
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        stdin=writer, stderr=subprocess.PIPE, encoding="utf-8", cwd=cwd, timeout=120, check=False,
    )  # fmt: skip
    os.close(writer)
    return done.returncode, done.stderr


FULL = [(">/dev/full", 1, "No space left on device")] if Path("/dev/full").exists() else []


@posix
@pytest.mark.parametrize(
    ("streams", "code", "why"), [*FULL, (">&-", 1, "Bad file descriptor"), (">BROKEN", 141, "")]
)
@pytest.mark.parametrize(
    "command", ["generate . --seed 1", "generate . --json", "tokenize my --tokenizer .", "--help"]
)
def test_unwritable_results_are_an_error(model, command, streams, code, why):
    """A closed pipe is not an error of ours: no message, and the exit code of SIGPIPE."""
    said = f"minigpt: {why}: standard output\n" if why else ""
    assert with_streams(command, streams, model) == (code, said)


@posix
@pytest.mark.parametrize(
    "streams",
    ["2>&-", "2>BROKEN", ">BROKEN 2>BROKEN", "<&- >&- 2>&-", *(["2>/dev/full"] * len(FULL))],
)
def test_training_continues_without_a_log(tmp_path, streams):
    (tmp_path / "text.txt").write_text("my dear goose, " * 99, encoding="utf-8")
    tiny = "--n-layers 1 --n-heads 2 --d-model 16 --block-size 8 --batch-size 4 --steps 4"
    more = "--eval-every 2 --sample-every 2 --eval-tokens 64 --sample-tokens 8 --threads 1"
    command = f"train --data text.txt --tokenizer char --out run {tiny} {more}"
    assert with_streams(command, streams, tmp_path) == (0, "")
    assert json.loads((tmp_path / "run" / "training.json").read_bytes())["step"] == 4
    lines = (tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2, 3, 4]


@posix
def test_closed_input_is_reported(model):
    code, said = with_streams("tokenize - --tokenizer .", "<&- >/dev/null", model)
    assert code == 1
    assert said.startswith("minigpt: standard input is closed")


def test_streams_are_restored():
    out, log = sys.stdout, sys.stderr
    assert run("--version")[0] == 0
    assert (sys.stdout, sys.stderr) == (out, log)
