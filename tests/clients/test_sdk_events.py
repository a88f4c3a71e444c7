"""The stream helpers of the official SDKs over all nine pairs: every event of thinking, text and parallel calls."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.bed.daemon import Daemon, settings, upstream
from tests.bed.upstream import ScriptedUpstream, answer
from tests.bed.wire import PROTOCOLS, Call, Protocol, Reply, Usage

THINKING, TEXT = "First I think; 想一想…", "Then I speak: ünïcode 🎈."
CALLS = (
    Call("add", {"a": 1, "b": [2, {"c": "é"}]}, "call_a"),
    Call("say", {"text": 'line\n"two"'}, "call_b"),
)
REPLY = Reply(TEXT, thinking=THINKING, calls=CALLS, usage=Usage(fresh=120, cache_read=30, output=50))
SCHEMA: dict[str, Any] = {"type": "object", "properties": {}}
NAMES = ("add", "say")
Reported = dict[str, Any]
EXPECTED: Reported = {
    "thinking": THINKING,
    "text": TEXT,
    "calls": [(call.id, call.name, call.input) for call in CALLS],
    "usage": (150, 50),
}


def reported_to_anthropic(url: str) -> Reported:
    tools: Any = [{"name": name, "description": "d", "input_schema": SCHEMA} for name in NAMES]
    reported: Reported = {"thinking": "", "text": "", "calls": []}
    with (
        anthropic.Anthropic(base_url=f"{url}/api", auth_token="123", max_retries=0) as client,
        client.messages.stream(
            model="m",
            max_tokens=9000,
            thinking={"type": "enabled", "budget_tokens": 2000},
            messages=[{"role": "user", "content": "Go"}],
            tools=tools,
        ) as events,
    ):
        for event in events:
            match event.type:
                case "thinking":
                    reported["thinking"] += event.thinking
                    assert event.snapshot == reported["thinking"]
                case "text":
                    reported["text"] += event.text
                    assert event.snapshot == reported["text"]
                case "content_block_stop" if event.content_block.type == "tool_use":
                    block = event.content_block
                    reported["calls"].append((block.id, block.name, block.input))
        message = events.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text", "tool_use", "tool_use"]
    assert message.stop_reason == "tool_use"
    usage = message.usage
    whole_input = usage.input_tokens + (usage.cache_read_input_tokens or 0)
    return reported | {"usage": (whole_input, usage.output_tokens)}


def reported_to_chat(url: str) -> Reported:
    tools: Any = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in NAMES]
    reported: Reported = {"thinking": "", "text": "", "calls": []}
    arguments: Any = {
        "model": "m",
        "messages": [{"role": "user", "content": "Go"}],
        "tools": tools,
        "reasoning_effort": "high",
        "stream_options": {"include_usage": True},
    }
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key="123", max_retries=0) as client,
        client.chat.completions.stream(**arguments) as events,
    ):
        for event in events:
            match event.type:
                case "chunk" if event.chunk.choices:
                    reported["thinking"] += (
                        getattr(event.chunk.choices[0].delta, "reasoning_content", None) or ""
                    )
                case "content.delta":
                    reported["text"] += event.delta
                case "content.done":
                    assert event.content == reported["text"]
                case "tool_calls.function.arguments.done":
                    reported["calls"].append((event.name, json.loads(event.arguments)))
        completion = events.get_final_completion()
    message = completion.choices[0].message
    assert completion.choices[0].finish_reason == "tool_calls"
    final = [
        (call.id, call.function.name, json.loads(call.function.arguments))
        for call in message.tool_calls or ()
    ]
    assert [(name, arguments) for _, name, arguments in final] == reported["calls"]
    assert completion.usage is not None
    return reported | {
        "calls": final,
        "usage": (completion.usage.prompt_tokens, completion.usage.completion_tokens),
    }


def reported_to_responses(url: str) -> Reported:
    tools: Any = [{"type": "function", "name": name, "parameters": SCHEMA, "strict": False} for name in NAMES]
    reported: Reported = {"thinking": "", "text": "", "calls": []}
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key="123", max_retries=0) as client,
        client.responses.stream(
            model="m", input="Go", tools=tools, reasoning={"effort": "high", "summary": "auto"}
        ) as events,
    ):
        for event in events:
            match event.type:
                case "response.reasoning_summary_text.delta":
                    reported["thinking"] += event.delta
                case "response.output_text.delta":
                    reported["text"] += event.delta
                    assert event.snapshot == reported["text"]
                case "response.output_item.done" if event.item.type == "function_call":
                    item = event.item
                    reported["calls"].append((item.call_id, item.name, json.loads(item.arguments)))
        response = events.get_final_response()
    assert [item.type for item in response.output] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]
    assert response.status == "completed" and response.output_text == TEXT
    assert response.usage is not None
    return reported | {"usage": (response.usage.input_tokens, response.usage.output_tokens)}


CLIENTS: dict[Protocol, Callable[[str], Reported]] = {
    "messages": reported_to_anthropic,
    "chat": reported_to_chat,
    "responses": reported_to_responses,
}


@pytest.fixture(scope="module", params=PROTOCOLS)
def bed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Daemon, ScriptedUpstream]]:
    spoken: Protocol = request.param
    with ScriptedUpstream() as server:
        document = settings(upstream("u", server.url, spoken))
        with Daemon(tmp_path_factory.mktemp(spoken), document) as daemon:
            yield daemon, server


@pytest.mark.parametrize("octets_per_send", [0, 61], ids=["record by record", "torn records"])
@pytest.mark.parametrize("client", PROTOCOLS)
def test_every_event_reaches_the_sdk(
    bed: tuple[Daemon, ScriptedUpstream], client: Protocol, octets_per_send: int
) -> None:
    daemon, server = bed
    server.script(answer(REPLY, octets_per_send=octets_per_send, piece=5))
    assert CLIENTS[client](daemon.url) == EXPECTED


@pytest.mark.parametrize("client", PROTOCOLS)
def test_a_plain_answer_and_an_empty_one_are_streams_too(
    bed: tuple[Daemon, ScriptedUpstream], client: Protocol
) -> None:
    daemon, server = bed
    texts = []
    for text in ("Hello.", ""):
        server.script(answer(Reply(text)))
        texts.append(_TEXTS[client](daemon.url))
    assert texts == ["Hello.", ""]


def _text_for_anthropic(url: str) -> str:
    with (
        anthropic.Anthropic(base_url=f"{url}/api", auth_token="123", max_retries=0) as client,
        client.messages.stream(
            model="m", max_tokens=9, messages=[{"role": "user", "content": "Go"}]
        ) as events,
    ):
        return "".join(events.text_stream)


def _text_for_chat(url: str) -> str:
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key="123", max_retries=0) as client,
        client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "Go"}]) as events,
    ):
        for _ in events:
            pass
        return events.get_final_completion().choices[0].message.content or ""


def _text_for_responses(url: str) -> str:
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key="123", max_retries=0) as client,
        client.responses.stream(model="m", input="Go") as events,
    ):
        for _ in events:
            pass
        return events.get_final_response().output_text


_TEXTS: dict[Protocol, Callable[[str], str]] = {
    "messages": _text_for_anthropic,
    "chat": _text_for_chat,
    "responses": _text_for_responses,
}
