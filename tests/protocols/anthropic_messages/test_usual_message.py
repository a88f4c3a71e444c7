"""Usual messages mean what they mean when they are decoded part by part; any other is left to that."""

import json
from random import Random

import pytest

from switchyard.protocols.anthropic_messages.decode_request import decode_request
from switchyard.protocols.anthropic_messages.usual_message import usual_message
from switchyard.protocols.neutral import Message
from tests.protocols.histories import Agent, Item, in_messages

TEXT = '{"type":"text","text":"a"}'
CALL = '{"type":"tool_use","id":"t","name":"n","input":{}}'
RESULT = '{"type":"tool_result","tool_use_id":"t","content":"a"}'


def of(role: str, *parts: str) -> bytes:
    return f'{{"role":"{role}","content":[{",".join(parts)}]}}'.encode()


def part_by_part(raw: bytes) -> tuple[Message, ...]:
    return decode_request(b'{"model":"m","messages":[%b]}' % raw).messages


def usual(raw: bytes) -> tuple[Message, ...] | None:
    message = usual_message(raw)
    if message is None:
        return None
    return (message,) if message.content else ()


@pytest.mark.parametrize(
    "raw",
    [
        b'{"role":"user","content":"a"}',
        b'{"content" : " \\n", "role" : "assistant"}',
        b'{"role":"user","content":[]}',
        b'{"role":"user","content":"a","content":"b"}',
        of(
            "user",
            TEXT,
            '{"text":"","type":"text"}',
            RESULT,
            '{"type":"text","text":"\\u00e9\\/\\ud83d\\ude00"}',
        ),
        of("user", '{"type":"tool_result","tool_use_id":"t","content":[],"is_error":true}'),
        of("user", f'{{"type":"tool_result","tool_use_id":"","content":[{TEXT},{TEXT}]}}', RESULT, RESULT),
        of("assistant", '{"type":"thinking","thinking":"","signature":"b"}', TEXT, CALL, CALL),
        of("assistant", '{"type":"tool_use","id":"","name":"n","input":{ "\\u0061" : [1.0, {"b":1e30}] }}'),
        of(
            "assistant",
            '{"type":"tool_use","id":"t","name":"n","input":{"a":1,"a":123456789012345678901234}}',
        ),
    ],
)
def test_texts_thinking_calls_and_results_are_usual(raw: bytes) -> None:
    assert usual(raw) == part_by_part(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"role":"system","content":"a"}',
        b'{"role":"user","content":null}',
        b'{"role":"user","content":"a","clear_at":"next_user_message"}',
        b'{"role":"user","content":"a","role":"assistant"}',
        b'{"role":"user","content":5,"content":"a"}',
        b'{"role":"user","content":"\\ud83d"}',
        b'{"role":"user","content":"\xff"}',
        b'{"role":"user","content":"a"',
        b'"a"',
        of("user", CALL),
        of("assistant", RESULT),
        of("user", '"a"'),
        of("user", '{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}'),
        of("user", '{"type":"text","text":"a","type":"tool_result"}'),
        of("user", '{"type":"text"}'),
        of("user", '{"type":"tool_result","tool_use_id":"t"}'),
        of("user", '{"type":"tool_result","tool_use_id":"t","content":"a","is_error":null}'),
        of("user", '{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{}}]}'),
        of("assistant", '{"type":"thinking","thinking":"a"}'),
        of("user", '{"type":"thinking","thinking":"a","signature":"b"}'),
        of("assistant", '{"type":"tool_use","id":"t","name":"n","input":[]}'),
        of("assistant", '{"type":"tool_use","id":"t","name":"n"}'),
        of("assistant", '{"type":"compaction","content":"a"}'),
    ],
)
def test_anything_else_is_not(raw: bytes) -> None:
    assert usual_message(raw) is None


@pytest.mark.parametrize("spaced", [False, True])
def test_what_agents_send_means_the_same(spaced: bool) -> None:
    agent = Agent(Random(1), oddity=20)
    items: list[Item] = [item for _ in range(300) for item in agent.turn(in_messages)]
    separators = None if spaced else (",", ":")
    raws = [json.dumps(item, separators=separators, ensure_ascii=spaced).encode() for item in items]
    found = {raw: usual(raw) for raw in raws}
    assert found == {raw: None if found[raw] is None else part_by_part(raw) for raw in raws}
    assert sum(message is not None for message in found.values()) > len(found) / 2
