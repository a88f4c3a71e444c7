"""The official SDK reads what is emitted."""

from typing import Any

import httpx2
import pytest
from openai import OpenAI

from switchyard.protocols import neutral
from switchyard.protocols.neutral import (
    ErrorType,
    Failed,
    Finished,
    Response,
    StopReason,
    Text,
    ToolCall,
    Usage,
    WireError,
)
from switchyard.protocols.openai_responses.codec import CODEC
from tests.protocols.openai_responses.test_encode_stream import REQUEST, WALKS, encoded

INCOMPLETE = ("cut", "window", "refusal without words")
COMPLETED = [
    name
    for name in WALKS
    if isinstance(WALKS[name][-1], Finished) and not any(words in name for words in INCOMPLETE)
]


def client(body: bytes, content_type: str, status: int = 200) -> OpenAI:
    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, content=body, headers={"content-type": content_type})

    transport = httpx2.MockTransport(answer)
    return OpenAI(
        api_key="k",
        base_url="http://upstream/v1",
        http_client=httpx2.Client(transport=transport),
        max_retries=0,
    )


@pytest.mark.parametrize("walk", COMPLETED)
def test_the_stream_helper_reads_every_stream(walk: str) -> None:
    with client(encoded(WALKS[walk]), "text/event-stream") as sdk:
        with sdk.responses.stream(model="m", input="x") as stream:
            for _ in stream:
                pass
            final = stream.get_final_response()
    assert (final.status, final.output_text) == ("completed", text_of_walk(walk))


def text_of_walk(walk: str) -> str:
    said, is_text = "", False
    for event in WALKS[walk]:
        match event:
            case neutral.BlockStarted(block):
                is_text = isinstance(block, neutral.Text)
            case neutral.Delta(words) if is_text:
                said += words
    return said


def test_the_stream_helper_accepts_life_signs() -> None:
    encoder = CODEC.stream_encoder(REQUEST)
    stream = encoder.keep_alive() + encoder.keep_alive()
    for event in WALKS["text"]:
        stream += encoder.encode(event) + (b"" if isinstance(event, Finished) else encoder.keep_alive())
    with client(stream, "text/event-stream") as sdk, sdk.responses.stream(model="m", input="x") as helper:
        assert helper.get_final_response().output_text == 'Hél"lo\n'


def test_the_plain_stream_accepts_a_keep_alive_at_its_head() -> None:
    body = CODEC.keep_alive + encoded(WALKS["text"])
    with client(body, "text/event-stream") as sdk:
        types = [event.type for event in sdk.responses.create(model="m", input="x", stream=True)]
    assert (types[0], types[-1]) == ("keepalive", "response.completed")


def test_a_broken_stream_ends_with_a_failed_response() -> None:
    error = WireError(ErrorType.SERVER, "broke off", 502)
    body = encoded([*WALKS["text"][:2]]) + CODEC.encode_break(error, b"")
    with client(body, "text/event-stream") as sdk:
        *_, last = sdk.responses.create(model="m", input="x", stream=True)
    assert last.type == "response.failed"
    assert last.response.error is not None and last.response.error.message == "broke off"


@pytest.mark.parametrize("sent", [b"", b": keep-alive\n\n", encoded([*WALKS["text"][:2]])])
def test_the_stream_helper_is_reported_of_a_break_whatever_came_before(sent: bytes) -> None:
    opening = b"" if sent.startswith(b":") else sent.partition(b"\n\n")[0] + b"\n\n"
    body = sent + CODEC.encode_break(WireError(ErrorType.SERVER, "broke off", 502), opening if sent else b"")
    with (
        client(body.lstrip(), "text/event-stream") as sdk,
        sdk.responses.stream(model="m", input="x") as helper,
    ):
        last: Any = list(helper)[-1]
    assert (last.type, last.response.error.message) == ("response.failed", "broke off")


def test_a_failed_stream_ends_with_a_failed_response() -> None:
    with client(encoded([Failed(WireError(ErrorType.SERVER, "boom", 500))]), "text/event-stream") as sdk:
        *_, last = sdk.responses.create(model="m", input="x", stream=True)
    assert last.type == "response.failed"


def test_a_body_is_read_as_a_response() -> None:
    response = Response(
        "up", "m", (Text("Hi"), ToolCall("a", "f", "{}")), StopReason.TOOL_USE, Usage(3, 2, output=1)
    )
    with client(CODEC.encode_response(response, REQUEST), "application/json") as sdk:
        read = sdk.responses.create(model="m", input="x")
    assert (read.output_text, read.status, read.output[1].type) == ("Hi", "completed", "function_call")
    assert read.usage is not None and (read.usage.input_tokens, read.usage.total_tokens) == (5, 6)
