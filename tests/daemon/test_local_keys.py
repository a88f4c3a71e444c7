"""No client key reaches an upstream, even one that passes the client's own key on."""

import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import PATHS, ask, error_of, question, text_of
from tests.bed.daemon import Daemon, Response, request, settings, upstream
from tests.bed.patience import PATIENCE_SECONDS
from tests.bed.upstream import FAULTS, ScriptedUpstream, say, status
from tests.bed.wire import PROTOCOLS, Protocol

LONG = "sy-Yk3Zt0q9aL7cX1vB5nM2"
SHORT = "123"
KEYS = {LONG: "laptop", SHORT: "desk"}
OWN = "sk-my-own-login"


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as running:
        yield running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, server: ScriptedUpstream) -> Iterator[Daemon]:
    """For each protocol one entry passes the client's key on, and one has its own key."""
    passing = [upstream(f"passing {one}", server.url, one) | {"key": "client"} for one in PROTOCOLS]
    document = settings(*passing, upstream("own key", server.url), client_keys=KEYS)
    with Daemon(tmp_path_factory.mktemp("local-keys"), document) as running:
        yield running


def sent(server: ScriptedUpstream) -> bytes:
    return b"\n".join(one.raw for one in server.requests)


def shows(key: str) -> list[dict[str, str]]:
    return [{"authorization": f"Bearer {key}"}, {"x-api-key": key}, {"api-key": key, "x-api-key": key}]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_client_with_no_key_of_its_own_is_reported_so_and_nothing_is_sent(
    daemon: Daemon, server: ScriptedUpstream, protocol: Protocol, key: str
) -> None:
    server.script(say("never"))
    for headers in shows(key):
        response = ask(daemon.url, protocol, f"passing {protocol},m", headers=headers)
        message = error_of(protocol, response)["message"]
        assert response.status == 401
        assert message == (
            f'upstream "passing {protocol}": it passes the client\'s own key on (`"key": "client"`), and this request '
            "has none beside the local client key; send one as Bearer or x-api-key, or give the entry a key of its own."
        )
    assert server.requests == []


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_of_two_keys_only_the_clients_own_is_forwarded(
    daemon: Daemon, server: ScriptedUpstream, protocol: Protocol, key: str
) -> None:
    server.script(say("yes"))
    pairs = [
        {"x-api-key": key, "authorization": f"Bearer {OWN}"},
        {"authorization": f"Bearer {key}", "x-api-key": OWN},
        {"x-api-key": key, "authorization": f"Basic {b64encode(b'me:' + OWN.encode()).decode()}"},
        {"authorization": f"Bearer {key}", "api-key": OWN},
    ]
    for headers in pairs:
        assert text_of(protocol, ask(daemon.url, protocol, f"passing {protocol},m", headers=headers)) == "yes"
    shown = [
        {name: value for name, value in one.headers if value in headers.values()}
        for one, headers in zip(server.requests, pairs, strict=True)
    ]
    local = [next(name for name, value in headers.items() if value.endswith(key)) for headers in pairs]
    assert shown == [
        {name: value for name, value in headers.items() if name != mine}
        for headers, mine in zip(pairs, local, strict=True)
    ]


