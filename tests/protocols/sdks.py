"""Read an emitted stream as the official SDKs do: with their stream helpers, over no network."""

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import anthropic
import httpx2
import msgspec
import openai
from msgspec.structs import replace

from switchyard.protocols.names import ProtocolName

Arguments = Any


class Said(msgspec.Struct, frozen=True):
    """What a program was told. `stop` is the protocol's own word; `error` the type and the words of a break."""

    text: str = ""
    thinking: str = ""
    calls: tuple[tuple[str, Arguments], ...] = ()
    stop: str | None = None
    sequence: str | None = None
    usage: tuple[int, int, int] | None = None
    """fresh input, input from a cache, output"""
    error: tuple[str, str] | None = None


def said_to(client: ProtocolName, stream: bytes) -> Said:
    """Raises what the SDK raises, but for the errors that the stream tells."""
    return READERS[client](stream)


_bodies: list[bytes] = []
"""what the next request is answered with"""


def _over_no_network() -> httpx2.Client:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=_bodies.pop())

    return httpx2.Client(transport=httpx2.MockTransport(answer))


@cache
def _anthropic() -> anthropic.Anthropic:
    return anthropic.Anthropic(
        api_key="k", base_url="http://upstream", http_client=_over_no_network(), max_retries=0
    )


@cache
def _openai() -> openai.OpenAI:
    return openai.OpenAI(
        api_key="k", base_url="http://upstream/v1", http_client=_over_no_network(), max_retries=0
    )


def _said_by_messages(stream: bytes) -> Said:
    _bodies.append(stream)
    message: Any = None
    error = None
    try:
        with _anthropic().messages.stream(
            model="m", max_tokens=10, messages=[{"role": "user", "content": "x"}]
        ) as reply:
            for _ in reply:
                message = reply.current_message_snapshot
    except anthropic.APIStatusError as raised:
        reported: Any = raised.body
        error = (reported["error"]["type"], reported["error"]["message"])
    if message is None:
        return Said(error=error)
    calls = [(block.name, block.input) for block in message.content if block.type == "tool_use"]
    usage = message.usage
    return Said(
        text="".join(block.text for block in message.content if block.type == "text"),
        thinking="".join(block.thinking for block in message.content if block.type == "thinking"),
        calls=tuple(calls),
        stop=None if error else message.stop_reason,
        sequence=message.stop_sequence,
        usage=None
        if error
        else (usage.input_tokens, usage.cache_read_input_tokens or 0, usage.output_tokens),
        error=error,
    )


def _said_by_chat(stream: bytes) -> Said:
    _bodies.append(stream)
    completion: Any = None
    error = None
    messages: Any = [{"role": "user", "content": "x"}]
    try:
        with _openai().chat.completions.stream(model="m", messages=messages) as events:
            for _ in events:
                completion = events.current_completion_snapshot
    except openai.APIError as raised:
        error = (raised.type or "", raised.message)
    if completion is None or not completion.choices:
        return Said(error=error)
    choice = completion.choices[0]
    message, usage = choice.message, completion.usage
    calls = [
        (reported["custom"]["name"], reported["custom"]["input"])
        if reported["type"] == "custom"
        else (reported["function"]["name"], parsed(reported["function"]["arguments"]))
        for reported in (call.to_dict() for call in message.tool_calls or ())
    ]
    return Said(
        text=(message.content or "") + (message.refusal or ""),
        thinking=getattr(message, "reasoning_content", None) or "",
        calls=tuple(calls),
        stop=choice.finish_reason,
        usage=_usage(usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens)
        if usage
        else None,
        error=error,
    )


def _said_by_responses(stream: bytes) -> Said:
    """The text is that of the deltas, all else what the items hold that are done: Codex knows no other."""
    said = Said()
    for event in _events_of_responses(stream):
        match event.type:
            case "response.output_text.delta" | "response.refusal.delta":
                said = replace(said, text=said.text + event.delta)
            case "response.output_item.done":
                said = _with_item(said, event.item)
            case "response.completed" | "response.incomplete":
                said = _with_end(said, event.response)
            case "response.failed":
                failure = event.response.error
                said = replace(said, error=(failure.code, failure.message))
    return said


def _events_of_responses(stream: bytes) -> Iterator[Any]:
    _bodies.append(stream)
    with _openai().responses.stream(model="m", input="x") as events:
        yield from events


def _with_item(said: Said, item: Any) -> Said:
    match item.type:
        case "reasoning":
            return replace(said, thinking=said.thinking + "".join(part.text for part in item.summary))
        case "function_call":
            name = f"{item.namespace}.{item.name}" if getattr(item, "namespace", None) else item.name
            return replace(said, calls=(*said.calls, (name, parsed(item.arguments))))
        case "custom_tool_call":
            return replace(said, calls=(*said.calls, (item.name, item.input)))
    return said


def _with_end(said: Said, response: Any) -> Said:
    details, usage = response.incomplete_details, response.usage
    said = replace(said, stop=response.status if details is None else details.reason)
    if usage is None:
        return said
    cached = usage.input_tokens_details.cached_tokens
    return replace(said, usage=_usage(usage.input_tokens, cached, usage.output_tokens))


def _usage(whole_input: int, cached: int, output: int) -> tuple[int, int, int]:
    return whole_input - cached, cached, output


def parsed(arguments: str) -> Arguments:
    """The arguments, or, where they are no JSON, their text."""
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


READERS: dict[ProtocolName, Callable[[bytes], Said]] = {
    "messages": _said_by_messages,
    "chat": _said_by_chat,
    "responses": _said_by_responses,
}
