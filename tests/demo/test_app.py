"""The demo model as clients see it: the official SDKs over the ASGI transport."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest

from switchyard.demo.app import build_demo
from switchyard.http1.errors import ConnectionBroken
from switchyard.relay.asgi_transport import AsgiApp
from tests.bed.asgi import AsgiClientTransport, http

MODEL = "any-model"
CALL = 'please demo: call shell {"cmd": "ls -l", "n": 2} now'
ARGUMENTS = {"cmd": "ls -l", "n": 2}
SCHEMA = {"type": "object", "properties": {"cmd": {"type": "string"}}}


def demo(
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep, steady: Callable[[], float] = lambda: 0.0
) -> AsgiApp:
    ids: Iterator[int] = count(1)
    return build_demo(
        "http://here/",
        "~/there/all_configs.json",
        sleep=sleep,
        now=lambda: 1_700_000_000.0,
        steady=steady,
        next_id=lambda: f"id{next(ids)}",
    )


class SdkTransport(httpx2.AsyncBaseTransport):
    """The SDKs bring their own generation of the HTTP library; this forwards their requests to the installed one."""

    def __init__(self, app: AsgiApp) -> None:
        self._inner = AsgiClientTransport(app)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        content = await request.aread()
        inner = httpx.Request(
            request.method, str(request.url), headers=list(request.headers.items()), content=content
        )
        response = await self._inner.handle_async_request(inner)
        return httpx2.Response(
            response.status_code, headers=list(response.headers.items()), content=response.aiter_raw()
        )


def sdk_http(app: AsgiApp) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=SdkTransport(app))


def anthropic_client(app: AsgiApp) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(
        api_key="x", base_url="http://demo", http_client=sdk_http(app), max_retries=0
    )


def openai_client(app: AsgiApp) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key="x", base_url="http://demo/v1", http_client=sdk_http(app), max_retries=0
    )


def text_is_the_greeting(text: str, prompt: str) -> bool:
    return (
        "http://here/" in text
        and "or in ~/there/all_configs.json." in text
        and text.endswith(f"You wrote: {prompt}")
    )


# --- Messages -----------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_messages_answer_a_text_and_count_tokens(stream: bool) -> None:
    message = asyncio.run(ask_messages([{"role": "user", "content": "hello"}], stream))
    assert text_is_the_greeting(message.content[0].text, "hello")
    assert (message.model, message.stop_reason) == (MODEL, "end_turn")
    assert message.usage.input_tokens > 0
    assert message.usage.output_tokens > 20


@pytest.mark.parametrize("stream", [False, True])
def test_messages_call_a_tool_and_quote_its_result(stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": [{"type": "text", "text": CALL}]}]
    message = asyncio.run(ask_messages(messages, stream))
    call = message.content[1]
    assert (message.stop_reason, call.name, call.input) == ("tool_use", "shell", ARGUMENTS)
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "total 0"}]}
    reminder = {"type": "text", "text": "<system-reminder>be brief</system-reminder>"}
    messages += [
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": [result, reminder]},
    ]
    closing = asyncio.run(ask_messages(messages, stream))
    assert (closing.stop_reason, closing.content[0].text) == ("end_turn", "The tool returned: total 0")


async def ask_messages(messages: list[Any], stream: bool) -> Any:
    async with anthropic_client(demo()) as client:
        tools: Any = [{"name": "shell", "input_schema": SCHEMA}]
        if not stream:
            return await client.messages.create(model=MODEL, max_tokens=100, messages=messages, tools=tools)
        async with client.messages.stream(
            model=MODEL, max_tokens=100, messages=messages, tools=tools
        ) as events:
            return await events.get_final_message()


def test_a_command_wrapped_by_the_client_or_used_earlier_is_no_command() -> None:
    messages = [
        {"role": "user", "content": CALL},
        {"role": "assistant", "content": "done"},
        {"role": "user", "content": [{"type": "text", "text": "thanks"}]},
        {"role": "user", "content": [{"type": "text", "text": f"<system-reminder>{CALL}</system-reminder>"}]},
    ]
    message = asyncio.run(ask_messages(messages, stream=False))
    assert text_is_the_greeting(message.content[0].text, "thanks")


def test_several_commands_are_parallel_calls() -> None:
    prompt = 'demo: call one {"a": 1}\ndemo: call two {}'
    message = asyncio.run(ask_messages([{"role": "user", "content": prompt}], stream=True))
    assert [(block.name, block.input) for block in message.content[1:]] == [("one", {"a": 1}), ("two", {})]


def test_messages_tokens_are_counted() -> None:
    async def ask() -> int:
        async with anthropic_client(demo()) as client:
            counted = await client.messages.count_tokens(
                model=MODEL, messages=[{"role": "user", "content": "x" * 400}]
            )
            return counted.input_tokens

    assert 100 <= asyncio.run(ask()) <= 130


def test_a_later_turn_reads_from_the_cache() -> None:
    messages = [
        {"role": "user", "content": "x" * 6000},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": "go on"},
    ]
    usage = asyncio.run(ask_messages(messages, stream=True)).usage
    assert usage.cache_read_input_tokens == 1024
    assert 400 < usage.input_tokens < 700


# --- Chat ---------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_chat_answers_a_text_with_usage(stream: bool) -> None:
    completion = asyncio.run(ask_chat([{"role": "user", "content": "hello"}], stream))
    choice = completion.choices[0]
    assert text_is_the_greeting(choice.message.content, "hello")
    assert (completion.model, choice.finish_reason) == (MODEL, "stop")
    assert (
        completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    )


@pytest.mark.parametrize("stream", [False, True])
def test_chat_calls_a_tool_and_quotes_its_result(stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": CALL}]
    choice = asyncio.run(ask_chat(messages, stream)).choices[0]
    call = choice.message.tool_calls[0]
    assert (choice.finish_reason, call.type, call.function.name) == ("tool_calls", "function", "shell")
    assert call.function.arguments == '{"cmd":"ls -l","n":2}'
    messages += [
        {
            "role": "assistant",
            "tool_calls": [{"id": call.id, "type": "function", "function": {"name": "shell"}}],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "total 0"},
    ]
    assert asyncio.run(ask_chat(messages, stream)).choices[0].message.content == "The tool returned: total 0"


def test_chat_reports_usage_in_a_stream_only_on_request() -> None:
    async def ask() -> list[Any]:
        async with openai_client(demo()) as client:
            stream = await client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "hi"}], stream=True
            )
            return [chunk async for chunk in stream]

    chunks = asyncio.run(ask())
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in chunks)


def test_chat_calls_a_custom_tool_with_raw_input() -> None:
    async def ask() -> Any:
        async with openai_client(demo()) as client:
            tools: Any = [{"type": "custom", "custom": {"name": "patch"}}]
            messages: Any = [{"role": "user", "content": 'demo: call patch "*** Begin\\n*** End"'}]
            return await client.chat.completions.create(model=MODEL, messages=messages, tools=tools)

    call = asyncio.run(ask()).choices[0].message.tool_calls[0]
    assert (call.type, call.custom.name, call.custom.input) == ("custom", "patch", "*** Begin\n*** End")


async def ask_chat(messages: list[Any], stream: bool) -> Any:
    async with openai_client(demo()) as client:
        tools: Any = [{"type": "function", "function": {"name": "shell", "parameters": SCHEMA}}]
        if not stream:
            return await client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
        options: Any = {"include_usage": True}
        async with client.chat.completions.stream(
            model=MODEL, messages=messages, tools=tools, stream_options=options
        ) as events:
            return await events.get_final_completion()


# --- Responses ----------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_responses_answer_a_text_with_usage(stream: bool) -> None:
    response = asyncio.run(ask_responses("hello", stream))
    assert text_is_the_greeting(response.output_text, "hello")
    assert (response.model, response.status) == (MODEL, "completed")
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_responses_call_a_tool_and_quote_its_result(stream: bool) -> None:
    asked: list[Any] = [{"role": "user", "content": [{"type": "input_text", "text": CALL}]}]
    call = asyncio.run(ask_responses(asked, stream)).output[1]
    assert (call.type, call.name, call.arguments) == ("function_call", "shell", '{"cmd":"ls -l","n":2}')
    asked += [
        {"type": "function_call", "call_id": call.call_id, "name": "shell", "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "total 0"},
    ]
    assert asyncio.run(ask_responses(asked, stream)).output_text == "The tool returned: total 0"


CUSTOM = {"type": "custom", "name": "apply_patch"}
NAMESPACE = {
    "type": "namespace",
    "name": "mcp",
    "description": "",
    "tools": [{"type": "function", "name": "find"}],
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("tools", "prompt", "expected"),
    [
        (
            [CUSTOM],
            'demo: call apply_patch {"input": "*** Begin"}',
            {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin"},
        ),
        (
            [NAMESPACE],
            'demo: call find {"q": "x"}',
            {"type": "function_call", "name": "find", "namespace": "mcp", "arguments": '{"q":"x"}'},
        ),
        (
            [{"type": "tool_search", "execution": "client"}],
            'demo: call tool_search {"query": "x"}',
            {"type": "tool_search_call", "execution": "client", "arguments": {"query": "x"}},
        ),
    ],
)
def test_responses_call_each_kind_of_tool_in_its_own_form(
    tools: list[Any], prompt: str, expected: dict[str, Any], stream: bool
) -> None:
    response = asyncio.run(ask_responses(prompt, stream, tools))
    assert response.output[1].to_dict().items() >= expected.items()


def test_tools_offered_by_an_input_item_are_known() -> None:
    asked = [
        {"type": "additional_tools", "role": "developer", "tools": [CUSTOM]},
        {"role": "user", "content": 'demo: call apply_patch "p"'},
    ]
    assert asyncio.run(ask_responses(asked, stream=True)).output[1].type == "custom_tool_call"


async def ask_responses(asked: Any, stream: bool, tools: Any = None) -> Any:
    async with openai_client(demo()) as client:
        tools = tools or [{"type": "function", "name": "shell", "parameters": SCHEMA, "strict": False}]
        if not stream:
            return await client.responses.create(model=MODEL, input=asked, tools=tools)
        final = None
        items = {}
        async with client.responses.stream(model=MODEL, input=asked, tools=tools) as events:
            numbers = []
            async for event in events:
                numbers.append(event.sequence_number)
                if event.type == "response.output_item.done":
                    items[event.output_index] = on_the_wire(event.item)
            final = await events.get_final_response()
        assert numbers == list(range(len(numbers)))
        assert {index: on_the_wire(item) for index, item in enumerate(final.output)} == items
        return final


def on_the_wire(item: Any) -> Any:
    """The item without the fields added by the SDK."""
    reported = item.to_dict()
    for part in (reported, *reported.get("content", ())):
        part.pop("parsed", None)
        part.pop("parsed_arguments", None)
    return reported


# --- failures -------------------------------------------------------------------

PATHS = ("/v1/messages", "/v1/chat/completions", "/v1/responses")


def body_of(path: str, prompt: str, stream: bool) -> dict[str, Any]:
    if path == "/v1/responses":
        return {"model": MODEL, "stream": stream, "input": prompt}
    return {
        "model": MODEL,
        "stream": stream,
        "max_tokens": 9,
        "messages": [{"role": "user", "content": prompt}],
    }


def post(path: str, body: Any, app: AsgiApp | None = None) -> httpx.Response:
    async def call() -> httpx.Response:
        async with http(app or demo()) as client:
            return await client.post(path, json=body)

    return asyncio.run(call())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "envelope"),
    [
        ("/v1/messages", {"type": "error", "error": {"type": "overloaded_error"}}),
        (
            "/v1/chat/completions",
            {"error": {"type": "server_error", "code": "server_is_overloaded", "param": None}},
        ),
        ("/v1/responses", {"error": {"type": "server_error", "code": "server_is_overloaded", "param": None}}),
    ],
)
def test_it_fails_on_request_in_the_envelope_of_the_protocol(path: str, envelope: Any, stream: bool) -> None:
    response = post(path, body_of(path, "demo: fail 503", stream))
    reported = response.json()
    assert reported["error"].pop("message") == "The demo model fails with status 503, as requested."
    assert (response.status_code, reported) == (503, envelope)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("more", "status"), [("", 503), (" 529", 529), (" 429", 429)])
def test_it_is_down_on_request_until_its_outage_is_over(
    path: str, stream: bool, more: str, status: int
) -> None:
    moments = iter((100.0, 101.5, 119.9, 121.2))
    app = demo(steady=lambda: next(moments))
    body = body_of(path, f"demo: outage 20{more}", stream)
    failed = [post(path, body, app) for _ in range(3)]
    assert [one.status_code for one in failed] == [status] * 3
    assert {one.json()["error"]["message"] for one in failed} == {
        "The demo model simulates an outage of 20 s, as requested."
    }
    answered = post(path, body, app)
    assert (answered.status_code, text_of(answered)) == (
        200,
        "The demo model simulated an outage of 20 s: 3 requests failed with status "
        f"{status}. This one is answered 21.2 s after the first.\n\nYou wrote: demo: outage 20{more}",
    )


def text_of(response: httpx.Response) -> str:
    """The text of a response in any form."""
    if response.headers["content-type"] == "application/json":
        records = [response.json()]
    else:
        lines = response.text.splitlines()
        records = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    return "".join(found for record in records for found in texts_in(record))


def texts_in(record: Any) -> Iterator[str]:
    match record:
        case {"content": [{"text": str(text)}]} if "stop_reason" in record:
            yield text
        case {"type": "content_block_delta", "delta": {"text": str(text)}}:
            yield text
        case {"choices": [{"message": {"content": str(text)}}]}:
            yield text
        case {"choices": [{"delta": {"content": str(text)}}]}:
            yield text
        case {"type": "response.output_text.delta", "delta": str(text)}:
            yield text
        case {"object": "response", "output": [{"content": [{"text": str(text)}]}]}:
            yield text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_it_is_slow_on_request(path: str, stream: bool) -> None:
    slept = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    assert post(path, body_of(path, "demo: slow 2.5", stream), demo(sleep)).status_code == 200
    assert slept == [2.5]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_it_breaks_off_after_some_content_on_request(path: str, stream: bool) -> None:
    async def call() -> str:
        read = ""
        async with (
            http(demo()) as client,
            client.stream("POST", path, json=body_of(path, "demo: cut", stream)) as got,
        ):
            with pytest.raises(ConnectionBroken, match="broke its answer off"):
                async for text in got.aiter_text():
                    read += text
        return read

    assert "This is Switchyard's demo model" in asyncio.run(call())


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("/v1/messages", {"messages": [{}]}, 400, "`model` must be a non-empty string"),
        ("/v1/messages", {"model": "m", "messages": []}, 400, "`messages` must be a non-empty list"),
        ("/v1/chat/completions", {"model": "m"}, 400, "`messages` must be a non-empty list"),
        ("/v1/responses", {"model": "m"}, 400, "`input` must be a string or a list"),
        ("/v1/responses", [1], 400, "the body must be a JSON object"),
        ("/v1/nothing", {}, 404, "The demo model does not serve POST /v1/nothing"),
    ],
)
def test_a_request_it_does_not_understand_is_refused(path: str, body: Any, status: int, message: str) -> None:
    response = post(path, body)
    assert (response.status_code, response.json()["error"]["message"]) == (status, message)


def test_a_long_prompt_is_echoed_in_part() -> None:
    text = post("/v1/responses", body_of("/v1/responses", "word " * 1000, False)).json()["output"][0][
        "content"
    ][0]["text"]
    assert len(text) < 800
    assert text.endswith("word...") or text.endswith("word ...")
