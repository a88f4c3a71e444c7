"""Requests between two sides of one protocol: what passes through, and what is decoded."""

import json
from typing import Any

import pytest

from switchyard.protocols import carrier
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import Target
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import Loss
from switchyard.protocols.passthrough.peek import Document
from switchyard.protocols.passthrough.prepare import (
    injects_usage,
    passes_through,
    repair_losses,
    repaired,
    wants_compaction,
    with_usage_asked,
)
from switchyard.protocols.presets import capabilities_of
from switchyard.protocols.repair.tables import TABLES
from switchyard.protocols.request_summary import read_request_summary


def target(**capabilities: Any) -> Target:
    return Target("m", "issuer", Capabilities(**capabilities))


@pytest.mark.parametrize(
    ("protocol", "capabilities", "compacts", "unchanged"),
    [
        ("messages", {"responses_items": False}, False, True),
        ("chat", {"responses_items": False}, False, True),
        ("responses", {}, False, True),
        ("responses", {"responses_items": False}, False, False),
        ("responses", {"compaction": True}, True, True),
        ("responses", {"compaction": True, "responses_items": False}, True, False),
        ("responses", {"compaction": False}, True, False),
    ],
)
def test_only_a_responses_server_without_the_newer_items_is_converted_for(
    protocol: ProtocolName, capabilities: dict[str, Any], compacts: bool, unchanged: bool
) -> None:
    assert passes_through(protocol, target(**capabilities), compacts=compacts) == unchanged


PLACEHOLDER = {"name": "DeferredToolPlaceholder", "defer_loading": True}
LOSSES: tuple[tuple[dict[str, Any], dict[str, Any], list[str]], ...] = (
    ({"a": 1, "b": 2}, {"a": 1}, ["b"]),
    ({"a": None, "b": []}, {}, []),
    ({"cache_control": {"type": "ephemeral"}, "prompt_cache_key": "k"}, {}, []),
    ({"max_tokens": 5}, {"max_completion_tokens": 5}, []),
    ({"max_tokens": 5}, {"max_tokens": 4}, ["max_tokens"]),
    ({"max_tokens": 5}, {}, ["max_tokens"]),
    ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, []),
    ({"output_config": {"effort": "low"}}, {"thinking": {"type": "enabled"}}, []),
    ({"response_format": {}, "messages": [1]}, {"messages": [1, 2]}, []),
    ({"tools": [1, 2]}, {"tools": [1]}, ["tools"]),
    ({"stop": ["a", "b"], "tools": [1]}, {"stop": ["a"]}, ["tools", "stop"]),
    ({"tools": [1, PLACEHOLDER]}, {"tools": [1]}, []),
    ({"tools": [1, 2], "messages": [{"type": "tool_removal"}]}, {"tools": [1], "messages": [1]}, []),
    ({"tools": [1], "tool_choice": 1, "messages": [{"type": "tool_removal"}]}, {"messages": [1]}, []),
    (
        {"tools": [1, 2, 3], "messages": [{"type": "tool_removal"}]},
        {"tools": [1], "messages": [1]},
        ["tools"],
    ),
    ({"tools": [1], "tool_choice": 1}, {"tools": [1]}, ["tool_choice"]),
    ({"messages": ["an image"]}, {"messages": ["[image omitted: the model reads no images]"]}, ["image"]),
    ({"messages": ["[image omitted"]}, {"messages": ["[image omitted"]}, []),
)


@pytest.mark.parametrize(("before", "after", "lost"), LOSSES)
def test_what_a_repair_takes_out_is_a_loss(
    before: dict[str, Any], after: dict[str, Any], lost: list[str]
) -> None:
    bodies = json.dumps(before).encode(), json.dumps(after).encode()
    assert [loss.field for loss in repair_losses(before, after, *bodies)] == lost


def test_the_loss_of_a_longer_answer_tells_the_limit() -> None:
    assert repair_losses({"max_tokens": 9}, {"max_tokens": 4}, b"", b"") == (
        Loss("max_tokens", "this upstream gives at most 4"),
    )


def test_the_loss_of_the_background_is_not_the_upstreams() -> None:
    (loss,) = repair_losses({"background": True}, {}, b"", b"")
    assert loss == Loss("background", "Switchyard cannot fetch the answer later")


MARK = b'{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}'
SEAL = carrier.pack("text", "", {}).encode()
MADE_SEARCH = b'{"type":"server_tool_use","id":"srvtoolu_swyd_1","name":"web_search","input":{}}'


@pytest.mark.parametrize(
    ("parts", "capabilities", "needed"),
    [
        (b"1", {}, False),
        (b'{"type":"thinking","signature":"%b"}' % SEAL, {}, True),
        (MADE_SEARCH, {}, True),
        (b",".join([MARK] * 4), {}, False),
        (b",".join([MARK] * 5), {}, True),
        (MARK, {"cache_control": False}, True),
        (b'"cache control"', {"cache_control": False}, False),
        (b'{"type": "image"}', {"images": False}, True),
        (b'"an image"', {"images": False}, False),
        (b'"a"]},{"role" : "system","content":["b"', {"mid_system": False}, True),
        (b'{"role" : "system"}', {"mid_system": False}, False),
        (b'"\xff the system"', {"mid_system": False}, False),
        (b'"the system"', {"mid_system": False}, False),
        (b'"a"', {"reasoning_effort": "adaptive", "top_k": False, "max_output_tokens": 5}, False),
    ],
)
def test_a_conversation_is_decoded_only_where_it_may_need_repair(
    parts: bytes, capabilities: dict[str, Any], needed: bool
) -> None:
    document = Document(b'{"model":"m","messages":[{"role":"user","content":[%b]}],"max_tokens":5}' % parts)
    repaired(TABLES["messages"], document, target(**capabilities))
    assert document.history_is_decoded == needed


