"""Rules for thinking and effort that hold whatever protocol the client and the upstream speak."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import convert_request
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import Loss, Reasoning
from switchyard.protocols.thinking import with_thinking
from tests.protocols.test_nine_pairs import CHECK_REQUEST

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
