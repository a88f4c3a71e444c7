"""Each prompt goes to the vendor it is meant for, and to an upstream into whose window it fits.

Official hosts are reached through an HTTP proxy that answers in their place: the daemon decides by their real names.
"""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bed.asking import ask, error_of, question, text_of
from tests.bed.daemon import Daemon, holding_settings, request, settings, upstream
from tests.bed.upstream import Received, ScriptedUpstream, fixed, say, whole
from tests.bed.wire import PROTOCOLS, Protocol


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


@pytest.mark.parametrize("name", ["a", None])
def test_the_user_clears_what_an_upstream_has_reported_of_its_models(
    tmp_path: Path, name: str | None
) -> None:
    with ScriptedUpstream(NO_SUCH_MODEL) as first, ScriptedUpstream(say("from B")) as second:
        entries = [upstream("a", first.url, "responses"), upstream("b", second.url, "responses")]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            assert text_of("responses", ask(daemon.url, "responses", "gpt-5.5")) == "from B"
            assert [one["missing"] for one in daemon.get("/api/state").json["upstreams"]] == [["gpt-5.5"], []]
            first.script(say("from A"))
            daemon.post("/api/upstreams/clear", {} if name is None else {"name": name})
            assert text_of("responses", ask(daemon.url, "responses", "gpt-5.5")) == "from A"


def prompt_of(tokens: int) -> str:
    """About so many tokens: by estimate a word of this text is one and a little more."""
    return "word and more " * (tokens // 3)


def test_a_long_prompt_goes_to_the_second_entry_because_the_first_has_a_small_window(tmp_path: Path) -> None:
    with ScriptedUpstream(say("from the small")) as small, ScriptedUpstream(say("from the large")) as large:
        entries = [
            upstream("small", small.url, "messages", context_window=8000),
            upstream("large", large.url, "messages", context_window=200_000),
        ]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            answers = [
                text_of(protocol, ask(daemon.url, protocol, "m", text))
                for protocol in PROTOCOLS
                for text in ("short", prompt_of(25_000))
            ]
            assert answers == ["from the small", "from the large"] * 3
            exchange = daemon.get("/api/requests").json["requests"][0]
            detail = daemon.get(f"/api/requests/{exchange['id']}").json
            assert [one["upstream"] for one in detail["skipped"]] == ["small"]
            assert "its context window has room for 8,000" in detail["skipped"][0]["text"]
    assert len(small.requests) == 3


OVERFLOWS: list[tuple[Protocol, dict[str, str], str]] = [
    ("messages", {"user-agent": "claude-cli/2.1 (external, cli)"}, "prompt is too long: "),
    ("messages", {}, "prompt is too long: "),
    ("chat", {}, "maximum context length is 8000 tokens"),
    ("responses", {"user-agent": "codex_exec/0.171", "originator": "codex_exec"}, "context_length_exceeded"),
]


@pytest.mark.parametrize(("protocol", "headers", "words"), OVERFLOWS)
def test_a_prompt_that_exceeds_every_window_gets_the_overflow_in_the_words_of_its_client(
    tmp_path: Path, protocol: Protocol, headers: dict[str, str], words: str
) -> None:
    with ScriptedUpstream() as server:
        entry = upstream("small", server.url, "chat", context_window=8000)
        with Daemon(tmp_path, holding_settings(entry)) as daemon:
            answered = ask(daemon.url, protocol, "m", prompt_of(25_000), headers=headers)
        assert words in answered.text
        if protocol == "messages":
            error = error_of(protocol, answered)
            assert error["type"] == "invalid_request_error"
            numbers = re.fullmatch(r"prompt is too long: (\d+) tokens > 8000 maximum", error["message"])
            assert numbers is not None and 20_000 < int(numbers[1]) < 30_000
    assert server.requests == []


def test_between_fitting_and_exceeding_the_upstream_decides(tmp_path: Path) -> None:
    with ScriptedUpstream(say("it fits")) as server:
        entry = upstream("small", server.url, "messages", context_window=8000)
        with Daemon(tmp_path, settings(entry)) as daemon:
            assert text_of("messages", ask(daemon.url, "messages", "m", prompt_of(7800))) == "it fits"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_answer_is_limited_to_what_the_prompt_leaves_of_the_window(
    tmp_path: Path, protocol: Protocol
) -> None:
    """Claude Code asks for answers of 128,000 tokens, whatever the window."""
    with ScriptedUpstream(say("short")) as server:
        entry = upstream("local", server.url, protocol, context_window=131_072)
        with Daemon(tmp_path, settings(entry)) as daemon:
            body = question("messages", "m", prompt_of(25_000)) | {"max_tokens": 128_000}
            request(daemon.url, "POST", "/v1/messages", body)
            sent = server.requests[0].json
            limit = sent.get("max_tokens") or sent.get("max_completion_tokens") or sent["max_output_tokens"]
            assert 100_000 < limit < 110_000
            exchange = daemon.get("/api/requests").json["requests"][0]
            losses = daemon.get(f"/api/requests/{exchange['id']}").json["losses"]
            why = f"reduced to {limit:,}: the prompt leaves no more of the context window of 131,072 tokens"
            assert {"field": "max_tokens", "why": why} in losses
            request(daemon.url, "POST", "/v1/messages", question("messages", "m") | {"max_tokens": 128_000})
            assert server.requests[1].json == server.requests[1].json | {"model": "m"}


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}


