"""What was refused is changed alike in every body, whether a client wrote it or an encoder."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.repair.refused import drop_path, has_path
from switchyard.protocols.wire import parsed_object
from tests.protocols.repair.repairing import repair_request

Json = dict[str, Any]
USER: Json = {"role": "user", "content": "Hi"}
MARK = {"type": "ephemeral", "ttl": "1h"}
FORCED: dict[str, Any] = {"type": "function", "function": {"name": "look"}}
BASH: Json = {"tools": [{"type": "bash_1", "strict": True}]}
REFERENCE: Json = {"input": [{"type": "item_reference", "id": "x"}]}
CALL = "You must call the tool `look` in your next reply."
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}


def repaired(protocol: ProtocolName, body: Json, **capabilities: Any) -> Json:
    changed = dict(body)
    repair_request(protocol, changed, Target("m", "i", Capabilities(**capabilities)))
    return changed


PATHS: tuple[tuple[str, Json, Json], ...] = (
    ("seed", {"seed": 1, "user": "u"}, {"user": "u"}),
    ("absent", {"seed": 1}, {"seed": 1}),
    (
        "text.verbosity",
        {"text": {"verbosity": "low", "format": {"type": "text"}}},
        {"text": {"format": {"type": "text"}}},
    ),
    ("text.verbosity", {"text": {"verbosity": "low"}}, {}),
    (
        "messages.*.output_config",
        {"messages": [USER, {"role": "system", "content": "S", "output_config": {"effort": "low"}}]},
        {"messages": [USER, {"role": "system", "content": "S"}]},
    ),
    ("messages.*.absent", {"messages": [USER]}, {"messages": [USER]}),
    (
        "**.cache_control.ttl",
        {"system": [{"cache_control": MARK}], "tools": [{"name": "t", "cache_control": MARK}]},
        {
            "system": [{"cache_control": {"type": "ephemeral"}}],
            "tools": [{"name": "t", "cache_control": {"type": "ephemeral"}}],
        },
    ),
    (
        "thinking.adaptive.display",
        {"thinking": {"type": "adaptive", "display": "omitted"}},
        {"thinking": {"type": "adaptive"}},
    ),
    ("tools.*.custom.strict", {"tools": [{"name": "t", "strict": True}]}, {"tools": [{"name": "t"}]}),
    (
        "tools.*.custom.strict",
        {"tools": [{"type": "bash_1", "strict": True}]},
        {"tools": [{"type": "bash_1", "strict": True}]},
    ),
    ("seed.deep", {"seed": 1}, {"seed": 1}),
)


@pytest.mark.parametrize(("path", "body", "expected"), PATHS)
def test_only_the_refused_path_is_dropped(path: str, body: Json, expected: Json) -> None:
    changed = dict(body)
    assert has_path(body, path) is (body != expected)
    drop_path(changed, path)
    assert changed == expected


CHANGES: tuple[tuple[ProtocolName, Json, Json, Json], ...] = (
    # bounds and fixed values
    ("chat", {"temperature": 1.5}, {"max_temperature": 1.0}, {"temperature": 1.0}),
    ("chat", {"top_p": 0}, {"bounds": ("top_p>=0.01",)}, {"top_p": 0.01}),
    ("chat", {"top_p": 1}, {"bounds": ("top_p<=0.99",)}, {"top_p": 0.99}),
    (
        "responses",
        {"max_output_tokens": 5},
        {"bounds": ("max_output_tokens>=16",)},
        {"max_output_tokens": 16},
    ),
    (
        "messages",
        {"thinking": {"type": "enabled", "budget_tokens": 100}},
        {"bounds": ("thinking.budget_tokens>=1024",)},
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
    ),
    ("responses", {"store": True}, {"store": False}, {"store": False}),
    ("responses", {"stream": False}, {"stream_only": True}, {"stream": True}),
    ("chat", {}, {"stream_only": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    ("chat", {"stream": True, "stream_options": {}}, {"streams": False}, {}),
    # pairs
    (
        "messages",
        {"thinking": {"type": "adaptive"}, "tool_choice": {"type": "any"}},
        {"refused_together": ("thinking+forced_tool",)},
        {"thinking": {"type": "disabled"}, "tool_choice": {"type": "any"}},
    ),
    (
        "messages",
        {"thinking": {"type": "adaptive"}, "tool_choice": {"type": "auto"}},
        {"refused_together": ("thinking+forced_tool",)},
        {"thinking": {"type": "adaptive"}, "tool_choice": {"type": "auto"}},
    ),
    (
        "chat",
        {"reasoning_effort": "high", "tool_choice": FORCED, "messages": [USER]},
        {"refused_together": ("forced_tool+thinking",)},
        {
            "reasoning_effort": "high",
            "tool_choice": "auto",
            "messages": [{"role": "system", "content": CALL}, USER],
        },
    ),
    (
        "chat",
        {"enable_thinking": True, "tool_choice": "required"},
        {"refused_together": ("thinking+forced_tool",)},
        {"enable_thinking": False, "tool_choice": "required"},
    ),
    (
        "chat",
        {"reasoning_effort": "high", "tools": [TOOL]},
        {"refused_together": ("thinking+tools",)},
        {"reasoning_effort": "none", "tools": [TOOL]},
    ),
    (
        "messages",
        {"thinking": {"type": "adaptive"}, "temperature": 0.5, "top_k": 3},
        {"refused_together": ("sampling+thinking",)},
        {"thinking": {"type": "adaptive"}},
    ),
    ("messages", {"temperature": 0.5}, {"refused_together": ("sampling+thinking",)}, {"temperature": 0.5}),
    (
        "messages",
        {"temperature": 0.5, "top_p": 0.9},
        {"refused_together": ("top_p+temperature",)},
        {"temperature": 0.5},
    ),
    # tools
    (
        "messages",
        {"tool_choice": {"type": "tool", "name": "look"}, "system": [{"type": "text", "text": "S"}]},
        {"forced_tool_choice": False},
        {
            "tool_choice": {"type": "auto"},
            "system": [{"type": "text", "text": "S"}, {"type": "text", "text": CALL}],
        },
    ),
    (
        "responses",
        {"tool_choice": {"type": "function", "name": "look"}, "input": [USER], "instructions": "I"},
        {"forced_tool_choice": False},
        {"tool_choice": "auto", "input": [USER], "instructions": f"I\n\n{CALL}"},
    ),
    ("chat", {"tool_choice": "none"}, {"forced_tool_choice": False}, {"tool_choice": "none"}),
    # the conversation
    (
        "chat",
        {"messages": [USER, USER, {"role": "assistant", "content": "A"}, USER]},
        {"consecutive_roles": False},
        {"messages": [{"role": "user", "content": "Hi\n\nHi"}, {"role": "assistant", "content": "A"}, USER]},
    ),
    (
        "chat",
        {"messages": [{"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}]},
        {"consecutive_roles": False},
        {"messages": [{"role": "tool", "content": "1"}, {"role": "tool", "content": "2"}]},
    ),
    (
        "chat",
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
            ]
        },
        {"content_parts": False},
        {"messages": [{"role": "user", "content": "a\n\nb"}]},
    ),
    (
        "chat",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]},
        {"content_parts": False},
        {"messages": [{"role": "user", "content": "a\n\n[image omitted: the model reads no images]"}]},
    ),
    # ids of another service
    (
        "responses",
        {"input": [{"type": "reasoning", "id": "item_a4c1", "encrypted_content": "e"}]},
        {},
        {"input": [{"type": "reasoning", "encrypted_content": "e"}]},
    ),
    (
        "responses",
        {
            "input": [
                {"type": "function_call", "id": "call_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
            ]
        },
        {},
        {"input": [{"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}]},
    ),
    ("responses", {"input": [{**USER, "id": "chatcmpl-1"}]}, {}, {"input": [USER]}),
    ("responses", {"input": [{**USER, "id": "msg_1"}]}, {}, {"input": [{**USER, "id": "msg_1"}]}),
    (
        "responses",
        {"input": [{"type": "item_reference", "id": "x"}]},
        {},
        {"input": [{"type": "item_reference", "id": "x"}]},
    ),
)


@pytest.mark.parametrize(("protocol", "body", "capabilities", "expected"), CHANGES)
def test_a_refused_value_is_changed(
    protocol: ProtocolName, body: Json, capabilities: Json, expected: Json
) -> None:
    assert repaired(protocol, body, **capabilities) == expected


@pytest.mark.parametrize(("protocol", "body", "capabilities", "expected"), CHANGES)
def test_a_change_leaves_nothing_to_be_changed_again(
    protocol: ProtocolName, body: Json, capabilities: Json, expected: Json
) -> None:
    assert repaired(protocol, expected, **capabilities) == expected


def test_a_schema_is_asked_for_in_words_beside_tools() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    body = {"response_format": schema, "tools": [TOOL], "messages": [USER]}
    changed = repaired("chat", body, refused_together=("json_schema+tools",))
    assert "response_format" not in changed
    assert [message["role"] for message in changed["messages"]] == ["system", "user"]
    assert '{"type":"object"}' in changed["messages"][0]["content"]


def test_an_object_is_asked_for_where_no_schema_is_known() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    changed = repaired(
        "chat", {"response_format": schema, "messages": [USER]}, json_schema=False, json_object=True
    )
    assert changed["response_format"] == {"type": "json_object"}


ASKING: Json = {
    "model": "m",
    "max_tokens": 9000,
    "messages": [USER],
    "temperature": 0.5,
    "tools": [{"name": "look", "input_schema": {"type": "object", "properties": {"x": {"const": "a"}}}}],
    "tool_choice": {"type": "any"},
}
CONVERTED: tuple[tuple[Json, str, object], ...] = (
    ({"dropped_fields": ("temperature",)}, "temperature", None),
    ({"bounds": ("temperature>=0.7",)}, "temperature", 0.7),
    ({"refused_together": ("forced_tool+thinking",)}, "temperature", 0.5),
    ({"dropped_fields": ("tool_choice",)}, "tool_choice", None),
    ({"store": False}, "store", False),
)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("capabilities", "member", "expected"), CONVERTED)
def test_a_converted_request_is_changed_as_well(
    protocol: ProtocolName, capabilities: Json, member: str, expected: object
) -> None:
    body = sent(protocol, ASKING, **capabilities)
    assert body.get(member) == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_schemas_of_a_converted_request_lose_the_refused_keyword(protocol: ProtocolName) -> None:
    body = sent(protocol, ASKING, refused_keywords=("const",))
    tool = body["tools"][0]
    schema = tool.get("input_schema") or tool.get("parameters") or tool["function"]["parameters"]
    assert schema["properties"] == {"x": {"enum": ["a"]}}


def sent(protocol: ProtocolName, body: Json, **capabilities: Any) -> Json:
    request = CODECS["messages"].decode_request(msgspec.json.encode(body))
    target = Target("m", "i", Capabilities(**capabilities))
    return parsed_object(CODECS[protocol].encode_request(request, target).body)
