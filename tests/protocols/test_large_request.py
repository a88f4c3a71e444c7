import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.protocols.known_history import PLACE
from switchyard.protocols.large_request import BEHIND_BYTES, LEAST_BYTES, Seen, seen_at_once
from switchyard.protocols.passthrough.peek import (
    WATCHED,
    Document,
    Members,
    history_in,
    watched_members,
)
from switchyard.protocols.repair.messages.table import MESSAGES
from switchyard.protocols.repair.responses import RESPONSES
from switchyard.protocols.repair.rows import Table
from switchyard.protocols.request_summary import read_request_summary

LONG = {"type": "text", "text": 'a \\ and a "quote" ' + "x" * LEAST_BYTES}
MARK = {"type": "ephemeral"}
CALL = {"type": "tool_use", "id": "t", "name": "Edit", "input": {"edits": [{"a": 1}], "model": "m"}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image"}], "cache_control": MARK}
HISTORY = [{"role": "user", "content": [LONG]}, {"role": "assistant", "content": [CALL]}]
HISTORY += [{"role": "user", "content": [RESULT]}]
SYSTEM = [{"type": "text", "text": "You are", "cache_control": MARK}]
SIGNS = frozenset({"text", "tool_use", "tool_result", "image", "marks"})


def compact(*members: tuple[str, Any]) -> bytes:
    """An object with these members, perhaps two of one name."""
    return b"{%b}" % b",".join(
        b'"%b":%b' % (name.encode(), msgspec.json.encode(one)) for name, one in members
    )


USUAL = compact(
    ("model", "m"), ("messages", HISTORY), ("system", SYSTEM), ("max_tokens", 9), ("stream", True)
)
LAST = compact(("model", "m"), ("stream", True), ("messages", HISTORY))


def in_two_scans(body: bytes, table: Table = MESSAGES) -> tuple[dict[str, bytes], set[str]]:
    members = watched_members(body)
    return _raw(members), set(table.signs_in(Document(body, members)))


def _found(members: Members, seen: Seen) -> tuple[dict[str, bytes], set[str]]:
    assert seen.body.startswith(bytes(history_in(members) or b""), seen.start)
    return _raw(members), set(seen.signs)


def _raw(members: Members) -> dict[str, bytes]:
    return {name: bytes(raw) for name in WATCHED if (raw := members.get(name)) is not None}


def test_members_and_signs_of_the_usual_form_are_seen_at_once() -> None:
    for body in (
        USUAL,
        LAST,
        LAST + b"\n",
        json.dumps(json.loads(USUAL)).replace(': [{"role', ':[{"role').encode(),
    ):
        seen = seen_at_once("messages", body)
        assert seen is not None
        assert _found(*seen) == in_two_scans(body)
        assert seen[1] == Seen(body, body.index(b"[{"), SIGNS)
        assert read_request_summary("messages", body, {}).seen == seen[1]


def test_so_are_those_of_a_responses_request() -> None:
    image = {"type": "message", "role": "developer", "content": [{"type": "input_image", "image_url": "u"}]}
    output = {"type": "function_call_output", "call_id": "c", "output": "x" * LEAST_BYTES}
    body = compact(("model", "m"), ("instructions", "i"), ("input", [image, output]), ("tools", []))
    seen = seen_at_once("responses", body)
    assert seen is not None
    assert _found(*seen) == in_two_scans(body, RESPONSES)
    assert seen[1].signs == {"developer", "image"}
    assert seen_at_once("responses", body.replace(b"[", b"[5,", 1)) is None


@pytest.mark.parametrize(
    "body",
    [
        compact(("model", "m"), ("messages", HISTORY[:0])),
        compact(("model", "m"), ("messages", HISTORY), ("messages", [])),
        compact(("model", "m"), ("metadata", {"messages": HISTORY, "model": "x"}), ("messages", [])),
        compact(("model", "m"), ("messages", HISTORY), ("tools", [{"name": "x" * BEHIND_BYTES}])),
        compact(("model", "m"), ("messages", [PLACE])),
        compact(("model", "m"), ("messages", PLACE), ("system", [LONG])),
        USUAL.replace(b'"messages"', b'"m\\u0065ssages"'),
        USUAL.replace(b'"messages":[', b'"messages" : ['),
        USUAL.replace(b'"system"', b'"s\\u0079stem"'),
        LAST[:-1],
        LAST + b"}",
        LAST.replace(b'"role":"user"', b'"role":"user'),
        LAST.replace(b'"role":"user"', b'"role":["user"]'),
        LAST.replace(b"xxx", b"x\nx", 1),
        b"[%b]" % USUAL,
        b'"%b"' % (b"x" * LEAST_BYTES),
    ],
    ids=lambda body: f"{len(body)} bytes",  # one of them differs from run to run
)
def test_another_form_is_left_to_two_scans(body: bytes) -> None:
    assert seen_at_once("messages", body) is None


def test_what_only_looks_like_the_end_of_the_history_is_not_taken_for_it() -> None:
    call = {**CALL, "input": {"edits": [{"system": []}], "system": [{"a": [{}]}], "stream": 1}}
    body = compact(("messages", [*HISTORY, {"role": "assistant", "content": [call]}]), ("stream", False))
    seen = seen_at_once("messages", body)
    assert seen is not None
    assert _found(*seen) == in_two_scans(body)


def test_small_requests_and_those_of_chat_clients_are_not_looked_at() -> None:
    small = compact(("model", "m"), ("messages", [{"role": "user", "content": [CALL]}]))
    assert read_request_summary("messages", small, {}).seen is None
    assert read_request_summary("chat", USUAL, {}).seen is None


PIECES = (
    b'"',
    b"\\",
    b"}",
    b"]",
    b"[",
    b"{",
    b",",
    b":",
    b'"messages":[',
    b'}],"system":',
    b'}],"stream":1',
    b"}]}",
)


@given(st.data())
def test_no_body_is_seen_otherwise_than_by_two_scans(data: st.DataObject) -> None:
    body = USUAL.replace(b"x" * LEAST_BYTES, b"~")
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(start, min(len(body), start + 30)))
        body = body[:start] + b"".join(data.draw(st.lists(st.sampled_from(PIECES), max_size=3))) + body[end:]
    body = body.replace(b"~", b"x" * LEAST_BYTES)
    if (seen := seen_at_once("messages", body)) is not None:
        assert _found(*seen) == in_two_scans(body)