def test_an_image_goes_to_an_upstream_that_reads_it(tmp_path: Path) -> None:
    with ScriptedUpstream(say("text only")) as blind, ScriptedUpstream(say("I see it")) as seeing:
        entries = [
            upstream("blind", blind.url, "messages", capabilities={"images": False}),
            upstream("seeing", seeing.url, "messages"),
        ]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            said = question("messages", "m", "the word image alone needs nobody")
            shown = said | {"messages": [{"role": "user", "content": [IMAGE]}]}
            answers = [
                text_of("messages", request(daemon.url, "POST", "/v1/messages", body))
                for body in (said, shown)
            ]
            assert answers == ["text only", "I see it"]
            seeing.script(fixed(whole(503, b"{}")))
            # shown to the one that cannot see it, with a note, rather than to nobody
            answered = request(daemon.url, "POST", "/v1/messages", shown)
            assert text_of("messages", answered) == "text only"
            assert b"iVBORw0KGgo" not in blind.requests[-1].body


def test_the_list_of_models_holds_the_names_that_are_routed_for_the_client_that_asks(tmp_path: Path) -> None:
    entries = [
        upstream("a", "http://api.anthropic.com", "messages"),
        upstream("b", "http://127.0.0.1:9", "chat", clients=["responses"], models=["qwen3"]),
        upstream("c", "http://127.0.0.1:9", "chat", clients=["chat"], models=["glm-5"], context_window=8000),
    ]
    claude = {"claude-opus-4-5", "claude-sonnet-4-5", "claude-haiku-4-5"}
    with Daemon(tmp_path, settings(*entries)) as daemon:
        anthropic = daemon.get("/v1/models", {"anthropic-version": "2023-06-01"}).json["data"]
        codex = daemon.get("/openai/models?client_version=0.171.0").json["models"]
        others = daemon.get("/v1/models").json["data"]
        assert {one["id"]: one["display_name"] for one in anthropic} == {
            "claude-opus-4-5": "Claude Opus 4.5",
            "claude-sonnet-4-5": "Claude Sonnet 4.5",
            "claude-haiku-4-5": "Claude Haiku 4.5",
        }
        assert {one["slug"] for one in codex} == claude | {"qwen3"}
        assert {one["id"]: one.get("context_window") for one in others} == {
            **dict.fromkeys(claude | {"qwen3"}),
            "glm-5": 8000,
        }
        assert daemon.get("/v1/models/gpt-5.5").status == 404
        assert daemon.get("/v1/models/claude-new", {"anthropic-version": "2023-06-01"}).status == 200
