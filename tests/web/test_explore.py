"""The command `minigpt explore`."""

import os
import socket
import stat
import sys
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
import uvicorn
from live_page import TOKEN, wait_for

from minigpt.commands import cli, explore
from minigpt.web.look.models import Models
from minigpt.web.safety import Guard


def test_a_folder_that_is_not_a_model(tmp_path, capsys):
    assert cli.main(["explore", str(tmp_path), "--no-browser"]) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_without_the_extra_the_error_says_what_installs_it(monkeypatch, capsys, folder):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.main(["explore", str(folder)]) == 1
    assert "pip install 'minigpt-numpy[explore]'" in capsys.readouterr().err


@pytest.fixture
def ending_at_once(monkeypatch):
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)


@pytest.mark.parametrize("told", [True, False])
def test_a_port_in_use_gives_way_to_the_next(folder, capsys, ending_at_once, monkeypatch, told):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(explore, "FIRST_PORT", port)
        given = ["--port", str(port)] if told else []
        assert cli.main(["explore", str(folder), "--no-browser", *given]) == 0
    printed = capsys.readouterr()
    assert f"port {port} is in use: using " in printed.err
    assert printed.out.startswith("http://127.0.0.1:")
    assert f":{port}/" not in printed.out
    assert "warning" not in printed.err


def test_the_parts_of_an_answer_are_sent_at_once(folder, monkeypatch):
    protocols = []
    monkeypatch.setattr(
        uvicorn.Server, "run", lambda self, sockets: protocols.extend(s.proto for s in sockets)
    )
    assert cli.main(["explore", str(folder), "--no-browser"]) == 0
    assert protocols == [socket.IPPROTO_TCP]  # only then asyncio turns Nagle's algorithm off


def test_listening_on_another_host_is_warned_of(folder, capsys, ending_at_once):
    assert cli.main(["explore", str(folder), "--no-browser", "--host", "0.0.0.0"]) == 0
    printed = capsys.readouterr()
    assert "warning: everyone who can reach 0.0.0.0" in printed.err
    address = urlsplit(printed.out)  # 0.0.0.0 is each reader's own machine
    assert address.hostname != "0.0.0.0"
    assert Guard(None, TOKEN, "0.0.0.0", address.port).is_ours(address.netloc)


def test_a_host_that_is_not_of_this_machine(folder, capsys):
    assert cli.main(["explore", str(folder), "--no-browser", "--host", "no.such.invalid"]) == 1
    assert "--host no.such.invalid is not an address" in capsys.readouterr().err


@pytest.mark.parametrize("works", [True, False])
def test_the_browser_is_opened_if_there_is_one_and_the_model_warmed(
    folder, capsys, ending_at_once, monkeypatch, works
):
    opened = []

    def open_(address):
        path = Path(url2pathname(urlsplit(address).path))
        modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent)]
        opened.append((path, path.read_text(), modes))
        return works

    monkeypatch.setattr("webbrowser.open", open_)
    warmed = []
    monkeypatch.setattr(Models, "warm_up", lambda self: warmed.append(len(self)))
    assert cli.main(["explore", str(folder)]) == 0
    wait_for(lambda: opened and warmed)
    ((path, page, modes),) = opened
    address, token = capsys.readouterr().out.strip().split("?token=")
    assert f'action="{address}"' in page
    assert f'value="{token}"' in page
    if os.name == "posix":
        assert modes == [0o600, 0o700]
    assert not path.parent.exists()
