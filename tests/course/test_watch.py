"""Files that are saved and keys that are pressed are noticed."""

import os
import sys
import threading

import pytest

from minigpt.commands.cli import main
from minigpt.course.folder import start
from minigpt.course.keys import pressed
from minigpt.course.lesson_folder import lessons
from minigpt.course.watch import events


@pytest.fixture
def saving(tmp_path):
    """Save lesson_07.py and a file that is none again and again, until the test is over."""
    start(tmp_path, lessons())
    over = threading.Event()

    def save():
        n = 0
        while not over.wait(0.1):
            n += 1
            (tmp_path / "notes.txt").write_text(f"{n}", "utf-8")
            (tmp_path / "lesson_07.py").write_text(f"x = {n}\n", "utf-8")

    thread = threading.Thread(target=save)
    thread.start()
    yield tmp_path
    over.set()
    thread.join()


@pytest.mark.parametrize("poll", [False, True])
def test_saved_lesson_is_an_event(saving, poll):
    assert next(events(saving, poll)) == "7"


@pytest.fixture
def keyboard(monkeypatch):
    """Return a function that presses keys on a terminal that stands for stdin."""
    pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield lambda keys: os.write(ours, keys.encode())
    os.close(ours)


def test_pressed_key_is_read_at_once_and_the_terminal_is_as_before(keyboard):
    import termios

    before = termios.tcgetattr(sys.stdin)
    with pressed() as key:
        assert key() == ""
        keyboard("hq")
        assert [key(), key(), key()] == ["h", "q", ""]
    assert termios.tcgetattr(sys.stdin) == before


def test_watch_shows_a_hint_and_ends_with_q(keyboard, tmp_path, capsys):
    start(tmp_path, lessons())
    over = threading.Event()

    def press():  # again and again: what comes before the terminal is ready is lost
        while not over.wait(0.1):
            keyboard("h" if not (tmp_path / ".hints.json").exists() else "q")

    thread = threading.Thread(target=press)
    thread.start()
    try:
        assert main(["course", "watch", "--in", str(tmp_path), "--poll"]) == 0
    finally:
        over.set()
        thread.join()
    assert "hint 1 of 3" in capsys.readouterr().out


def test_no_keys_are_read_where_stdin_is_no_terminal(monkeypatch, tmp_path):
    with (tmp_path / "empty").open("w+") as file:
        monkeypatch.setattr(sys, "stdin", file)
        with pressed() as key:
            assert key() == ""
