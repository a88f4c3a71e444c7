"""Between two sides of one protocol: what passes untouched, and what cannot."""

import json
from typing import Any

import pytest

from switchyard.protocols import carrier
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import Target
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.passthrough.prepare import (
    injects_usage,
    may_need_repair,
    passes_through,
    repair_losses,
    wants_compaction,
    with_usage_asked,
)
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
        ("responses", {"compaction": False}, True, False),
    ],
)
def test_only_a_responses_server_without_the_newer_items_is_converted_for(
    protocol: ProtocolName, capabilities: dict[str, Any], compacts: bool, unchanged: bool
) -> None:
    assert passes_through(protocol, target(**capabilities), compacts=compacts) == unchanged


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
    ({"messages": ["an image"]}, {"messages": ["[image omitted: the model reads no images]"]}, ["image"]),
    ({"messages": ["[image omitted"]}, {"messages": ["[image omitted"]}, []),
)


@pytest.mark.parametrize(("before", "after", "lost"), LOSSES)
def test_what_a_repair_takes_out_is_a_loss(
    before: dict[str, Any], after: dict[str, Any], lost: list[str]
) -> None:
    bodies = json.dumps(before).encode(), json.dumps(after).encode()
    assert [loss.field for loss in repair_losses(before, after, *bodies)] == lost


MARK = b'{"cache_control":{"type":"ephemeral"}}'


@pytest.mark.parametrize(
    ("body", "capabilities", "needed"),
    [
        (b'{"model":"m"}', {}, False),
        (b'{"model":"m"}', {"mid_system": False}, True),
        (b'{"signature":"%b"}' % carrier.pack("text", "", {}).encode(), {}, True),
        (b"[" + b",".join([MARK] * 4) + b"]", {}, False),
        (b"[" + b",".join([MARK] * 5) + b"]", {}, True),
    ],
)
def test_a_body_is_parsed_only_where_it_may_need_repair(
    body: bytes, capabilities: dict[str, Any], needed: bool
) -> None:
    assert may_need_repair(body, target(**capabilities)) == needed


def test_searches_made_by_a_conversion_need_repair() -> None:
    assert may_need_repair(b'{"type":"server_tool_use","id":"srvtoolu_swyd_1"}', target())


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
