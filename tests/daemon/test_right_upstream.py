"""Each prompt goes to the vendor it is meant for, and to an upstream into whose window it fits.

Official hosts are reached through an HTTP proxy that answers in their place: the daemon decides by their real names.
"""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import ask, text_of
from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import Received, ScriptedUpstream, fixed, say, whole
from tests.bed.wire import Protocol


def official(name: str, host: str, protocol: Protocol, proxy: ScriptedUpstream) -> dict[str, Any]:
    """An entry with default settings; the proxy stands in for its host."""
    return upstream(name, f"http://{host}", protocol, proxy=proxy.url)


@pytest.fixture
def anthropic() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(say("from Anthropic")) as server:
        yield server


@pytest.fixture
def openai() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(say("from OpenAI")) as server:
        yield server


def models_seen(server: ScriptedUpstream) -> set[str]:
    return {received.json["model"] for received in server.requests}


NO_SUCH_MODEL = fixed(
    whole(404, b'{"type": "error", "error": {"type": "not_found_error", "message": "model: gpt-5.5"}}')
)


@pytest.mark.parametrize("hosts", [("api.anthropic.com", "api.openai.com"), ("relay.test", "other.test")])
def test_two_clients_side_by_side_never_show_a_prompt_to_the_other_ones_upstream(
    tmp_path: Path, anthropic: ScriptedUpstream, openai: ScriptedUpstream, hosts: tuple[str, str]
) -> None:
    entries = [
        official("one", hosts[0], "messages", anthropic),
        official("two", hosts[1], "responses", openai),
    ]
    for order in (entries, entries[::-1]):
        with Daemon(tmp_path / order[0]["name"], settings(*order)) as daemon:
            said: dict[str, set[str]] = {"claude": set(), "codex": set()}

            def claude_code(daemon: Daemon = daemon, said: dict[str, set[str]] = said) -> None:
                headers = {"user-agent": "claude-cli/2.1", "x-claude-code-session-id": "s"}
                answered = ask(daemon.url, "messages", "claude-opus-4-5", headers=headers)
                said["claude"].add(text_of("messages", answered))

            def codex(daemon: Daemon = daemon, said: dict[str, set[str]] = said) -> None:
                headers = {"user-agent": "codex_exec/0.171", "session-id": "s"}
                answered = ask(daemon.url, "responses", "gpt-5.5", headers=headers)
                said["codex"].add(text_of("responses", answered))

            threads = [threading.Thread(target=ask_one) for ask_one in (claude_code, codex) * 3]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert said == {"claude": {"from Anthropic"}, "codex": {"from OpenAI"}}
    assert (models_seen(anthropic), models_seen(openai)) == ({"claude-opus-4-5"}, {"gpt-5.5"})


def test_an_unlikely_upstream_is_asked_only_when_the_likely_one_has_failed(
    tmp_path: Path, anthropic: ScriptedUpstream, openai: ScriptedUpstream
) -> None:
    openai.script(fixed(whole(503, b'{"error": {"message": "down for a moment"}}')))
    anthropic.script(NO_SUCH_MODEL)
    entries = [
        official("anthropic", "api.anthropic.com", "messages", anthropic),
        official("openai", "api.openai.com", "responses", openai),
    ]
    with Daemon(tmp_path, settings(*entries)) as daemon:
        answered = ask(daemon.url, "responses", "gpt-5.5", stream=False)
    assert (len(openai.requests), len(anthropic.requests)) == (1, 1)
    # the error of the upstream that should have answered is the one that tells something
    assert answered.status == 503 and "down for a moment" in answered.text


def test_an_upstream_without_the_model_is_not_asked_again_until_its_entry_is_edited(tmp_path: Path) -> None:
    def answers(received: Received) -> Any:
        return NO_SUCH_MODEL(received) if received.json["model"] == "gpt-5.5" else say("from A")(received)

    with ScriptedUpstream(answers) as first, ScriptedUpstream(say("from B")) as second:
        entries = [upstream("a", first.url, "responses"), upstream("b", second.url, "responses")]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            for _ in range(3):
                assert text_of("responses", ask(daemon.url, "responses", "gpt-5.5")) == "from B"
            assert len(first.requests) == 1
            explained = daemon.get("/api/explain?client=responses&model=gpt-5.5").json
            assert [(one["upstream"], bool(one["unlikely"])) for one in explained["candidates"]] == [
                ("b", False),
                ("a", True),
            ]
            assert text_of("responses", ask(daemon.url, "responses", "gpt-5")) == "from A"
            daemon.change_settings(settings(entries[0] | {"note": "now it has it"}, entries[1]))
            first.script(say("from A"))
            assert text_of("responses", ask(daemon.url, "responses", "gpt-5.5")) == "from A"
