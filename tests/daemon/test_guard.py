"""The guard on every route: foreign host names and foreign pages are refused, nothing is opened to others."""

import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed.asking import question
from tests.bed.daemon import Daemon, Response, request, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS, wait_until
from tests.bed.raw_client import cooldown_of
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
    ("entry", "host"),
    [
        ("DevBox.lan:5101", "devbox.lan:8080"),
        ("devbox.lan.", "DEVBOX.LAN"),
        (" devbox.lan ", "devbox.lan"),
        ("[fe80::1]", "[fe80::1]:5101"),
        ("fe80::1", "[FE80::1]"),
    ],
)
def test_a_host_is_allowed_however_its_name_is_written(tmp_path: Path, entry: str, host: str) -> None:
    with Daemon(tmp_path, settings(allowed_hosts=[entry])) as daemon:
        assert call(daemon, "GET", "/health", {"host": host}).status == 200
        assert call(daemon, "GET", "/health", {"host": f"x{host}"}).status in (400, 403)


@pytest.mark.parametrize("entry", ["", "*", "http://devbox.lan", "devbox.lan/", "a b"])
def test_an_entry_that_is_no_host_name_allows_nothing_and_is_reported(tmp_path: Path, entry: str) -> None:
    with Daemon(tmp_path, settings(allowed_hosts=[entry])) as daemon:
        for host in ("devbox.lan", "", "*", "a b"):
            assert call(daemon, "GET", "/health", {"host": host}).status in (400, 403)
        warning = daemon.get("/api/state").json["file"]["warnings"][0]
        assert warning.startswith("$.allowed_hosts[0]") and "not a host name" in warning


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
    assert response.header("cross-origin-resource-policy") == "same-origin"
    assert "frame-ancestors 'none'" in policy


def test_a_refusal_carries_them_too(daemon: Daemon) -> None:
    response = call(daemon, "GET", "/", {"host": "evil.example"})

    assert response.status == 403
    assert "frame-ancestors 'none'" in (response.header("content-security-policy") or "")


