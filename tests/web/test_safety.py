"""The token, Host and Origin of requests, and the headers of answers."""

import httpx
import pytest
from live_page import TOKEN, ask

from minigpt.web.safety import Guard


def test_the_token_opens_the_page_once_and_then_a_cookie_does(client):
    with httpx.Client(base_url=client.base_url, trust_env=False) as stranger:
        assert stranger.get("/").status_code == 403
        assert stranger.get("/api/models").status_code == 401
        assert stranger.get("/static/main.js").status_code == 401
        assert stranger.get("/?token=wrong").status_code == 403
        assert stranger.get("/api/models?token=the-token").status_code == 401
        opened = stranger.get(f"/?token={TOKEN}")
        assert (opened.status_code, opened.headers["location"]) == (303, "/")
        cookie = opened.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        page = stranger.get("/")
        assert page.status_code == 200
        assert TOKEN not in page.text
        assert stranger.get("/api/models").json() == {"names": ["small", "small, step 20"]}


@pytest.mark.parametrize("scheme", ["Bearer the-tokem", "Bearer", "Basic the-token", "Bearer é"])
def test_a_wrong_bearer_token_is_refused(client, scheme):
    headers = {"authorization": scheme.encode("latin-1")}
    assert client.get("/api/models", headers=headers).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[::1"])
def test_another_host_is_refused(client, host):
    for name in (host, f"{host}:{client.base_url.port}"):
        assert client.get("/api/models", headers={"host": name}).status_code in (400, 403)


def test_hosts_that_mean_this_server():
    loopback = Guard(None, TOKEN, "127.0.0.1", 8100)
    known = ("127.0.0.1:8100", "localhost:8100", "LOCALHOST:8100", "[::1]:8100")
    assert all(map(loopback.is_ours, known))
    other = ("127.0.0.1:8101", "127.0.0.1", "10.0.0.1:8100", "evil.example:8100", "a:b", ":8100")
    assert not any(map(loopback.is_ours, other))
    everywhere = Guard(None, TOKEN, "0.0.0.0", 8100)
    assert everywhere.is_ours("10.0.0.1:8100")
    assert everywhere.is_ours("localhost:8100")
    assert not everywhere.is_ours("evil.example:8100")
    assert Guard(None, TOKEN, "127.0.0.1", 80).is_ours("localhost")


def test_another_origin_is_refused(client):
    own = f"http://127.0.0.1:{client.base_url.port}"
    assert client.get("/api/models", headers={"origin": own}).status_code == 200
    for origin in ("http://evil.example", "null", own.replace("http", "https")):
        assert client.get("/api/models", headers={"origin": origin}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/api/models", "/static/main.js", "/nothing", "/?token=x"])
@pytest.mark.parametrize("known", [True, False])
def test_every_answer_has_the_headers_that_keep_others_out(client, path, known):
    headers = client.get(path, headers={} if known else {"authorization": ""}).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; connect-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe-eval" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in headers


def test_a_request_cannot_choose_a_path(client):
    for path in ("/static/../server.py", "/static/%2e%2e/server.py", "/static//etc/passwd"):
        assert client.get(path).status_code == 404
    assert "must be a whole number" in ask(client, "look", 422, model="../x")
