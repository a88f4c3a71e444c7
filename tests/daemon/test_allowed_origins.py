"""`allowed_origins`: pages and extensions that may call the models, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bed.asking import question
from tests.bed.daemon import Daemon, Response, request, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say

PAGE = "https://app.example:8443"
EXTENSION = "chrome-extension://abcdefghijklmnopabcdefghijklmnop"
CROSS_SITE = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with ScriptedUpstream(say("Served")) as server:
        document = settings(upstream("a", server.url), allowed_origins=[PAGE, EXTENSION])
        with Daemon(tmp_path_factory.mktemp("origins"), document) as running:
            yield running


def call(
    daemon: Daemon, method: str, path: str, origin: str, headers: dict[str, str] | None = None
) -> Response:
    body = question("chat", "m", stream=False) if method == "POST" else None
    return request(daemon.url, method, path, body, {"origin": origin, **CROSS_SITE, **(headers or {})})


@pytest.mark.parametrize("origin", [PAGE, EXTENSION])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("POST", "/v1/messages")]
)
def test_a_listed_page_may_call_the_models_and_read_their_answers(
    daemon: Daemon, method: str, path: str, origin: str
) -> None:
    answered = call(daemon, method, path, origin)
    assert answered.status == 200
    assert answered.header("access-control-allow-origin") == origin
    assert answered.header("access-control-allow-credentials") is None
    assert "origin" in (answered.header("vary") or "")


def test_its_preflight_is_answered(daemon: Daemon) -> None:
    asked = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,x-stainless-os",
        "access-control-request-private-network": "true",
    }
    answered = call(daemon, "OPTIONS", "/v1/chat/completions", PAGE, asked)
    assert (answered.status, answered.body) == (204, b"")
    assert answered.header("access-control-allow-origin") == PAGE
    assert answered.header("access-control-allow-methods") == "POST"
    assert answered.header("access-control-allow-headers") == asked["access-control-request-headers"]
    assert answered.header("access-control-allow-private-network") == "true"


def test_the_page_can_read_errors_too(daemon: Daemon) -> None:
    answered = request(
        daemon.url, "POST", "/v1/chat/completions", {"model": 1}, {"origin": PAGE, **CROSS_SITE}
    )
    assert answered.status == 400
    assert answered.header("access-control-allow-origin") == PAGE


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/api/state"),
        ("GET", "/api/configs"),
        ("POST", "/api/token-stats/reset"),
        ("POST", "/api/import"),
        ("OPTIONS", "/api/configs"),
        ("GET", "/health"),
        ("GET", "/metrics"),
    ],
)
def test_a_listed_page_reaches_nothing_else(daemon: Daemon, method: str, path: str) -> None:
    answered = call(daemon, method, path, PAGE, {"access-control-request-method": "GET"})
    assert answered.status == 403
    assert answered.header("access-control-allow-origin") is None


@pytest.mark.parametrize(
    "origin",
    ["https://app.example", "https://APP.example:8443", "https://x.app.example:8443", "null", f"{PAGE}/"],
)
def test_other_pages_are_refused_with_the_remedy(daemon: Daemon, origin: str) -> None:
    answered = call(daemon, "POST", "/v1/chat/completions", origin)
    assert answered.status == 403
    assert "allowed_origins" in answered.text
    assert answered.header("access-control-allow-origin") is None


def test_a_client_key_is_still_required(tmp_path: Path) -> None:
    document = settings(
        upstream("a", "http://127.0.0.1:9"), allowed_origins=[PAGE], client_keys={"sy-local": "laptop"}
    )
    with Daemon(tmp_path, document) as daemon:
        assert call(daemon, "POST", "/v1/chat/completions", PAGE).status == 401


@pytest.mark.parametrize("origin", ["*", "https://*.example", "app.example", "https://app.example/", "null"])
def test_only_exact_origins_can_be_listed(tmp_path: Path, origin: str) -> None:
    with Daemon(tmp_path, settings(upstream("a", "http://127.0.0.1:9"))) as daemon:
        daemon.write_settings(settings(upstream("a", "http://127.0.0.1:9"), allowed_origins=[origin]))
        code, output = daemon.command("check")
    assert code == 1 and "an exact origin such as https://app.example:8443" in output