UNUSUAL = [
    {"x-litellm-api-key": "{key}"},
    {"x-auth": "Token token={key}"},
    {"anthropic-beta": "one-2025, {key}"},
    {"user-agent": "agent ({key})"},
    {"authorization": "Basic {login}"},
    {"x-login": "Basic {login}"},
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("spoken", PROTOCOLS)
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_header_no_parameter_and_no_member_of_a_body_carries_a_client_key(
    daemon: Daemon, server: ScriptedUpstream, protocol: Protocol, spoken: Protocol, key: str
) -> None:
    server.script(say("yes"))
    login = b64encode(f"me:{key}".encode()).decode()
    for unusual in UNUSUAL:
        headers = {"authorization": f"Bearer {OWN}", "x-api-key": key}
        headers |= {name: value.format(key=key, login=login) for name, value in unusual.items()}
        if "authorization" in unusual:
            headers["api-key"] = OWN
        body = question(protocol, f"passing {spoken},m") | {"user": key, "api_key": key}
        body |= {"metadata": {"user_id": key}}
        response = request(daemon.url, "POST", f"{PATHS[protocol]}?key={key}&beta=true", body, headers)
        assert text_of(protocol, response) == "yes", response.text

    assert len(server.requests) == len(UNUSUAL)
    for one in server.requests:
        head = "\n".join([one.target, *(value for name, value in one.headers if name != "content-length")])
        assert not re.search(rf"(?<![\w.]){key}(?![\w.])", head)
        assert login not in head
        assert f'"{key}"'.encode() not in one.body
        if protocol == spoken:
            assert "beta=true" in one.target


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_long_key_in_a_body_of_the_client_is_not_forwarded(
    daemon: Daemon, server: ScriptedUpstream, protocol: Protocol
) -> None:
    server.script(say("yes"))
    text = f'settings.json: {{"env": {{"ANTHROPIC_AUTH_TOKEN": "{LONG}"}}}}'
    for spoken in PROTOCOLS:
        headers = {"authorization": f"Bearer {OWN}", "x-api-key": LONG}
        ask(daemon.url, protocol, f"passing {spoken},m", text, headers=headers)
    assert len(server.requests) == len(PROTOCOLS)
    assert LONG.encode() not in sent(server)
    assert all(b"[client key]" in one.body for one in server.requests)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_short_key_changes_no_byte_of_a_prompt(
    daemon: Daemon, server: ScriptedUpstream, protocol: Protocol
) -> None:
    server.script(say("yes"))
    body = json.dumps(question(protocol, "m", "123") | {"user": "user-123"}, indent=1).encode()
    headers = {"authorization": f"Bearer {OWN}", "x-api-key": SHORT, "content-type": "application/json"}
    request(
        daemon.url, "POST", PATHS[protocol], body.replace(b'"m"', f'"passing {protocol},m"'.encode()), headers
    )
    seen = server.requests[0].body
    assert json.loads(seen)["user"] == "user-123"
    # usage is requested in Chat streams, which adds a member
    assert body.split(b'"model"')[1] in seen


@pytest.mark.parametrize("key", KEYS)
def test_counting_tokens_shows_no_client_key(daemon: Daemon, server: ScriptedUpstream, key: str) -> None:
    server.script(status(404, "no"))
    body = question("messages", "passing messages,m", f"key {LONG}")
    path = f"{PATHS['messages']}/count_tokens"
    only_local = request(daemon.url, "POST", path, body, {"x-api-key": key})
    assert (only_local.status, server.requests) == (200, [])
    both = {"authorization": f"Bearer {OWN}", "x-api-key": key}
    assert request(daemon.url, "POST", path, body, both).status == 200
    assert server.requests[0].header("authorization") == f"Bearer {OWN}"
    assert server.requests[0].header("x-api-key") is None
    assert LONG.encode() not in sent(server)


def test_the_next_upstream_answers_and_other_clients_are_served_at_once(tmp_path: Path) -> None:
    """A client without a key costs the entry nothing."""
    with ScriptedUpstream(say("first")) as first, ScriptedUpstream(say("second")) as second:
        entries = upstream("first", first.url) | {"key": "client"}, upstream("second", second.url)
        rules = {"error_threshold": 1, "session_hours": 0}
        with Daemon(tmp_path, settings(*entries, client_keys=KEYS, failover=rules)) as daemon:
            answers = [ask(daemon.url, "messages", headers={"x-api-key": LONG}) for _ in range(3)]
            own = ask(daemon.url, "messages", headers={"x-api-key": LONG, "authorization": f"Bearer {OWN}"})
            states = {one["name"]: one["state"] for one in daemon.get("/api/state").json["upstreams"]}

    assert [text_of("messages", one) for one in (*answers, own)] == ["second"] * 3 + ["first"]
    assert states == {"first": "ready", "second": "ready"}
    assert len(first.requests) == 1 and LONG.encode() not in sent(first) + sent(second)


PROGRAMS: dict[str, Protocol] = {"claude-cli/2.1.332": "messages", "codex_exec/0.171.0": "responses"}


@pytest.mark.parametrize("agent", PROGRAMS)
def test_a_refused_key_of_the_client_is_reported_as_that_and_costs_the_entry_nothing(
    tmp_path: Path, agent: str
) -> None:
    """Claude Code and Codex renew their logins after 401, and ask again at once."""
    protocol = PROGRAMS[agent]
    with ScriptedUpstream(status(401, "expired"), say("yes")) as server:
        entry = upstream("a", server.url, protocol) | {"key": "client"}
        with Daemon(tmp_path, settings(entry)) as daemon:
            headers = {"user-agent": agent, "authorization": f"Bearer {OWN}"}
            refused = ask(daemon.url, protocol, headers=headers)
            state = daemon.get("/api/state").json["upstreams"][0]["state"]
            renewed = ask(daemon.url, protocol, headers=headers | {"authorization": "Bearer renewed"})
    assert (refused.status, refused.header("x-should-retry"), state) == (401, "false", "ready")
    assert text_of(protocol, renewed) == "yes"


def test_an_entry_that_states_a_credential_header_needs_none_of_the_client(tmp_path: Path) -> None:
    with ScriptedUpstream(say("yes")) as server:
        entry = upstream("a", server.url, headers={"Authorization": "Bearer of-the-file"}) | {"key": "client"}
        with Daemon(tmp_path, settings(entry, client_keys=KEYS)) as daemon:
            assert text_of("messages", ask(daemon.url, "messages", headers={"x-api-key": LONG})) == "yes"
    assert server.requests[0].header("authorization") == "Bearer of-the-file"


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer "}, {"authorization": "Basic"}])
def test_without_client_keys_an_empty_credential_is_none(tmp_path: Path, headers: dict[str, str]) -> None:
    with ScriptedUpstream(say("never")) as server:
        entry = upstream("a", server.url) | {"key": "client"}
        with Daemon(tmp_path, settings(entry)) as daemon:
            assert ask(daemon.url, "messages", headers=headers).status == 401
    assert server.requests == []


def test_neither_a_test_nor_an_activation_is_sent_without_a_key(tmp_path: Path) -> None:
    with ScriptedUpstream(say("never")) as server:
        entry = upstream("a", server.url) | {"key": "client"}
        with Daemon(tmp_path, settings(entry)) as daemon:
            report = daemon.post("/api/upstreams/test", {"name": "a"}).json
            activated = daemon.post("/api/upstreams/activate", {"name": "a"})
    assert [step["ok"] for step in report["steps"]] == [True, True, False]
    assert "a test has none" in report["steps"][-1]["detail"]
    assert activated.status == 502
    assert "passes the client's own key on" in activated.json["error"]["message"]
    assert server.requests == []


def test_what_becomes_a_client_key_while_its_request_is_held_is_not_sent_again(tmp_path: Path) -> None:
    with ScriptedUpstream(status(503, "busy")) as server:
        entry = upstream("a", server.url) | {"key": "client"}
        document: dict[str, Any] = settings(entry, failover={"hold_seconds": 10})
        responses: list[Response] = []
        with Daemon(tmp_path, document) as daemon:

            def held() -> None:
                responses.append(ask(daemon.url, "messages", stream=False, headers={"x-api-key": LONG}))

            asking = threading.Thread(target=held)
            asking.start()
            server.wait_for(1)
            daemon.change_settings(document | {"client_keys": KEYS})
            asking.join(PATIENCE_SECONDS)
            upstreams_asked = [one["upstream"] for one in attempts(daemon)]
    [response] = responses
    assert "passes the client's own key on" in error_of("messages", response)["message"]
    assert len(server.requests) == len(upstreams_asked) - 1, "the last attempt was not sent"


def attempts(daemon: Daemon) -> list[dict[str, Any]]:
    id = daemon.get("/api/requests").json["requests"][0]["id"]
    return list(daemon.get(f"/api/requests/{id}").json["attempts"])


def test_what_became_a_client_key_after_the_capture_is_not_replayed(tmp_path: Path) -> None:
    with ScriptedUpstream(say("yes")) as server:
        entry = upstream("a", server.url) | {"key": "client"}
        document: dict[str, Any] = settings(entry)
        with Daemon(tmp_path, document) as daemon:
            daemon.post("/api/capture", {"mode": "all"})
            ask(daemon.url, "messages", text=f"It is {LONG}.", headers={"x-api-key": LONG})
            daemon.change_settings(document | {"client_keys": KEYS})
            id = daemon.get("/api/requests").json["requests"][0]["id"]
            server.script(say("yes"), *[FAULTS["status 500"]])
            daemon.post("/api/requests/replay", {"id": id, "upstream": "a"})
            detail = daemon.get("/api/requests").json["requests"][0]
    assert (detail["kind"], server.requests) == ("replay", [])
