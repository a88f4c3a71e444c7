"""The official SDK reads what is emitted."""

from typing import Any

import httpx2
import pytest
from openai import APIError, OpenAI, RateLimitError
from openai.types.chat import ChatCompletionMessageParam

from switchyard.protocols import neutral
from switchyard.protocols.errors.table import encode_error
from switchyard.protocols.neutral import (
    ErrorType,
    Finished,
    Started,
    StopReason,
    Text,
    ToolCall,
    Usage,
    WireError,
)
from switchyard.protocols.openai_chat.codec import CODEC
from tests.protocols.openai_chat.chunks import DONE, call, delta, events_of, finish, text, usage
from tests.protocols.openai_chat.test_encode_stream import block, written

REQUEST = neutral.Request("asked", (), stream=True, include_usage=True, received_at=1700000000)
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]
USAGE = Usage(input=30, cache_read=20, output=9, reasoning=4)


def client(body: bytes, content_type: str = "application/json", status: int = 200) -> OpenAI:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=body, headers={"content-type": content_type})

    transport = httpx2.MockTransport(answer)
    return OpenAI(
        api_key="k",
        base_url="http://upstream/v1",
        http_client=httpx2.Client(transport=transport),
        max_retries=0,
    )


def streamed(body: bytes) -> Any:
    with client(body, "text/event-stream") as sdk:
        with sdk.chat.completions.stream(model="m", messages=HELLO) as stream:
            for _ in stream:
                pass
            return stream.get_final_completion()


def test_the_stream_helper_reads_text_reasoning_and_calls() -> None:
    body = written(
        [
            Started(),
            *block(neutral.Thinking(""), "X"),
            *block(Text(""), "Hi", " there"),
            *block(ToolCall("a", "f", "")),
            *block(ToolCall("b", "g", ""), '{"k":', "1}"),
            Finished(StopReason.TOOL_USE, USAGE),
        ],
        REQUEST,
    )
    completion = streamed(body)
    choice = completion.choices[0]
    calls = [
        (tool.id, tool.type, tool.function.name, tool.function.arguments)
        for tool in choice.message.tool_calls
    ]
    assert calls == [("a", "function", "f", "{}"), ("b", "function", "g", '{"k":1}')]
    assert (choice.finish_reason, choice.message.role, choice.message.content) == (
        "tool_calls",
        "assistant",
        "Hi there",
    )
    assert choice.message.reasoning_content == "X"
    assert (completion.model, completion.created) == ("asked", 1700000000)
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (50, 9)


def test_the_stream_helper_reads_refusals() -> None:
    body = written(
        [Started(), *block(neutral.Refusal(""), "no"), Finished(StopReason.REFUSAL, USAGE)], REQUEST
    )
    assert streamed(body).choices[0].message.refusal == "no"


def test_keep_alives_are_passed_over() -> None:
    body = written([Started(), *block(Text(""), "Hi"), Finished(StopReason.END_TURN)], REQUEST)
    alive = CODEC.keep_alive + body.replace(b"\n\n", b"\n\n" + CODEC.keep_alive)
    assert streamed(alive).choices[0].message.content == "Hi"


def test_a_break_raises() -> None:
    error = WireError(ErrorType.OVERLOADED, "busy", 529)
    body = written([Started(), *block(Text(""), "Hi"), neutral.Failed(error)], REQUEST)
    with pytest.raises(APIError, match="busy"):
        streamed(body)


def test_a_whole_reply_is_read() -> None:
    response = neutral.Response(
        "r", "m", (Text("Hi"), ToolCall("a", "f", '{"k":1}')), StopReason.TOOL_USE, USAGE
    )
    with client(CODEC.encode_response(response, REQUEST)) as sdk:
        completion: Any = sdk.chat.completions.create(model="m", messages=HELLO)
    message = completion.choices[0].message
    assert (message.content, message.tool_calls[0].function.arguments) == ("Hi", '{"k":1}')
    assert completion.usage.prompt_tokens_details.cached_tokens == 20


def test_an_error_is_raised_by_its_status() -> None:
    status, body = encode_error("chat", WireError(ErrorType.RATE_LIMIT, "slow down", 429))
    with client(body, status=status) as sdk, pytest.raises(RateLimitError) as raised:
        sdk.chat.completions.create(model="m", messages=HELLO)
    assert (raised.value.code, raised.value.type) == ("rate_limit_exceeded", "requests")


def test_one_reply_goes_from_a_chat_upstream_to_a_chat_client() -> None:
    stream = (
        delta(role="assistant", content="")
        + delta(reasoning_content="X")
        + text("Hi")
        + call(0, "a", "f", "")
        + call(1, "b", "g", "")
        + call(1, None, None, '{"k":')
        + call(0, None, None, "{}")
        + call(1, None, None, "1}")
        + finish("tool_calls")
        + usage(50, 20, 9)
        + DONE
    )
    choice = streamed(written(events_of(stream), REQUEST)).choices[0]
    calls = [(tool.id, tool.function.name, tool.function.arguments) for tool in choice.message.tool_calls]
    assert calls == [("a", "f", "{}"), ("b", "g", '{"k":1}')]
    assert (choice.message.content, choice.finish_reason) == ("Hi", "tool_calls")
