"""What is not decoded needed no repair: with the signs and without them, the same bytes and losses are sent."""

import json
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from switchyard.protocols import carrier
from switchyard.protocols.capabilities import Capabilities, Pair
from switchyard.protocols.codec import Target
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.passthrough.peek import Document
from switchyard.protocols.passthrough.prepare import repaired
from switchyard.protocols.presets import ROWS, capabilities_of
from switchyard.protocols.repair.tables import TABLES
from tests.fuzz.material import REQUESTS, Json, changed, fuzzed, places, values
from tests.protocols.repair import test_chat, test_messages, test_responses

ISSUER = "upstream-a"
SOUND: dict[ProtocolName, list[Json]] = {
    "messages": [
        *REQUESTS["messages"],
        test_messages.CLAUDE_CODE,
        *(given for given, _, _ in test_messages.REPAIRS.values()),
    ],
    "chat": [*REQUESTS["chat"], *(body for body, _, _ in test_chat.REPAIRS)],
    "responses": [
        *REQUESTS["responses"],
        test_responses.BODY,
        *({"input": [test_responses.USER, item]} for item, _ in test_responses.REASONING),
    ],
}
PARTS: list[Json] = [
    {"role": "system", "content": "S"},
    {"role": "developer", "content": [{"type": "text", "text": "D"}]},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
    {"role": "assistant", "content": "a", "tool_calls": [1], "reasoning_content": False},
    {"role": "assistant", "reasoning_details": [{"data": carrier.pack("text", "other", {})}]},
    {"type": "image"},
    {"type": "image_url"},
    {"type": "input_image"},
    {"type": "document", "source": {"type": "text", "data": "d"}},
    {"type": "text", "text": "t", "cache_control": {}},
    {
        "type": "text",
        "text": "t",
        "citations": [{"type": "web_search_result_location", "encrypted_index": ""}],
    },
    {"type": "web_search_tool_result", "tool_use_id": "1", "content": [{"encrypted_content": ""}]},
    {"type": "server_tool_use", "id": "1"},
    {"type": "server_tool_use", "id": "srvtoolu_swyd_1", "name": "web_search"},
    {"type": "tool_result", "content": "x", "is_error": 1},
    {"type": "thinking", "thinking": "T", "signature": carrier.pack("thinking", ISSUER, {"signature": "s"})},
    {"type": "reasoning", "encrypted_content": carrier.pack("reasoning", "other", {"type": "reasoning"})},
]
PARTS += [[part] * 5 for part in PARTS]
OTHER_VALUES: dict[str, tuple[Any, ...]] = {
    "max_tokens_field": ("max_tokens", "max_completion_tokens"),
    "max_output_tokens": (3, 2000, 8192),
    "reasoning_effort": ("budget", "adaptive", "template", "none"),
    "efforts": (("low", "high"), ("none",)),
    "reasoning_history": ("reasoning_content", "required"),
    "max_stops": (1, 2, 64),
    "dropped_fields": (
        ("seed", "metadata"),
        ("temperature", "model"),
        ("messages.*.content", "**.cache_control.ttl", "tools.*.custom.strict"),
    ),
    "refused_together": (get_args(Pair)[:3], get_args(Pair)[2:]),
    "bounds": (("temperature<=1", "max_tokens>=16", "thinking.budget_tokens>=1024"),),
    "refused_keywords": (("$ref", "oneOf", "allOf", "anyOf", "format"), ("const", "not")),
    **{
        name: (not value,)
        for name, value in msgspec.structs.asdict(Capabilities()).items()
        if value in (True, False)
    },
}


@st.composite
def targets(draw: st.DrawFn, protocol: ProtocolName) -> Target:
    """The upstreams that are known, and those that lack any few things."""
    known = st.sampled_from(["auto", *ROWS]).map(lambda kind: capabilities_of(kind, "http://h", protocol))
    names = draw(st.sets(st.sampled_from(sorted(OTHER_VALUES)), max_size=4))
    odd = Capabilities(**{name: draw(st.sampled_from(OTHER_VALUES[name])) for name in sorted(names)})
    return Target("m", ISSUER, draw(known | st.just(odd)))


@st.composite
def bodies(draw: st.DrawFn, protocol: ProtocolName) -> bytes:
    """As different clients encode them."""
    body = draw(st.sampled_from(SOUND[protocol]))
    for _ in range(draw(st.integers(0, 4))):
        path = draw(st.sampled_from([path for path in places(body) if path] or [("messages",)]))
        body = changed(body, path, draw(st.sampled_from(PARTS) | values))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]))
    return json.dumps(body, ensure_ascii=draw(st.booleans()), separators=separators).encode(
        "utf-8", "replace"
    )


def sent(protocol: ProtocolName, body: bytes, target: Target, stripped: Any, *, signs: bool) -> object:
    table = TABLES[protocol]
    if not signs:
        rows = tuple(replace(row, sign=None) for row in table.rows)
        table = replace(table, rows=rows)
    try:
        return repaired(table, Document(body), target, stripped=stripped)
    except (msgspec.DecodeError, RecursionError) as error:
        return type(error)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@fuzzed
@given(st.data())
def test_what_is_not_decoded_needed_no_repair(protocol: ProtocolName, data: st.DataObject) -> None:
    body, target = data.draw(bodies(protocol)), data.draw(targets(protocol))
    stripped = data.draw(st.sampled_from([frozenset(), frozenset({"c2ln", "NATIVE"}), None]))
    cheap = sent(protocol, body, target, stripped, signs=True)
    full = sent(protocol, body, target, stripped, signs=False)
    assert cheap == full or isinstance(full, type)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@fuzzed
@given(st.data())
def test_a_repaired_body_needs_no_other_repair(protocol: ProtocolName, data: st.DataObject) -> None:
    body, target = data.draw(bodies(protocol)), data.draw(targets(protocol))
    once = sent(protocol, body, target, frozenset(), signs=True)
    if isinstance(once, tuple):
        assert sent(protocol, once[0], target, frozenset(), signs=True) == (once[0], ())
