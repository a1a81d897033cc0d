"""Download a text from a real HTTP server on this machine, which works or fails."""

import _thread
import errno
import hashlib
import io
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer

import platformdirs
import pytest

from minigpt.text.corpus import fetch as fetching
from minigpt.text.corpus.fetch import KNOWN_TEXTS, FetchError, KnownText, cached, fetch

PLAY = "".join(f"Line {n}: my dear, the teapot!\n" for n in range(5000)).encode()
HALF = len(PLAY) // 2
LOOPBACK = "127.0.0.1"

Answer = Callable[[BaseHTTPRequestHandler], None]


def reply(body: bytes, status: int = 200, **headers: object) -> Answer:
    """Answer with `body` and `headers` (`Content_Length` for Content-Length)."""

    def answer(connection: BaseHTTPRequestHandler) -> None:
        connection.send_response(status)
        for name, value in headers.items():
            connection.send_header(name.replace("_", "-"), str(value))
        connection.end_headers()
        connection.wfile.write(body)

    return answer


class Server(TCPServer):
    """Answers every request with `answer`, and records the requested path."""

    def __init__(self) -> None:
        super().__init__((LOOPBACK, 0), Handler)
        self.url = f"http://{LOOPBACK}:{self.server_address[1]}"
        self.answer = reply(PLAY, Content_Length=len(PLAY))
        self.asked: list[str] = []
        self.closing = threading.Event()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.answer(self)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep texts in an empty folder that does not exist yet, and use no proxy."""
    monkeypatch.setenv("MINIGPT_CACHE", str(tmp_path / "new" / "cache"))
    monkeypatch.delenv("MINIGPT_MIRROR", raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "new" / "cache"


@pytest.fixture(autouse=True)
def teapot(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Register PLAY as a known text called teapot; return the path where it will be saved."""
    digest = hashlib.sha256(PLAY).hexdigest()
    known = KnownText("the teapot play", f"{server.url}/plays/1.txt", digest, len(PLAY))
    monkeypatch.setitem(KNOWN_TEXTS, "teapot", known)
    return folder / "teapot.txt"


def assert_refused(folder: Path, why: str) -> None:
    """Check that the download fails for this reason, names alternatives and leaves no file."""
    with pytest.raises(FetchError) as caught:
        fetch("teapot")
    message = str(caught.value)
    assert why in message
    for way_out in (
        "--data plays",
        "--data FILE",
        KNOWN_TEXTS["teapot"].url,
        str(folder / "teapot.txt"),
    ):
        assert way_out in message
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_fetch_downloads_quietly_and_caches(
    server: Server, teapot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cached("teapot") is None
    assert fetch("teapot") == teapot
    assert teapot.read_bytes() == PLAY
    assert cached("teapot") == teapot
    assert list(teapot.parent.iterdir()) == [teapot]
    assert server.asked == ["/plays/1.txt"]
    assert capsys.readouterr() == ("", "")


def test_fetch_of_a_cached_text_needs_no_network(server: Server, teapot: Path) -> None:
    fetch("teapot")
    assert fetch("teapot") == teapot
    assert len(server.asked) == 1


def test_fetch_accepts_a_file_saved_by_hand(server: Server, teapot: Path) -> None:
    teapot.parent.mkdir(parents=True)
    teapot.write_bytes(PLAY)
    assert fetch("teapot") == teapot
    assert not server.asked


@pytest.mark.parametrize("damaged", [b"", PLAY[:-1], PLAY.replace(b"my", b"no", 1), PLAY + b"\n"])
def test_fetch_replaces_a_damaged_file(damaged: bytes, teapot: Path) -> None:
    teapot.parent.mkdir(parents=True)
    teapot.write_bytes(damaged)
    assert cached("teapot") is None
    assert fetch("teapot").read_bytes() == PLAY


def test_fetch_shows_progress_in_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    for variable in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(variable, raising=False)
    fetch("teapot")
    shown = terminal.getvalue()
    assert "the teapot play" in shown
    kilobytes = f"{len(PLAY) / 1000:.1f}"
    assert f"{kilobytes}/{kilobytes} kB" in shown
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (reply(b"", 404), "the server answered 404 Not Found"),
        (reply(b"", 503), "the server answered 503 Service Unavailable"),
        (reply(PLAY[:HALF], Content_Length=len(PLAY)), "broke off before the end"),
        (reply(PLAY[:HALF]), "broke off before the end"),
        (reply(b"4000\r\nLine", Transfer_Encoding="chunked"), "broke off before the end"),
        (lambda connection: None, "broke off before the end"),
        (reply(PLAY[::-1], Content_Length=len(PLAY)), "was not kept"),
        (reply(b"Please log in.", Content_Length=14), "was not kept"),
        (reply(PLAY + b"\n", Content_Length=len(PLAY) + 1), "was not kept"),
        (reply(b"", 302, Location="file:///etc/hosts"), "not allowed"),
        (reply(b"", 302, Location=f"ftp://{LOOPBACK}:9/1.txt"), "unknown url type: ftp"),
        (reply(b"", 302, Location="/plays/1.txt"), "infinite loop"),
        (lambda connection: connection.wfile.write(b"220 hello\r\n\r\n"), "220 hello"),
    ],
)
def test_fetch_reports_a_failing_server(
    answer: Answer, why: str, server: Server, folder: Path
) -> None:
    server.answer = answer
    assert_refused(folder, why)


