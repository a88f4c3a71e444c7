"""The door-keeper on every route: foreign names and foreign pages are turned away, nothing is opened to others."""

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed.asking import question
from tests.bed.daemon import Daemon, Response, request, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say

ROUTES = [
    ("GET", "/"),
    ("GET", "/token-stats.html"),
    ("GET", "/style.css"),
    ("GET", "/health"),
    ("GET", "/api"),
    ("HEAD", "/api"),
    ("GET", "/api/token-stats"),
    ("POST", "/api/token-stats/reset"),
    ("POST", "/api/import"),
    ("GET", "/v1/models"),
    ("POST", "/v1/messages"),
    ("POST", "/v1/messages/count_tokens"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/responses"),
    ("GET", "/v1/responses"),
    ("POST", "/api/event_logging/batch"),
    ("GET", "/nowhere"),
]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with ScriptedUpstream(say("Served")) as server:
        document = settings(upstream("a", server.url), allowed_hosts=["switchyard.home.arpa"])
        with Daemon(tmp_path_factory.mktemp("guard"), document) as running:
            yield running


def call(daemon: Daemon, method: str, path: str, headers: dict[str, str]) -> Response:
    return request(daemon.url, method, path, question("messages", "m") if method == "POST" else None, headers)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1", ""]
)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_foreign_host_name_is_refused_on_every_route(
    daemon: Daemon, method: str, path: str, host: str
) -> None:
    assert call(daemon, method, path, {"host": host}).status in (400, 403)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1.evil.example"]
)
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_foreign_page_is_refused_on_every_route(
    daemon: Daemon, method: str, path: str, origin: str
) -> None:
    assert call(daemon, method, path, {"origin": origin}).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_cross_site_call_is_refused_on_every_route(
    daemon: Daemon, method: str, path: str, site: str
) -> None:
    assert call(daemon, method, path, {"sec-fetch-site": site}).status == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "[::1]:{port}", "switchyard.home.arpa"]
)
def test_our_own_names_are_served(daemon: Daemon, host: str) -> None:
    assert call(daemon, "GET", "/health", {"host": host.format(port=daemon.port)}).status == 200


def test_our_own_page_is_served(daemon: Daemon) -> None:
    headers = {
        "host": f"localhost:{daemon.port}",
        "origin": f"http://localhost:{daemon.port}",
        "sec-fetch-site": "same-origin",
    }
    assert call(daemon, "POST", "/api/token-stats/reset", headers).status == 200


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nothing_is_opened_to_other_origins(daemon: Daemon, method: str, path: str) -> None:
    for headers in ({}, {"origin": "https://evil.example"}):
        response = call(daemon, method, path, headers)
        assert not [name for name, _ in response.headers if name.lower().startswith("access-control-")]
    assert call(daemon, "OPTIONS", path, {"access-control-request-method": "POST"}).status >= 400


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_answer_carries_the_security_headers(daemon: Daemon, method: str, path: str) -> None:
    response = call(daemon, method, path, {})
    policy = response.header("content-security-policy") or ""

    assert "default-src 'self'" in policy and "unsafe-inline" not in policy and "unsafe-eval" not in policy
    assert response.header("x-content-type-options") == "nosniff"
    assert response.header("x-frame-options") == "DENY"


FORMS = ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "")


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_cannot_write(daemon: Daemon, kind: str) -> None:
    """A form needs no permission of the browser to be sent from anywhere, so it must not do anything."""
    headers = {"content-type": kind} if kind else {}
    for path in ("/api/token-stats/reset", "/api/import"):
        assert request(daemon.url, "POST", path, b"a=b", headers).status in (400, 403, 404, 405, 415)


@pytest.mark.parametrize(
    "path", ["/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "/static/../../app.py", "/.git/config"]
)
def test_no_file_outside_the_pages_is_served(daemon: Daemon, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=10)
    try:
        connection.putrequest("GET", path)
        connection.endheaders()
        assert connection.getresponse().status in (400, 404, 405)
    finally:
        connection.close()


def test_beyond_loopback_it_refuses_to_start_without_client_keys(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, settings())
    code, said = daemon.command("--host", "0.0.0.0")

    assert code == 1
    assert "client_keys" in said and "Traceback" not in said


def test_beyond_loopback_the_dashboard_needs_the_admin_token(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, settings(client_keys={"k": "laptop"}))
    try:
        daemon.start("--host", "0.0.0.0", wait=False)
        token_path = daemon.data / "admin_token"
        from tests.bed.daemon import wait_until

        wait_until(lambda: is_listening(daemon), 10, "the daemon")
        token = token_path.read_text().strip()

        assert token_path.stat().st_mode & 0o777 == 0o600
        assert daemon.get("/api/token-stats").status == 401
        assert daemon.get("/api/token-stats", {"authorization": "Bearer wrong"}).status == 401
        assert daemon.get("/api/token-stats", {"authorization": f"Bearer {token}"}).status == 200
    finally:
        daemon.stop()


def is_listening(daemon: Daemon) -> bool:
    try:
        return daemon.get("/api").status == 200
    except OSError:
        return False