OFFICIAL: tuple[tuple[str, ProtocolName, dict[str, Any]], ...] = (
    ("https://api.anthropic.com", "messages", {"max_tokens": 9, "output_config": {"effort": "high"}}),
    ("https://api.openai.com", "chat", {"max_completion_tokens": 9, "stop": ["a"]}),
    ("https://x.openai.azure.com", "chat", {"max_completion_tokens": 9, "temperature": 1}),
    ("https://api.openai.com", "responses", {"reasoning": {"effort": "high"}, "metadata": {"a": "b"}}),
    ("https://x.openai.azure.com", "responses", {"tools": [{"type": "custom", "name": "t"}]}),
    ("https://api.deepseek.com", "chat", {"max_tokens": 9, "reasoning_effort": "high"}),
)


@pytest.mark.parametrize(("url", "protocol", "fields"), OFFICIAL)
def test_no_official_host_makes_an_ordinary_conversation_be_decoded(
    url: str, protocol: ProtocolName, fields: dict[str, Any]
) -> None:
    call = {"role": "assistant", "tool_calls": [{"id": "1"}], "reasoning_content": "r"}
    turns = [{"role": "system", "content": "S"}, {"role": "user", "content": "a"}, call]
    body = json.dumps(
        {"model": "m", "stream": True, "messages": turns, "input": turns, **fields}, indent=1
    ).encode()
    document = Document(body)
    known = Target("m", "issuer", capabilities_of("auto", url, protocol))
    assert repaired(TABLES[protocol], document, known) == (body, ())
    assert not document.history_is_decoded


@pytest.mark.parametrize("url", ["https://api.anthropic.com", "https://api.deepseek.com/anthropic"])
def test_a_conversation_with_marks_for_caching_is_not_decoded_for_an_official_host(url: str) -> None:
    marked = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    turns = [{"role": "user", "content": [marked]}, {"role": "assistant", "content": [marked]}]
    document = Document(json.dumps({"model": "m", "system": [marked], "messages": turns}).encode())
    known = Target("m", "issuer", capabilities_of("auto", url, "messages"))
    assert repaired(TABLES["messages"], document, known) == (document.body, ())
    assert not document.history_is_decoded


def test_what_a_repair_does_not_set_stays_byte_for_byte() -> None:
    body = b'{"model":"m", "max_tokens": 9, "messages" : [ {"n":1.0} ], "x":"\\u0061"}'
    sent, _ = repaired(TABLES["messages"], Document(body), target(max_output_tokens=5))
    assert b'[ {"n":1.0} ]' in sent and b'"\\u0061"' in sent
    assert json.loads(sent) == {**json.loads(body), "max_tokens": 5}


@pytest.mark.parametrize(
    ("protocol", "body", "capabilities", "injected"),
    [
        ("chat", b'{"model":"m","stream":true}', {}, True),
        ("chat", b'{"model":"m","stream":true,"stream_options":{"include_usage":true}}', {}, False),
        ("chat", b'{"model":"m","stream":true,"stream_options":{}}', {}, True),
        ("chat", b'{"model":"m","stream":true}', {"include_usage": False}, False),
        ("chat", b'{"model":"m"}', {}, False),
        ("messages", b'{"model":"m","stream":true}', {}, False),
        ("responses", b'{"model":"m","stream":true}', {}, False),
    ],
)
def test_usage_is_asked_for_where_only_chat_needs_to_be_asked(
    protocol: ProtocolName, body: bytes, capabilities: dict[str, Any], injected: bool
) -> None:
    assert (
        injects_usage(protocol, read_request_summary(protocol, body, {}), target(**capabilities)) == injected
    )


def test_asking_for_usage_leaves_every_other_byte() -> None:
    body = b'{ "model" : "m","stream":true , "odd":  1e0}'
    asked = with_usage_asked(body)
    assert asked.replace(b'"stream_options":{"include_usage":true}', b"", 1).replace(
        b",", b""
    ) == body.replace(b",", b"")


@pytest.mark.parametrize(
    ("protocol", "body", "wanted"),
    [
        ("responses", b'{"input":[{"type":"compaction_trigger"}]}', True),
        ("responses", b'{"input":[]}', False),
        ("messages", b'{"type":"compaction_trigger"}', False),
    ],
)
def test_a_wish_for_compaction_is_seen(protocol: ProtocolName, body: bytes, wanted: bool) -> None:
    assert wants_compaction(protocol, body) == wanted


def test_a_refused_field_inside_a_member_is_reported() -> None:
    body = b'{"model":"m","input":[],"text":{"verbosity":"low","format":{"type":"text"}}}'
    document = Document(body)
    target = Target("m", "i", Capabilities(dropped_fields=("text.verbosity", "**.cache_control.ttl")))
    sent, losses = repaired(TABLES["responses"], document, target)
    assert b"verbosity" not in sent
    assert [loss.field for loss in losses] == ["text.verbosity"]