HEAD_END = b"\r\nhost: localhost\r\nconnection: close\r\n\r\n"
POST = b"POST /v1/messages HTTP/1.1\r\n"
ODD_REQUESTS: dict[str, tuple[bytes, set[int]]] = {
    "another address than the host says": (b"GET http://evil.example/health HTTP/1.1" + HEAD_END, {200}),
    "an address without a path": (b"GET http://evil.example HTTP/1.1" + HEAD_END, {400}),
    "our address for another host": (
        b"GET http://localhost/health HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n",
        {403},
    ),
    "a tunnel": (b"CONNECT evil.example:80 HTTP/1.1" + HEAD_END, {400}),
    "a method that is none": (b"BREW / HTTP/1.1" + HEAD_END, {400}),
    "a method of WebDAV": (b"PROPFIND / HTTP/1.1" + HEAD_END, {404, 405}),
    "an echo": (b"TRACE / HTTP/1.1" + HEAD_END, {404, 405}),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400}),
    "HTTP/1.0 without a host": (b"GET /health HTTP/1.0\r\n\r\n", {403}),
    "two hosts": (b"GET /health HTTP/1.1\r\nhost: localhost" + HEAD_END, {403}),
    "a folded host": (b"GET /health HTTP/1.1\r\nhost:\r\n localhost\r\n\r\n", {400}),
    "a folded header": (b"GET /health HTTP/1.1\r\nx: a\r\n b" + HEAD_END, {400}),
    "a blank before the colon": (b"GET /health HTTP/1.1\r\nhost : localhost\r\n\r\n", {400}),
    "a bare CR": (b"GET /health HTTP/1.1\r\nx: a\rhost: evil" + HEAD_END, {400}),
    "a null byte": (b"GET /health HTTP/1.1\r\nx: a\0b" + HEAD_END, {400}),
    "a length and chunks": (
        POST + b"content-length: 4\r\ntransfer-encoding: chunked" + HEAD_END + b"0\r\n\r\n",
        {400},
    ),
    "two lengths": (POST + b"content-length: 2\r\ncontent-length: 3" + HEAD_END + b"{}", {400}),
    "a length with a sign": (POST + b"content-length: +2" + HEAD_END + b"{}", {400}),
    "an unknown coding": (POST + b"transfer-encoding: xchunked" + HEAD_END + b"0\r\n\r\n", {400}),
    "chunks that are not last": (POST + b"transfer-encoding: chunked, identity" + HEAD_END + b"0\r\n\r\n", {400}),
    "a chunk of negative size": (POST + b"transfer-encoding: chunked" + HEAD_END + b"-2\r\n{}\r\n", {400}),
    "a chunk beyond all numbers": (POST + b"transfer-encoding: chunked" + HEAD_END + b"f" * 17 + b"\r\n", {400}),
    "a request in a request": (POST + b"content-length: 2" + HEAD_END + b"{}GET /health HTTP/1.1" + HEAD_END, {400}),
    "a path of other bytes": (b"GET /\xff HTTP/1.1" + HEAD_END, {400}),
    "a path with a null byte": (b"GET /%00 HTTP/1.1" + HEAD_END, {404}),
    "a path of half a character": (b"GET /%ed%a0%80 HTTP/1.1" + HEAD_END, {404}),
    "a path that climbs": (b"GET /" + b"%2e%2e/" * 2000 + b"etc/passwd HTTP/1.1" + HEAD_END, {404}),
    "a path of Windows": (b"GET /..\\..\\app.py HTTP/1.1" + HEAD_END, {404}),
    "a folder": (b"GET //evil.example/..//js HTTP/1.1" + HEAD_END, {404}),
    "thousands of ranges": (
        b"GET /style.css HTTP/1.1\r\nrange: bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(9000)) + HEAD_END,
        {200, 400, 416},
    ),
    "live events without a body": (b"HEAD /api/events HTTP/1.1" + HEAD_END, {200}),
    "a limit that is no number": (
        b"GET /v1/models?limit=%C2%B2 HTTP/1.1\r\nanthropic-version: x" + HEAD_END,
        {200},
    ),
    "the first of all days": (b"GET /api/token-stats?to=0001-01-01 HTTP/1.1" + HEAD_END, {200}),
    "a header in a file's name": (b"GET /api/token-stats.csv?by=day%0d%0ax:y HTTP/1.1" + HEAD_END, {400}),
    "an earlier version elsewhere": (b"GET /api/history/diff?from=../../x HTTP/1.1" + HEAD_END, {404}),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD_REQUESTS)
def test_odd_requests_are_refused_or_answered_once(daemon: Daemon, name: str) -> None:
    sent, allowed = ODD_REQUESTS[name]
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(sent)
        reported = cooldown_of(connection)

    assert reported.count(b"HTTP/1.1 ") == 1
    assert int(reported.split()[1]) in allowed, reported[:300]
    assert "Traceback" not in daemon.log()


FORMS = ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "")


@pytest.mark.parametrize("kind", FORMS)
def test_a_form_cannot_write(daemon: Daemon, kind: str) -> None:
    """Browsers send a form from any page without permission, so it must have no effect."""
    headers = {"content-type": kind} if kind else {}
    for path in ("/api/token-stats/reset", "/api/import"):
        assert request(daemon.url, "POST", path, b"a=b", headers).status in (400, 403, 404, 405, 415)


@pytest.mark.parametrize(
    "path", ["/../app.py", "/%2e%2e/app.py", "/..%2fapp.py", "/static/../../app.py", "/.git/config"]
)
def test_no_file_outside_the_pages_is_served(daemon: Daemon, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=PATIENCE_SECONDS)
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
        wait_until(lambda: is_listening(daemon), "the daemon")
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