def test_fetch_stops_reading_a_text_that_is_too_long(server: Server, folder: Path) -> None:
    def without_end(connection: BaseHTTPRequestHandler) -> None:
        reply(b"")(connection)
        with suppress(ConnectionError):  # the reader hangs up
            for _ in range(200):
                connection.wfile.write(PLAY)
            read_to_the_end.append(True)

    read_to_the_end: list[bool] = []
    server.answer = without_end
    assert_refused(folder, "was not kept")
    assert not read_to_the_end


@pytest.mark.parametrize("first", [b"", PLAY[:HALF]])
def test_fetch_gives_up_on_a_silent_server(
    first: bytes, server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall_silent(connection: BaseHTTPRequestHandler) -> None:
        if first:
            reply(first, Content_Length=len(PLAY))(connection)
        server.closing.wait()

    server.answer = fall_silent
    monkeypatch.setattr(fetching, "TIMEOUT", 0.25)
    assert_refused(folder, "did not answer for 0.25 seconds")


def test_fetch_reports_a_missing_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as bound:  # reserves a port on which nobody listens
        bound.bind((LOOPBACK, 0))
        address = f"http://{LOOPBACK}:{bound.getsockname()[1]}"
        monkeypatch.setenv("MINIGPT_MIRROR", address)
        assert_refused(folder, f"{address}/teapot.txt: ")


def test_fetch_reports_a_missing_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    assert_refused(folder, "is this machine online?")


@pytest.mark.parametrize("mirror", ["file:///plays", "ftp://plays", "localhost:80", "plays"])
def test_fetch_accepts_only_http(
    mirror: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIGPT_MIRROR", mirror)
    assert_refused(folder, "must start with http:// or https://")


@pytest.mark.parametrize("mirror", ["http://", "http://[", "http://localhost:port", "http://a b"])
def test_fetch_refuses_an_invalid_address(
    mirror: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIGPT_MIRROR", mirror)
    assert_refused(folder, "cannot fetch the teapot play")


def test_interrupted_fetch_leaves_no_file(
    server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(connection: BaseHTTPRequestHandler) -> None:
        reply(PLAY[:HALF], Content_Length=len(PLAY))(connection)
        _thread.interrupt_main()  # what Ctrl-C does
        connection.wfile.write(PLAY[HALF:])

    server.answer = interrupt
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            fetch("teapot")
    finally:
        signal.signal(signal.SIGINT, before)
    assert not folder.exists()


def test_fetch_reports_a_full_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill_the_disk(path: Path, content: bytes) -> None:
        with path.open("wb") as file:
            file.write(content[:HALF])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)
    assert_refused(folder, f"{folder}: No space left on device. Set MINIGPT_CACHE to")


def test_fetch_reports_a_folder_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "cache"
    monkeypatch.setenv("MINIGPT_CACHE", str(folder))
    assert_refused(folder, f"cannot save the teapot play in {folder}")


def test_fetch_asks_a_mirror_by_name(
    server: Server, teapot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIGPT_MIRROR", f"{server.url}/copies/")
    assert fetch("teapot") == teapot
    assert server.asked == ["/copies/teapot.txt"]


def test_fetch_follows_a_redirection(server: Server, teapot: Path) -> None:
    def moved(connection: BaseHTTPRequestHandler) -> None:
        if connection.path == "/moved":
            reply(PLAY)(connection)
        else:
            reply(b"", 301, Location="/moved")(connection)

    server.answer = moved
    assert fetch("teapot").read_bytes() == PLAY


def test_fetch_uses_the_proxy_of_the_environment(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINIGPT_MIRROR", "http://plays.invalid")
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", "")
    fetch("teapot")
    assert server.asked == ["http://plays.invalid/teapot.txt"]


def test_fetch_caches_in_the_users_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def user_cache_path(application: str, appauthor: bool) -> Path:
        return tmp_path / application / str(appauthor)

    monkeypatch.delenv("MINIGPT_CACHE")
    monkeypatch.setattr(platformdirs, "user_cache_path", user_cache_path)
    assert fetch("teapot") == tmp_path / "minigpt" / "False" / "teapot.txt" == cached("teapot")


@pytest.mark.parametrize("function", [fetch, cached])
def test_fetch_suggests_the_nearest_name(function: Callable[[str], object]) -> None:
    with pytest.raises(ValueError, match="unknown text 'shakespear': did you mean 'shakespeare'"):
        function("shakespear")
