"""No host receives what is not meant for it, and no secret is written."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bed import wire
from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import (
    FAULTS,
    Received,
    Script,
    ScriptedUpstream,
    cut_after_content,
    fixed,
    say,
    status,
    stream,
    whole,
)
from tests.bed.wire import PROTOCOLS, Protocol

LOCAL_KEY = "local-key-of-my-laptop"
COOKIE = "session=cookie-of-the-browser"
WAYS_TO_FAIL = (
    "status 401",
    "status 500",
    "reset before headers",
    "error event after the opening",
    "HTML with 200",
)

PRIVATE_HEADERS = {
    "cookie": COOKIE,
    "forwarded": "for=10.1.2.3",
    "x-forwarded-for": "10.1.2.3",
    "x-forwarded-host": "intranet.example",
    "x-real-ip": "10.1.2.3",
    "via": "1.1 intranet.example",
    "proxy-authorization": "Basic cHJveHk6c2VjcmV0",
    "origin": "",
    "referer": "http://intranet.example/",
    "te": "trailers",
}
ADMITTED: tuple[dict[str, str], ...] = (
    {"authorization": f"Bearer {LOCAL_KEY}"},
    {"x-api-key": LOCAL_KEY},
    {"authorization": f"Bearer {LOCAL_KEY}", "x-api-key": LOCAL_KEY, "api-key": LOCAL_KEY},
)


class Chain:
    """Upstreams of mixed protocols that fail one after the other, until the last one answers."""

    def __init__(self, daemon: Daemon, servers: dict[str, ScriptedUpstream]) -> None:
        self.daemon = daemon
        self.servers = servers


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with ExitStack() as stack:
        servers = {
            f"{fault} of {protocol}": stack.enter_context(ScriptedUpstream(FAULTS[fault]))
            for fault in WAYS_TO_FAIL
            for protocol in PROTOCOLS
        }
        servers["last"] = stack.enter_context(ScriptedUpstream(say("The last one answers")))
        auth = dict(zip(servers, ["auto", "bearer", "x-api-key", "api-key"] * len(servers), strict=False))
        entries = [
            upstream(name, server.url, name.split()[-1] if name != "last" else "messages")
            | {"key": key_of(name), "auth": auth[name], "headers": {"x-custom": f"secret-header-{place}"}}
            for place, (name, server) in enumerate(servers.items())
        ]
        document = settings(
            *entries,
            client_keys={LOCAL_KEY: "laptop"},
            failover={"error_threshold": 1000, "session_hours": 0},
        )
        daemon = stack.enter_context(Daemon(tmp_path_factory.mktemp("secrets"), document))
        yield Chain(daemon, servers)


def key_of(name: str) -> str:
    return "sk-secret-of-" + name.replace(" ", "-")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_host_sees_another_entrys_key_the_local_key_or_cookies(chain: Chain, protocol: Protocol) -> None:
    for admitted in ADMITTED:
        for streams in (True, False):
            headers = {name: value for name, value in PRIVATE_HEADERS.items() if value} | admitted
            response = ask(chain.daemon.url, protocol, stream=streams, headers=headers)
            assert text_of(protocol, response) == "The last one answers", response.text

    asked = {name: server for name, server in chain.servers.items() if server.requests}
    assert len(asked) >= 4, "several hosts took part"
    for place, name in enumerate(chain.servers):
        for request in chain.servers[name].requests:
            raw = request.raw.decode()
            foreign = [other for other in chain.servers if other != name and key_of(other) in raw]
            assert not foreign
            assert raw.count(key_of(name)) == 1
            assert request.header("x-custom") == f"secret-header-{place}"
            for secret in (LOCAL_KEY, COOKIE, "10.1.2.3", "intranet.example", "cHJveHk6c2VjcmV0"):
                assert secret not in raw
            assert request.header("te") is None


def test_secrets_are_neither_written_nor_reported(chain: Chain) -> None:
    for protocol in PROTOCOLS:
        ask(chain.daemon.url, protocol, headers={"authorization": f"Bearer {LOCAL_KEY}", "cookie": COOKIE})
    reported = "".join(
        chain.daemon.get(path).text for path in ("/health", "/api/token-stats", "/", "/v1/models")
    )
    written = chain.daemon.all_written()

    for secret in (LOCAL_KEY, COOKIE, "sk-secret-of-", "secret-header-"):
        assert secret not in written
        assert secret not in reported


def test_a_key_that_an_upstream_repeats_in_its_error_is_hidden(tmp_path: Path) -> None:
    telling = status(401, "Incorrect API key provided: sk-of-talker. Find yours at https://example.com")
    with (
        ScriptedUpstream(telling) as talker,
        Daemon(tmp_path, settings(upstream("talker", talker.url))) as daemon,
    ):
        response = ask(daemon.url, "messages")
        written = daemon.all_written()

    assert response.status == 401
    assert "sk-of-talker" not in response.text
    assert "sk-of-talker" not in written


HEADERS_WITH_KEYS = {"x-request-id": "sk-of-talker", "openai-organization": "of sk-of-talker"}


def says_its_key_midway(request: Received) -> Script:
    sent = wire.records(request.protocol, wire.Reply("The beginning"), "m")
    shown = {"messages": 4, "chat": 4, "responses": 6}[request.protocol]
    broken = wire.error_records(request.protocol, "the key sk-of-talker was revoked")
    return stream([*sent[:shown], *broken], headers=HEADERS_WITH_KEYS)


@pytest.mark.parametrize("spoken", PROTOCOLS)
@pytest.mark.parametrize("client", PROTOCOLS)
def test_a_key_at_the_end_of_a_stream_or_in_a_header_is_hidden(
    talkers: Daemon, client: Protocol, spoken: Protocol
) -> None:
    response = ask(talkers.url, client, f"{spoken},m")

    assert "was revoked" in response.text and "[key]" in response.text
    assert "[key]" in (response.header("x-request-id") or "")
    assert "sk-of-talker" not in response.text + str(response.headers)


@pytest.fixture(scope="module")
def talkers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with ScriptedUpstream(says_its_key_midway) as server:
        entries = [upstream(one, server.url, one) | {"key": "env:TALKER"} for one in PROTOCOLS]
        document = settings(*entries, failover={"error_threshold": 1000, "cooldown_seconds": 0})
        with Daemon(tmp_path_factory.mktemp("talkers"), document, {"TALKER": "sk-of-talker"}) as daemon:
            yield daemon
            assert "sk-of-talker" not in daemon.all_written()


def test_a_key_that_a_model_writes_is_passed_on_like_any_text(tmp_path: Path) -> None:
    text = "Your key is sk-of-talker."
    with (
        ScriptedUpstream(say(text)) as talker,
        Daemon(tmp_path, settings(upstream("talker", talker.url))) as daemon,
    ):
        said = [text_of("messages", ask(daemon.url, "messages", stream=stream)) for stream in (True, False)]
        written = daemon.all_written()

    assert said == [text, text]
    assert "sk-of-talker" not in written


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    asked = 0
    with ScriptedUpstream() as first, ScriptedUpstream(say("stolen")) as elsewhere:
        location = {"location": f"{elsewhere.url}/v1/messages"}
        with Daemon(tmp_path, settings(upstream("first", first.url))) as daemon:
            for code in (301, 302, 303, 307, 308):
                first.script(fixed(whole(code, b"", headers=location)))
                assert ask(daemon.url, "messages", f"first,{code}").status != 200
                asked += len(first.requests)

    assert asked == 5
    assert elsewhere.requests == [] and elsewhere.probes == []


def test_the_clients_own_credential_reaches_only_the_upstream_configured_for_it(tmp_path: Path) -> None:
    with ScriptedUpstream(FAULTS["status 500"]) as first, ScriptedUpstream(say("yes")) as second:
        entries = (upstream("first", first.url), upstream("second", second.url) | {"key": "client"})
        with Daemon(tmp_path, settings(*entries)) as daemon:
            ask(daemon.url, "messages", headers={"authorization": "Bearer my-own-login"})

    assert "my-own-login" not in first.requests[0].raw.decode()
    assert second.requests[0].header("authorization") == "Bearer my-own-login"
    assert "sk-of-" not in second.requests[0].raw.decode()


def test_files_are_private_to_their_owner(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(cut_after_content()) as server,
        Daemon(tmp_path, settings(upstream("a", server.url))) as daemon,
    ):
        ask(daemon.url, "messages")
    assert daemon.data.stat().st_mode & 0o777 == 0o700
    open_ones = [path for path in daemon.data.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
    assert [path for path in open_ones if path != daemon.settings_path] == []
