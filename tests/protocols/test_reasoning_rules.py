"""Rules for thinking and effort that hold whatever protocol the client and the upstream speak."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import StreamConversion, convert_request, convert_response
from switchyard.protocols.fold import unfold
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import Loss, Reasoning
from switchyard.protocols.thinking import with_thinking
from tests.protocols.test_nine_pairs import CHECK_REQUEST, CHECK_STREAM
from tests.protocols.validators import records_of

Body = dict[str, Any]

FEW = ("low", "medium", "high")


def body_of(client: ProtocolName, **fields: Any) -> bytes:
    said = [{"role": "user", "content": "Hello"}]
    conversation: Body = {"input": said} if client == "responses" else {"messages": said}
    limit = {"max_tokens": 9000} if client == "messages" else {}
    return msgspec.json.encode({"model": "m", **limit, **conversation, **fields})


def decoded(client: ProtocolName, **fields: Any) -> neutral.Request:
    return CODECS[client].decode_request(body_of(client, **fields))


def sent(
    client: ProtocolName, upstream: ProtocolName, fields: Body, **capabilities: Any
) -> tuple[Body, SentRequest]:
    """What the upstream gets, as JSON, and all that is known of it; checked as its own service would."""
    target = Target("m", "issuer", Capabilities(**capabilities))
    converted = convert_request(decoded(client, **fields), CODECS[upstream], target)
    body = msgspec.json.decode(converted.body)
    CHECK_REQUEST[upstream](body)
    return body, converted


# --- what is off stays off --------------------------------------------------------

OFF = {"type": "disabled"}
TURNED_OFF: list[tuple[ProtocolName, Body]] = [
    ("messages", {"thinking": OFF, "output_config": {"effort": "high"}}),
    ("messages", {"thinking": OFF, "output_config": {"effort": "max"}, "stream": True}),
    ("messages", {"thinking": OFF}),
    ("chat", {"reasoning_effort": "high", "thinking": OFF}),
    ("chat", {"reasoning_effort": "high", "chat_template_kwargs": {"enable_thinking": False}}),
    ("chat", {"reasoning_effort": "medium", "enable_thinking": False}),
    ("chat", {"reasoning": {"effort": "high", "enabled": False}}),
    ("chat", {"thinking": {"type": "enabled", "budget_tokens": 4000}, "enable_thinking": False}),
    ("responses", {"reasoning": {"effort": "none", "summary": "auto"}}),
]
SPELLINGS: list[tuple[ProtocolName, Body, Body]] = [
    ("chat", {}, {"reasoning_effort": "none"}),
    ("chat", {"efforts": FEW}, {"reasoning_effort": "low"}),
    ("chat", {"thinking_switch": True}, {"thinking": OFF}),
    ("chat", {"reasoning_effort": "template"}, {"chat_template_kwargs": {"enable_thinking": False}}),
    ("chat", {"reasoning_effort": "adaptive"}, {"thinking": OFF}),
    ("chat", {"reasoning_effort": "budget"}, {"thinking": OFF}),
    ("chat", {"reasoning_effort": "none"}, {}),
    ("responses", {}, {"reasoning": {"effort": "none"}}),
    ("responses", {"efforts": FEW}, {"reasoning": {"effort": "low"}}),
    ("messages", {}, {"thinking": OFF}),
    ("messages", {"reasoning_effort": "budget"}, {}),
]
STEERING = ("reasoning_effort", "thinking", "chat_template_kwargs", "reasoning", "output_config")


@pytest.mark.parametrize(("client", "fields"), TURNED_OFF)
@pytest.mark.parametrize(("upstream", "capabilities", "expected"), SPELLINGS)
def test_thinking_that_is_turned_off_stays_off_whatever_the_effort(
    client: ProtocolName, fields: Body, upstream: ProtocolName, capabilities: Body, expected: Body
) -> None:
    body, _ = sent(client, upstream, fields, **capabilities)
    assert {name: body[name] for name in STEERING if name in body} == expected


def test_without_a_word_on_thinking_the_effort_counts() -> None:
    body, _ = sent("messages", "chat", {"output_config": {"effort": "high"}})
    assert body["reasoning_effort"] == "high"


@pytest.mark.parametrize(
    ("reasoning", "turned_on"),
    [
        (Reasoning(enabled=False, effort="low"), True),
        (Reasoning(enabled=False, effort="none"), False),
        (Reasoning(effort="low"), False),
    ],
)
def test_the_suffix_turns_thinking_on_where_an_effort_stands_beside_what_is_off(
    reasoning: Reasoning, turned_on: bool
) -> None:
    request = msgspec.structs.replace(decoded("messages"), reasoning=reasoning)
    assert bool(with_thinking(request).reasoning.enabled) is turned_on


# --- efforts that the upstream does not know ----------------------------------------

WITH_EFFORT: list[tuple[ProtocolName, Any]] = [
    ("messages", lambda effort: {"output_config": {"effort": effort}}),
    ("chat", lambda effort: {"reasoning_effort": effort}),
    ("chat", lambda effort: {"reasoning": {"effort": effort}}),
    ("responses", lambda effort: {"reasoning": {"effort": effort}}),
]


def effort_in(body: Body) -> Any:
    holder = body.get("output_config") or body.get("reasoning") or {}
    return body.get("reasoning_effort") or holder.get("effort")


@pytest.mark.parametrize(("client", "asking"), WITH_EFFORT)
@pytest.mark.parametrize("upstream", PROTOCOLS)
@pytest.mark.parametrize(
    ("effort", "efforts", "nearest"),
    [
        ("ultra", FEW, "high"),
        ("max", FEW, "high"),
        ("XHigh", ("low", "max"), "low"),
        ("minimal", FEW, "low"),
        ("ultra", ("low", "max"), "max"),
    ],
)
def test_an_effort_that_the_upstream_does_not_know_becomes_the_nearest(
    client: ProtocolName, asking: Any, upstream: ProtocolName, effort: str, efforts: Any, nearest: str
) -> None:
    body, converted = sent(client, upstream, asking(effort), efforts=efforts)
    assert (effort_in(body), converted.losses) == (nearest, ())


@pytest.mark.parametrize(("client", "asking"), WITH_EFFORT)
def test_an_effort_that_nobody_knows_is_a_loss(client: ProtocolName, asking: Any) -> None:
    assert [loss.why for loss in decoded(client, **asking("gigantic")).losses] == [
        "no upstream knows this effort"
    ]
    assert decoded(client, **asking("auto")).losses == ()


@pytest.mark.parametrize("upstream", PROTOCOLS)
def test_an_effort_without_any_near_is_a_loss(upstream: ProtocolName) -> None:
    _, converted = sent("chat", upstream, {"reasoning_effort": "high"}, efforts=("none",))
    assert converted.losses == (Loss("reasoning", "this upstream has no effort near high"),)


# --- thinking that the client does not want to see -----------------------------------

OMITTING: list[tuple[ProtocolName, Body]] = [
    (
        "messages",
        {"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}},
    ),
    ("messages", {"thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}}),
    ("chat", {"reasoning_effort": "low", "reasoning": {"exclude": True}}),
    ("chat", {"thinking": {"type": "adaptive", "display": "omitted"}}),
]
THOUGHT = neutral.Response(
    "id",
    "m",
    (neutral.Thinking("Hm."), neutral.Text("Hi"), neutral.Thinking("Hm."), neutral.Text("there")),
    neutral.StopReason.END_TURN,
    neutral.Usage(input=3, output=5),
)


@pytest.mark.parametrize(("client", "fields"), OMITTING)
def test_no_summary_is_requested_where_none_is_shown(client: ProtocolName, fields: Body) -> None:
    body, _ = sent(client, "responses", fields)
    assert "summary" not in body.get("reasoning", {})
    assert sent(client, "messages", fields)[0]["thinking"] == {"type": "adaptive", "display": "omitted"}


@pytest.mark.parametrize(("client", "fields"), OMITTING)
@pytest.mark.parametrize("upstream", PROTOCOLS)
@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("asks_for_stream", [True, False])
def test_no_thinking_is_returned_where_none_is_shown(
    client: ProtocolName, fields: Body, upstream: ProtocolName, streamed: bool, asks_for_stream: bool
) -> None:
    request = msgspec.structs.replace(decoded(client, **fields, stream=asks_for_stream), include_usage=True)
    converted = convert_request(request, CODECS[upstream], Target("m", "issuer", Capabilities()))
    answer = answer_of(upstream, streamed=streamed)
    if streamed and asks_for_stream:
        conversion = StreamConversion(CODECS[upstream], CODECS[client], converted, request)
        returned = conversion.feed(answer) + conversion.close()
        CHECK_STREAM[client](records_of(returned))
    else:
        returned = convert_response(CODECS[upstream], CODECS[client], answer, converted, request).body
    assert b"Hm." not in returned and b"Hi" in returned and b"there" in returned


def answer_of(upstream: ProtocolName, *, streamed: bool) -> bytes:
    asked = msgspec.structs.replace(decoded(upstream), include_usage=True)
    if not streamed:
        return CODECS[upstream].encode_response(THOUGHT, asked)
    encoder = CODECS[upstream].stream_encoder(asked)
    return b"".join(encoder.encode(event) for event in unfold(THOUGHT))


@pytest.mark.parametrize("asks_for_stream", [True, False])
def test_an_upstream_gets_the_thinking_back_that_the_client_was_not_shown(asks_for_stream: bool) -> None:
    fields = {"thinking": {"type": "adaptive", "display": "omitted"}, "stream": asks_for_stream}
    target = Target("m", "issuer", Capabilities(reasoning_history="required"))
    request = decoded("messages", **fields)
    converted = convert_request(request, CODECS["chat"], target)
    answer = answer_of("chat", streamed=False)
    returned = convert_response(CODECS["chat"], CODECS["messages"], answer, converted, request).body
    content = content_of(returned, streamed=asks_for_stream)
    assert [block["type"] for block in content] == ["thinking", "text"]

    use = {"type": "tool_use", "id": "t", "name": "w", "input": {}}
    history = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [content[0], use]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "3C"}]},
    ]
    again = CODECS["messages"].decode_request(
        msgspec.json.encode({"model": "m", "max_tokens": 9, "messages": history, **fields})
    )
    body = msgspec.json.decode(convert_request(again, CODECS["chat"], target).body)
    assert body["messages"][1]["reasoning_content"] == "Hm.Hm."


def content_of(answer: bytes, *, streamed: bool) -> list[Body]:
    if not streamed:
        content: list[Body] = msgspec.json.decode(answer)["content"]
        return content
    blocks: list[Body] = []
    for record in records_of(answer):
        event = msgspec.json.decode(record.data)
        if event["type"] == "content_block_start":
            blocks.append(event["content_block"])
        elif event.get("delta", {}).get("type") == "signature_delta":
            blocks[-1]["signature"] = event["delta"]["signature"]
    return blocks
