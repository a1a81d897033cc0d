"""Output for people: tables of any width, and progress lines."""

import io
import re
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from minigpt.check.proof import check_new_model
from minigpt.check.verdict import show
from minigpt.runs.history import History
from minigpt.runs.metrics import MetricsFile
from minigpt.show.display import TrainingDisplay, losses
from minigpt.show.run_table import show_runs
from minigpt.show.showdown import showdown
from minigpt.support.tables import stdout_console
from minigpt.support.terminal import Clock, log_progress, progress
from minigpt.text.tokenizers import CharTokenizer, WordTokenizer
from minigpt.training.loop import Step
from minigpt.training.settings import Settings

TEXT = "my dear friend, where is my lantern?"
CHECKS = list(check_new_model(0))


def print_runs(console):
    metrics = MetricsFile(Path("nowhere")).read()
    run = History(Path("runs/of-some-length"), Settings(), 1.25, metrics, 1200, datetime.now())
    show_runs([run, run], {}, console)


def print_checks(console):
    assert show(CHECKS, console)


def print_showdown(console):
    showdown(
        {"char": CharTokenizer().train(TEXT), "word": WordTokenizer().train(TEXT)}, "", console
    )


PRINTED = {
    print_runs: ["4 × 128", "bpe, plays", "1200/2000", "1.250", "just now", "tokens/s"],
    print_checks: ["blocks.0.attention.projection", "central differences", "sums to 1", "limit"],
    print_showdown: ["characters/token", "vocabulary", "the showdown", "0.00"],
}


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("print_to", PRINTED)
def test_tables_break_no_word_and_fit_the_width(print_to, width):
    out = io.StringIO()
    print_to(Console(file=out, width=width, highlight=False))
    printed = out.getvalue()
    assert max(map(len, printed.splitlines())) <= width
    as_one_line = re.sub(r"\s+", " ", printed)
    for words in PRINTED[print_to]:
        assert words in as_one_line
    assert not set(printed) & set("│┃╭╰┏┗…")


def test_tables_print_one_row_per_line_to_a_pipe(monkeypatch, capsys):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_runs(stdout_console())
    head, *rows = capsys.readouterr().out.splitlines()
    columns = "run layers × d tokens, text step tokens/s bits/char: training validation floor"
    assert head.split() == [*columns.split(), "changed"]
    assert len(rows) == 2
    monkeypatch.setenv("COLUMNS", "40")
    print_runs(stdout_console())
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40


def test_progress_prints_lines_without_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(Clock, "SECONDS", 0)
    assert list(progress("reading")([5, 6, 7])) == [5, 6, 7]
    assert capsys.readouterr().err.splitlines() == [f"reading: {n} of 3" for n in (1, 2, 3)]
    assert list(progress("reading", 4000)(iter(range(2)))) == [0, 1]
    assert capsys.readouterr().err.splitlines() == ["reading: 1 of 4,000", "reading: 2 of 4,000"]
    assert list(log_progress(iter("ab"), "checked")) == ["a", "b"]
    assert capsys.readouterr().err.splitlines() == ["checked: 1 done", "checked: 2 done"]
    monkeypatch.setattr(Clock, "SECONDS", np.inf)
    assert list(progress("reading")([5, 6, 7])) == [5, 6, 7]
    assert capsys.readouterr().err == ""


def shown(steps):
    with TrainingDisplay(9) as display:
        for step in steps:
            display.show(step)


def test_training_prints_progress_lines(monkeypatch, capsys):
    steps = [Step(number, 2.5, 0.1, 1.0, 1000.0) for number in (1, 2)]
    monkeypatch.setattr(Clock, "SECONDS", 0)
    shown(steps)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["step 1/9", "step 2/9"]
    monkeypatch.setattr(Clock, "SECONDS", np.inf)
    shown(steps)
    assert capsys.readouterr().err == ""


def test_loss_table_uses_one_unit(capsys):
    examined = {"val_loss": 4.0, "val_bits": 3.0, "spelling_bits": 1.0}
    shown([Step(3, 2.0, 0.1, 1.0, 1000.0, loss_bits=2.0, **examined)])
    assert capsys.readouterr().err == (
        "step 3/9, training 2.000, validation 3.000 bits/char "
        "(1.000 of it to spell unknown words), 2.000 and 4.000 nats/token, gradient 0.10, "
        "1,000 tokens/s\n"
    )
    before, after = (Step(n, 1.0, 0.1, 1.0, 1000.0, loss_bits=1.5) for n in (2, 4))
    last = Step(3, 2.0, 0.1, 1.0, 1000.0, loss_bits=2.0, **examined)
    assert losses(before, 2.0) == "training 1.500 bits/char"
    assert losses(after, 2.0, last).startswith("training 1.500, validation 3.000 bits/char (floor")
    assert losses(last, None, before).startswith("training 2.000, validation 3.000 bits/char")


def test_sample_is_shown_unchanged(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")
    sample = "a line of more than forty characters, and one\n\nmore"
    shown([Step(1, 2.5, 0.1, 1.0, 1000.0, sample=sample)])
    assert capsys.readouterr().err == f"──── a sample after 1 step ────\n{sample}\n"
