"""The official SDKs through the daemon: every client protocol over every upstream protocol, streamed and whole."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import ScriptedUpstream, answer, status
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply, Usage

USAGE = Usage(fresh=100, cache_read=40, output=30)
REPLY = Reply(
    "Two calls, then.",
    calls=(Call("add", {"a": 1, "b": 2}, "call_a"), Call("say", {"text": "é…日"}, "call_b")),
    usage=USAGE,
)
CALLS = [("add", {"a": 1, "b": 2}), ("say", {"text": "é…日"})]
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "integer"}}}
Outcome = tuple[str, list[tuple[str, Any]], dict[str, int]]


def ask_messages(url: str, stream: bool) -> Outcome:
    tools: Any = [{"name": name, "description": "d", "input_schema": SCHEMA} for name in ("add", "say")]
    arguments: Any = {
        "model": "claude-x",
        "max_tokens": 500,
        "messages": [{"role": "user", "content": "Go"}],
        "tools": tools,
    }
    with anthropic.Anthropic(base_url=f"{url}/api", auth_token="123", max_retries=0) as client:
        if stream:
            with client.messages.stream(**arguments) as events:
                message = events.get_final_message()
        else:
            message = client.messages.create(**arguments)
    assert (message.model, message.stop_reason) == ("claude-x", "tool_use")
    text = "".join(block.text for block in message.content if block.type == "text")
    calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    usage = message.usage
    return (
        text,
        calls,
        {
            "fresh": usage.input_tokens,
            "read": usage.cache_read_input_tokens or 0,
            "output": usage.output_tokens,
        },
    )


def ask_chat(url: str, stream: bool) -> Outcome:
    tools: Any = [
        {"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("add", "say")
    ]
    arguments: Any = {"model": "gpt-x", "messages": [{"role": "user", "content": "Go"}], "tools": tools}
    with openai.OpenAI(base_url=f"{url}/v1", api_key="123", max_retries=0) as client:
        if stream:
            options: Any = {"include_usage": True}
            with client.chat.completions.stream(**arguments, stream_options=options) as events:
                completion: Any = events.get_final_completion()
        else:
            completion = client.chat.completions.create(**arguments)
    choice = completion.choices[0]
    assert (completion.model, choice.finish_reason) == ("gpt-x", "tool_calls")
    calls = [(call.function.name, parsed(call.function.arguments)) for call in choice.message.tool_calls]
    return (
        choice.message.content,
        calls,
        of_openai(
            completion.usage.prompt_tokens,
            completion.usage.prompt_tokens_details.cached_tokens,
            completion.usage.completion_tokens,
        ),
    )


def ask_responses(url: str, stream: bool) -> Outcome:
    tools: Any = [
        {"type": "function", "name": name, "parameters": SCHEMA, "strict": False} for name in ("add", "say")
    ]
    arguments: Any = {"model": "gpt-x", "input": "Go", "tools": tools}
    with openai.OpenAI(base_url=f"{url}/openai", api_key="123", max_retries=0) as client:
        if stream:
            with client.responses.stream(**arguments) as events:
                response: Any = events.get_final_response()
        else:
            response = client.responses.create(**arguments)
    assert (response.model, response.status) == ("gpt-x", "completed")
    calls = [(item.name, parsed(item.arguments)) for item in response.output if item.type == "function_call"]
    usage = response.usage
    return (
        response.output_text,
        calls,
        of_openai(usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens),
    )


def of_openai(whole_input: int, cached: int, output: int) -> dict[str, int]:
    return {"fresh": whole_input - cached, "read": cached, "output": output}


def parsed(arguments: str) -> Any:
    return json.loads(arguments)


ASK: dict[Protocol, Callable[[str, bool], Outcome]] = {
    "messages": ask_messages,
    "chat": ask_chat,
    "responses": ask_responses,
}


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Protocol, Daemon]]:
    """One daemon for each protocol that its only upstream speaks."""
    with ScriptedUpstream(answer(REPLY)) as server:
        running: dict[Protocol, Daemon] = {}
        try:
            for protocol in PROTOCOLS:
                folder = tmp_path_factory.mktemp(protocol)
                running[protocol] = Daemon(folder, settings(upstream("only", server.url, protocol)))
                running[protocol].start()
            yield running
        finally:
            for daemon in running.values():
                daemon.stop()


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("spoken", PROTOCOLS)
@pytest.mark.parametrize("client", PROTOCOLS)
def test_text_calls_and_usage_come_through(
    daemons: dict[Protocol, Daemon], client: Protocol, spoken: Protocol, stream: bool
) -> None:
    outcome = ASK[client](daemons[spoken].url, stream)

    assert outcome == ("Two calls, then.", CALLS, {"fresh": 100, "read": 40, "output": 30})


def test_with_no_configuration_the_demo_answers(tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        with anthropic.Anthropic(base_url=f"{daemon.url}/api", auth_token="123", max_retries=0) as claude:
            message = claude.messages.create(
                model="claude-x", max_tokens=500, messages=[{"role": "user", "content": "Hello there"}]
            )
        with openai.OpenAI(base_url=f"{daemon.url}/v1", api_key="123", max_retries=0) as gpt:
            completion = gpt.chat.completions.create(
                model="gpt-x", messages=[{"role": "user", "content": "Hello there"}]
            )
            response = gpt.responses.create(model="gpt-x", input="Hello there")

    block = message.content[0]
    assert block.type == "text"
    for text in (block.text, completion.choices[0].message.content or "", response.output_text):
        assert "demo" in text and "Hello there" in text


ERRORS = [(401, "AuthenticationError"), (403, "PermissionDeniedError"), (429, "RateLimitError")]


@pytest.mark.parametrize(("code", "name"), ERRORS)
def test_the_sdks_raise_the_error_that_fits_the_last_failure(tmp_path: Path, code: int, name: str) -> None:
    with ScriptedUpstream(status(code)) as server:
        entries = [upstream(protocol, server.url, protocol, clients=[protocol]) for protocol in PROTOCOLS]
        with Daemon(tmp_path, settings(*entries)) as daemon:
            with pytest.raises(getattr(anthropic, name)):
                ask_messages(daemon.url, True)
            for ask in (ask_chat, ask_responses):
                with pytest.raises(getattr(openai, name)):
                    ask(daemon.url, True)


def test_the_model_lists_are_read_by_both_sdks(daemons: dict[Protocol, Daemon]) -> None:
    url = daemons["messages"].url
    with anthropic.Anthropic(base_url=f"{url}/api", auth_token="123", max_retries=0) as claude:
        assert [model.type for model in claude.models.list(limit=1000)][:1] == ["model"]
    with openai.OpenAI(base_url=f"{url}/v1", api_key="123", max_retries=0) as gpt:
        assert [model.object for model in gpt.models.list()][:1] == ["model"]


def test_tokens_are_counted_without_an_upstream_that_can(daemons: dict[Protocol, Daemon]) -> None:
    messages: Any = [{"role": "user", "content": "word " * 1000}]
    with anthropic.Anthropic(
        base_url=f"{daemons['chat'].url}/api", auth_token="123", max_retries=0
    ) as claude:
        count = claude.messages.count_tokens(model="claude-x", messages=messages)
    assert 700 <= count.input_tokens <= 2000
