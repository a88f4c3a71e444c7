"""Writes without a body: they work from programs, and no page can cause them."""

import http.client
from collections.abc import Iterator

import pytest

from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    document = settings(upstream("a", "http://127.0.0.1:9"))
    with Daemon(tmp_path_factory.mktemp("bare"), document) as running:
        yield running


def post(daemon: Daemon, path: str, headers: dict[str, str], body: bytes = b"") -> int:
    connection = http.client.HTTPConnection(daemon.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    try:
        connection.request("POST", path, body or None, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/api/reload", "/api/token-stats/reset", "/api/upstreams/clear"])
def test_a_program_needs_no_body(daemon: Daemon, path: str) -> None:
    assert post(daemon, path, {}) == 200


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"origin": "null"}, b""),
        ({"sec-fetch-site": "cross-site"}, b""),
        ({"referer": "https://evil.example/"}, b""),
        ({"cookie": "a=b"}, b""),
        ({"content-type": "application/x-www-form-urlencoded"}, b""),
        ({"content-type": "text/plain"}, b"{}"),
        ({}, b"{}"),
        ({"transfer-encoding": "chunked"}, b"2\r\n{}\r\n0\r\n\r\n"),
    ],
)
def test_what_a_page_could_send_is_refused(daemon: Daemon, headers: dict[str, str], body: bytes) -> None:
    assert post(daemon, "/api/token-stats/reset", headers, body) in (403, 415)
