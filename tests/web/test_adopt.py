"""The endpoint that a client's file names becomes an upstream, whether the client is set up already or not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import ask
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import ScriptedUpstream, say
from tests.bed.wire import Protocol

KEY = "sk-of-the-client"


def claude(url: str) -> str:
    return json.dumps({"env": {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_AUTH_TOKEN": KEY}})


def codex(url: str) -> str:
    return (
        'model_provider = "relay"\n[model_providers.relay]\n'
        f'base_url = "{url}/v1"\nwire_api = "responses"\nexperimental_bearer_token = "{KEY}"\n'
    )


def opencode(url: str) -> str:
    options = {"baseURL": f"{url}/v1", "apiKey": KEY}
    return json.dumps({"model": "relay/m", "provider": {"relay": {"options": options}}})


def qwen(url: str) -> str:
    auth = {"selectedType": "openai", "baseUrl": f"{url}/v1", "apiKey": KEY}
    return json.dumps({"security": {"auth": auth}, "model": {"name": "m"}})


def cline(url: str) -> str:
    entry = {"settings": {"baseUrl": url, "apiKey": KEY, "model": "m"}}
    return json.dumps({"lastUsedProvider": "anthropic", "providers": {"anthropic": entry}})


def crush(url: str) -> str:
    provider = {"type": "anthropic", "base_url": url, "api_key": KEY}
    large = {"provider": "relay", "model": "m"}
    return json.dumps({"providers": {"relay": provider}, "models": {"large": large}})


FILES: dict[str, tuple[str, Callable[[str], str], Protocol]] = {
    "claude": (".claude/settings.json", claude, "messages"),
    "codex": (".codex/config.toml", codex, "responses"),
    "opencode": (".config/opencode/opencode.json", opencode, "chat"),
    "qwen": (".qwen/settings.json", qwen, "chat"),
    "cline": (".cline/data/settings/providers.json", cline, "messages"),
    "crush": (".config/crush/crush.json", crush, "messages"),
}


def view(daemon: Daemon, client: str) -> Any:
    clients = daemon.get("/api/clients").json["clients"]
    return next(one["endpoint"] for one in clients if one["client"] == client)


@pytest.mark.parametrize("client", FILES)
@pytest.mark.parametrize("set_up_first", [False, True])
def test_the_endpoint_of_a_client_is_adopted_with_its_key(
    tmp_path: Path, client: str, set_up_first: bool
) -> None:
    place, content, protocol = FILES[client]
    with (
        ScriptedUpstream(say("adopted")) as relay,
        Daemon(tmp_path, settings(upstream("other", "http://127.0.0.1:9", enabled=False))) as daemon,
    ):
        path = daemon.home / place
        path.parent.mkdir(parents=True)
        path.write_text(content(relay.url))
        if set_up_first:
            applied = daemon.post("/api/clients/apply", {"client": client, "options": {"model": "m"}})
            assert applied.status == 200
        endpoint = view(daemon, client)
        assert (endpoint["base_url"].startswith(relay.url), endpoint["has_key"]) == (True, True)
        assert KEY not in daemon.get("/api/clients").text
        revision = daemon.get("/api/configs").json["revision"]
        adopted = daemon.post("/api/clients/adopt", {"client": client, "revision": revision})
        assert (adopted.status, adopted.json["name"]) == (200, "127.0.0.1")
        assert KEY not in adopted.text
        assert view(daemon, client) is None
        answer = ask(daemon.url, protocol)
        assert "adopted" in answer.text
        assert KEY in str(relay.requests[0].headers)


def test_the_endpoint_of_zed_is_adopted_without_the_key_in_its_keychain(tmp_path: Path) -> None:
    text = json.dumps(
        {
            "agent": {"default_model": {"provider": "Relay", "model": "m"}},
            "language_models": {"openai_compatible": {"Relay": {"api_url": "https://relay.invalid/v1"}}},
        }
    )
    with Daemon(tmp_path, settings(upstream("other", "http://127.0.0.1:9", enabled=False))) as daemon:
        path = daemon.home / ".config" / "zed" / "settings.json"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        found = view(daemon, "zed")
        revision = daemon.get("/api/configs").json["revision"]
        assert daemon.post("/api/clients/adopt", {"client": "zed", "revision": revision}).status == 200
    assert found == {"base_url": "https://relay.invalid/v1", "protocol": "chat", "has_key": False}


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        '{"env": {"ANTHROPIC_BASE_URL": 7}}',
        '{"env": {"ANTHROPIC_BASE_URL": "http://127.0.0.1:9/"}}',
        '{"env": {"ANTHROPIC_BASE_URL": "http://[x"}}',
        '{"env": {"ANTHROPIC_BASE_URL": "http://h:99999"}}',
        "{",
    ],
    ids=["nothing", "no text", "known already", "no address", "no port", "broken"],
)
def test_without_an_endpoint_to_adopt_nothing_is_offered_or_changed(tmp_path: Path, content: str) -> None:
    with Daemon(tmp_path, settings(upstream("other", "http://127.0.0.1:9"))) as daemon:
        path = daemon.home / ".claude" / "settings.json"
        path.parent.mkdir(parents=True)
        path.write_text(content)
        before = daemon.settings_path.read_bytes()
        assert view(daemon, "claude") is None
        revision = daemon.get("/api/configs").json["revision"]
        refused = daemon.post("/api/clients/adopt", {"client": "claude", "revision": revision})
        assert refused.status in (404, 422)
        assert daemon.settings_path.read_bytes() == before


def test_a_key_without_an_address_leads_to_its_vendor(tmp_path: Path) -> None:
    with Daemon(tmp_path, settings(upstream("other", "http://127.0.0.1:9"))) as daemon:
        path = daemon.home / ".claude" / "settings.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"env": {"ANTHROPIC_API_KEY": KEY}}))
        found = view(daemon, "claude")
    assert found == {"base_url": "https://api.anthropic.com", "protocol": "messages", "has_key": True}
