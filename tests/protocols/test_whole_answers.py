"""Whole answers with the defects of imitators, given to every client: as one body and as a stream."""

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from switchyard.protocols import neutral
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import ConvertedReply, convert_response
from switchyard.protocols.fold import fold
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import StopReason
from tests.protocols.openai_responses import streams as r
from tests.protocols.sdks import parsed, said_to

REQUEST = neutral.Request("asked", (neutral.Message("user", (neutral.Text("please"),)),))


@dataclass(frozen=True)
class Whole:
    """A whole answer, and what a program must get of it."""

    body: dict[str, Any]
    text: str = ""
    calls: tuple[tuple[str, Any], ...] = ()
    stop: StopReason = StopReason.END_TURN
    losses: tuple[str, ...] = ()


def chat(finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def messages(*content: dict[str, Any], stop_reason: str = "end_turn") -> dict[str, Any]:
    about = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    return {**about, "content": list(content), "stop_reason": stop_reason, "usage": {}}


def responses(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "r", "object": "response", "model": "m", "status": "completed", "output": output, **fields}


def called(name: str, arguments: str, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **more}


def use(name: str | None, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": arguments}


CALLED = StopReason.TOOL_USE
F, G = ("f", {"a": 1}), ("g", {"a": 2})
EMPTY_CUSTOM = {"input": "", "name": ""}

CASES: dict[ProtocolName, dict[str, Whole]] = {
    "chat": {
        "two calls under one index": Whole(
            chat(tool_calls=[called("f", '{"a":1}', index=0), called("g", '{"a":2}', index=0)]),
            calls=(F, G),
            stop=CALLED,
        ),
        "two equal calls": Whole(
            chat(tool_calls=[called("f", '{"a":1}', index=0), called("f", '{"a":1}', index=0)]),
            calls=(F, F),
            stop=CALLED,
        ),
        "an empty custom call beside a function": Whole(
            chat(tool_calls=[called("f", '{"a":1}', id="c1", type="function", custom=EMPTY_CUSTOM)]),
            calls=(F,),
            stop=CALLED,
        ),
        "an empty legacy call beside text": Whole(
            chat(content="Hi", function_call={"name": "", "arguments": ""}, tool_calls=[{}]), text="Hi"
        ),
        "a message beside an empty delta": Whole(
            {"choices": [{"index": 0, "delta": {}, "message": {"content": "Hi"}, "finish_reason": "STOP"}]},
            text="Hi",
        ),
        "the limit in capitals": Whole(chat("LENGTH", content="Hi"), text="Hi", stop=StopReason.MAX_TOKENS),
        "a call without name beside a valid one": Whole(
            chat(tool_calls=[called("", '{"x":1}', id="c0"), called("g", '{"a":2}', id="c1")]),
            calls=(G,),
            stop=CALLED,
            losses=("tool_calls",),
        ),
        "sound, with what is spoken": Whole(
            chat(content=None, audio={"id": "audio_1", "data": "UklGRg==", "transcript": "Hello"}),
            text="Hello",
            losses=("audio",),
        ),
        "images beside the text": Whole(
            chat(
                content="Here:",
                images=[{"type": "image_url", "image_url": {"url": "data:image/png;base64,i"}}],
            ),
            text="Here:",
            losses=("images",),
        ),
        "two choices": Whole(
            {
                "choices": [
                    {"index": number, "message": {"content": said}} for number, said in enumerate("ab")
                ]
            },
            text="a",
            losses=("choices",),
        ),
        "an only choice that is not numbered as the first": Whole(
            {"choices": [{"index": 1, "message": {"content": "Hi"}, "finish_reason": "stop"}]}, text="Hi"
        ),
    },
    "messages": {
        "the limit in Chat's word": Whole(
            messages({"type": "text", "text": "Hi"}, stop_reason="length"),
            text="Hi",
            stop=StopReason.MAX_TOKENS,
        ),
        "a call without name beside a valid one": Whole(
            messages(use("f", a=1), use(None, x=1), stop_reason="tool_use"),
            calls=(F,),
            stop=CALLED,
            losses=("tool_calls",),
        ),
    },
    "responses": {
        "a call without name beside a valid one": Whole(
            responses(r.call("a", "", arguments="{}"), r.call("b", "g", arguments='{"a":2}')),
            calls=(G,),
            stop=CALLED,
            losses=("tool_calls",),
        ),
    },
}
PAIRS = [
    pytest.param(upstream, case, client, id=f"{upstream} to {client}: {name}")
    for upstream, cases in CASES.items()
    for name, case in cases.items()
    for client in PROTOCOLS
]


def converted(
    case: Whole, upstream: ProtocolName, client: ProtocolName, *, stream: bool = False
) -> ConvertedReply:
    sent = SentRequest(b"{}", Target("m", "issuer"))
    body = msgspec.json.encode(case.body)
    return convert_response(CODECS[upstream], CODECS[client], body, sent, replace(REQUEST, stream=stream))


@pytest.mark.parametrize(("upstream", "case", "client"), PAIRS)
def test_a_whole_answer_reaches_every_client(
    upstream: ProtocolName, case: Whole, client: ProtocolName
) -> None:
    reply = converted(case, upstream, client)
    assert reply.failed is None
    assert tuple(loss.field for loss in reply.losses) == case.losses
    got = fold(CODECS[client].decode_response(reply.body, SentRequest(b"", Target("asked", ""))))
    assert isinstance(got, neutral.Response)
    texts = [block.text for block in got.content if isinstance(block, neutral.Text)]
    calls = [(block.name, block.arguments) for block in got.content if isinstance(block, neutral.ToolCall)]
    assert "".join(texts) == case.text
    assert tuple((name, parsed(given)) for name, given in calls) == case.calls
    assert got.stop_reason is case.stop


HALF = r'"a\ud83d \ude00 \ud83d\ude00 \\ud83d"'
WITH_HALVES: dict[ProtocolName, dict[str, Any]] = {
    "chat": chat(content="?"),
    "messages": messages({"type": "text", "text": "?"}),
    "responses": responses(r.message("?")),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("upstream", PROTOCOLS)
def test_half_a_character_costs_no_answer(upstream: ProtocolName, client: ProtocolName, stream: bool) -> None:
    body = msgspec.json.encode(WITH_HALVES[upstream]).replace(b'"?"', HALF.encode())
    sent = SentRequest(b"{}", Target("m", "issuer"))
    reply = convert_response(CODECS[upstream], CODECS[client], body, sent, replace(REQUEST, stream=stream))
    assert reply.failed is None
    assert r"a� � 😀 \ud83d".encode() in reply.body or "a\ufffd \ufffd 😀 \\\\ud83d".encode() in reply.body
    assert [loss.field for loss in reply.losses] == ["content"]


@pytest.mark.parametrize(("upstream", "case", "client"), PAIRS)
def test_the_sdks_read_it_as_a_stream(upstream: ProtocolName, case: Whole, client: ProtocolName) -> None:
    reply = converted(case, upstream, client, stream=True)
    assert tuple(loss.field for loss in reply.losses) == case.losses
    said = said_to(client, reply.body)
    assert (said.text, said.calls, said.error) == (case.text, case.calls, None)
