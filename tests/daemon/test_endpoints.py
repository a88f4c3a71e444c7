"""The client endpoints over a real socket: every path, probe, list, encoding, limit and local key."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard

from tests.bed.asking import PATHS, ask, error_of, question, text_of
from tests.bed.daemon import Daemon, request, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say
from tests.bed.wire import PROTOCOLS, Protocol

PROTOCOL_BY_PATH: dict[Protocol, tuple[str, ...]] = {
    "messages": ("/v1/messages", "/api/v1/messages", "/claude/v1/messages", "/api/v1/messages?beta=true"),
    "chat": (
        "/v1/chat/completions",
        "/api/v1/chat/completions",
        "/openai/v1/chat/completions",
        "/openai/chat/completions",
    ),
    "responses": ("/openai/responses", "/openai/v1/responses", "/v1/responses", "/responses"),
}
MODELS = ("/v1/models", "/api/v1/models", "/openai/v1/models", "/openai/models")


@dataclass(frozen=True)
class Bed:
    daemon: Daemon
    server: ScriptedUpstream


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    with ScriptedUpstream(say("Served")) as server:
        entries = [
            upstream(protocol, server.url, protocol, clients=[protocol], models=["claude-a", "gpt-b", "m"])
            for protocol in PROTOCOLS
        ]
        with Daemon(tmp_path_factory.mktemp("doors"), settings(*entries, max_body_megabytes=2)) as daemon:
            yield Bed(daemon, server)


@pytest.mark.parametrize(
    ("protocol", "path"),
    [(protocol, path) for protocol in PROTOCOL_BY_PATH for path in PROTOCOL_BY_PATH[protocol]],
)
def test_each_path_speaks_its_protocol(bed: Bed, protocol: Protocol, path: str) -> None:
    bed.server.script(say("Served"))

    response = bed.daemon.post(path, question(protocol, "m"))

    assert (response.status, text_of(protocol, response)) == (200, "Served")
    assert bed.server.requests[0].protocol == protocol
    assert "beta=true" not in path or bed.server.requests[0].target.endswith("?beta=true")


@pytest.mark.parametrize(
    ("method", "path"),
    [("HEAD", "/api"), ("GET", "/api"), ("HEAD", "/"), ("HEAD", "/api/"), ("GET", "/health")],
)
def test_probes_are_answered(bed: Bed, method: str, path: str) -> None:
    response = request(bed.daemon.url, method, path)

    assert response.status == 200
    assert method == "GET" or response.body == b""


@pytest.mark.parametrize("path", PROTOCOL_BY_PATH["responses"])
def test_an_upgrade_is_declined_with_426(bed: Bed, path: str) -> None:
    headers = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    response = bed.daemon.get(path, headers)

    assert response.status == 426


@pytest.mark.parametrize(
    "path", ["/api/event_logging/batch", "/event_logging/batch", "/api/event_logging/v2/batch"]
)
def test_telemetry_is_swallowed(bed: Bed, path: str) -> None:
    bed.server.script(say("never"))

    assert bed.daemon.post(path, {"events": [{"secret": 1}]}).status == 200
    assert bed.server.requests == [] and bed.server.probes == []


@pytest.mark.parametrize("path", MODELS)
def test_the_models_in_three_shapes(bed: Bed, path: str) -> None:
    openai = bed.daemon.get(path).json
    anthropic = bed.daemon.get(path, {"anthropic-version": "2023-06-01"}).json
    codex = bed.daemon.get(f"{path}?client_version=0.169.0").json

    names = {"claude-a", "gpt-b", "m"}
    assert {model["id"] for model in openai["data"]} == names
    assert openai["object"] == "list"
    assert {model["id"] for model in anthropic["data"]} == names
    assert anthropic["has_more"] is False
    assert {model["slug"] for model in codex["models"]} == names


def test_one_model(bed: Bed) -> None:
    assert bed.daemon.get("/v1/models/gpt-b").json["id"] == "gpt-b"
    assert bed.daemon.get("/v1/models/claude-a", {"anthropic-version": "2023-06-01"}).json["type"] == "model"
    assert bed.daemon.get("/v1/models/nobody-knows").status == 404


UNKNOWN = [
    ("POST", "/v1/complete", "messages"),
    ("POST", "/v1/images/generations", "chat"),
    ("POST", "/v1/moderations", "chat"),
    ("GET", "/v1/messages", "messages"),
    ("GET", "/v1/chat/completions", "chat"),
    ("POST", "/v1/models", "messages"),
    ("POST", "/openai/v1/audio/speech", "chat"),
    ("POST", "/openai/deployments/x", "chat"),
    ("DELETE", "/v1/responses", "chat"),
    ("DELETE", "/v1/responses/resp_1", "chat"),
    ("POST", "/chat/completions", "chat"),
    ("POST", "/messages", "messages"),
    ("POST", "/v1/v1/messages", "messages"),
    ("GET", "/v1", "messages"),
    ("GET", "/openai", "chat"),
    ("GET", "/v1/modelsy", "messages"),
    ("GET", "/api/oauth/profile", ""),
    ("POST", "/somewhere", ""),
    ("PUT", "/", ""),
]


@pytest.mark.parametrize(("method", "path", "style"), UNKNOWN)
def test_anything_else_is_an_error_and_never_proxied(bed: Bed, method: str, path: str, style: str) -> None:
    bed.server.script(say("never"))

    response = request(bed.daemon.url, method, path, {"model": "m"} if method == "POST" else None)

    assert response.status == 404
    assert isinstance(response.json["error"]["message"], str)
    assert style != "messages" or response.json["type"] == "error"
    assert style != "chat" or "code" in response.json["error"]
    assert bed.server.requests == [] and bed.server.probes == []


@pytest.mark.parametrize(
    ("method", "path", "remedy"),
    [
        ("GET", "/v1/messages", "send a POST"),
        ("PUT", "/responses", "send a POST"),
        ("GET", "/v1/messages/count_tokens", "send a POST"),
        ("POST", "/openai/models", "send a GET"),
        ("POST", "/chat/completions", "use /v1/messages, /v1/chat/completions"),
        ("GET", "/v1", "use /v1/messages, /v1/chat/completions, /v1/responses, /v1/embeddings, "),
    ],
)
def test_a_wrong_path_is_refused_with_the_right_one(bed: Bed, method: str, path: str, remedy: str) -> None:
    message = request(bed.daemon.url, method, path).json["error"]["message"]

    assert f"{method} {path} is not served here; {remedy}" in message


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": zstandard.ZstdCompressor().compress,
    "br": brotli.compress,
    "deflate": zlib.compress,
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_packed_request_is_unpacked(bed: Bed, encoding: str, protocol: Protocol) -> None:
    bed.server.script(say("Served"))
    body = json.dumps(question(protocol, "m", "unpack me")).encode()
    headers = {"content-type": "application/json", "content-encoding": encoding}

    response = request(bed.daemon.url, "POST", PATHS[protocol], ENCODINGS[encoding](body), headers)

    assert (response.status, text_of(protocol, response)) == (200, "Served")
    received = bed.server.requests[0]
    assert "unpack me" in received.body.decode()
    assert received.header("content-encoding") is None


BOMB = b'{"model": "m", "input": "' + b"a" * (3 << 20) + b'"}'


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("encoding", ["", *ENCODINGS])
def test_a_body_beyond_the_limit_gets_413_in_the_clients_envelope(
    bed: Bed, encoding: str, protocol: Protocol
) -> None:
    body = ENCODINGS[encoding](BOMB) if encoding else BOMB
    headers = {"content-encoding": encoding} if encoding else {}

    response = request(bed.daemon.url, "POST", PATHS[protocol], body, headers)

    assert response.status == 413
    assert "2 MB" in error_of(protocol, response)["message"] or encoding


NONSENSE: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{not json",
    "a list": b"[]",
    "no model": b'{"messages": [], "input": ""}',
    "a number as model": b'{"model": 5, "messages": [], "input": ""}',
    "no UTF-8": b'{"model": "\xff\xfe"}',
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_gets_400_in_the_clients_envelope(bed: Bed, name: str, protocol: Protocol) -> None:
    response = request(
        bed.daemon.url, "POST", PATHS[protocol], NONSENSE[name], {"content-type": "application/json"}
    )

    assert response.status == 400, response.text
    assert error_of(protocol, response)["message"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_deep_nesting_is_refused_without_harm(bed: Bed, protocol: Protocol) -> None:
    body = b'{"model": "m", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

    response = request(bed.daemon.url, "POST", PATHS[protocol], body, {"content-type": "application/json"})

    assert 200 <= response.status < 600
    assert bed.daemon.get("/health").status == 200


def test_tokens_are_counted_at_each_messages_endpoint(bed: Bed) -> None:
    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "word " * 100}]}
    for path in (
        "/v1/messages/count_tokens",
        "/api/v1/messages/count_tokens",
        "/claude/v1/messages/count_tokens",
    ):
        response = bed.daemon.post(path, body)
        assert response.status == 200
        assert response.json["input_tokens"] > 20


# --- the local key -------------------------------------------------------------


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with ScriptedUpstream(say("Served")) as server:
        document = settings(
            *[upstream(protocol, server.url, protocol, clients=[protocol]) for protocol in PROTOCOLS],
            client_keys={"key-one": "laptop", "schlüssel": "phone"},
        )
        with Daemon(tmp_path_factory.mktemp("locked"), document) as daemon:
            yield daemon


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "headers",
    [{"authorization": "Bearer key-one"}, {"x-api-key": "key-one"}, {"authorization": "bearer key-one"}],
)
def test_a_known_key_is_admitted_and_named(
    locked: Daemon, headers: dict[str, str], protocol: Protocol
) -> None:
    assert ask(locked.url, protocol, headers=headers).status == 200
    assert locked.journal()[-1]["client"] == "laptop"


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({"x-api-key": "key-one "}, "laptop"),
        ({"api-key": "\tkey-one \t"}, "laptop"),
        ({"authorization": "Bearer  key-one "}, "laptop"),
        ({"x-api-key": "schlüssel"}, "phone"),
        ({"x-api-key": "schlüssel".encode().decode("latin-1")}, "phone"),
        ({"authorization": "Bearer " + "schlüssel".encode().decode("latin-1")}, "phone"),
    ],
)
def test_a_key_is_known_in_any_encoding_and_with_blanks_around_it(
    locked: Daemon, headers: dict[str, str], client: str
) -> None:
    assert ask(locked.url, "messages", headers=headers).status == 200
    assert locked.journal()[-1]["client"] == client


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer key-two"}, {"x-api-key": "key-on"}, {"authorization": "Basic key-one"}],
)
def test_any_other_key_gets_401_in_the_clients_envelope(
    locked: Daemon, headers: dict[str, str], protocol: Protocol
) -> None:
    response = ask(locked.url, protocol, headers=headers)

    assert response.status == 401
    assert "client" in error_of(protocol, response)["message"]


def test_without_client_keys_any_key_will_do(bed: Bed) -> None:
    for headers in ({}, {"authorization": "Bearer whatever"}, {"x-api-key": "whatever"}):
        assert ask(bed.daemon.url, "messages", headers=headers).status == 200


# --- the real body limit -------------------------------------------------------


def test_sixty_megabytes_pass_by_default(tmp_path: Path) -> None:
    with (
        ScriptedUpstream(say("Served")) as server,
        Daemon(tmp_path, settings(upstream("a", server.url))) as daemon,
    ):
        response = ask(daemon.url, "messages", text="x" * (60 << 20))
        assert (response.status, len(server.requests[0].body) > 60 << 20) == (200, True)
        assert ask(daemon.url, "messages", text="x" * (65 << 20)).status == 413
