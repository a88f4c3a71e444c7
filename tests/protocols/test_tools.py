"""Tools declared as functions, and their calls restored."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.protocols.neutral import Tool, ToolCall
from switchyard.protocols.tools.calls import encode_arguments, restore_arguments, restore_call
from switchyard.protocols.tools.names import wire_name
from switchyard.protocols.tools.schema import CUSTOM_SCHEMA, fits_strict, object_schema, to_functions

EMPTY = {"type": "object", "properties": {}}
PATCH = Tool("apply_patch", "Patches.", kind="custom", grammar=("lark", "start: begin_patch"))
NOTES = Tool("notes", kind="custom")


def wire_names(*tools: Tool) -> list[str]:
    lowered, names = to_functions(tools, custom=False)
    assert [tool.wire_name for tool in lowered] == list(names)
    return list(names)


def test_a_function_stays_as_it_is() -> None:
    tool = Tool("read", "Reads.", {"type": "object", "properties": {"path": {"type": "string"}}}, strict=True)
    (lowered,), names = to_functions((tool,), custom=False)
    assert (lowered.wire_name, lowered.description, lowered.strict) == ("read", "Reads.", True)
    assert lowered.parameters == tool.parameters
    assert names == {"read": tool}


def test_a_custom_tool_becomes_a_function_whose_description_has_the_grammar() -> None:
    (lowered,), _ = to_functions((PATCH,), custom=False)
    assert lowered.parameters == CUSTOM_SCHEMA
    assert lowered.description == (
        "Patches.\n\n"
        "This tool takes free-form text: put the whole text, unwrapped, into `input`.\n\n"
        "The text must follow this lark grammar:\nstart: begin_patch"
    )


def test_a_custom_tool_stays_custom_where_that_is_known() -> None:
    (lowered,), names = to_functions((PATCH,), custom=True)
    assert (lowered.wire_name, lowered.description, lowered.parameters) == ("apply_patch", "Patches.", {})
    assert lowered.tool is names["apply_patch"] is PATCH


@pytest.mark.parametrize(
    ("kind", "required"),
    [
        ("local_shell", "command"),
        ("shell", "commands"),
        ("apply_patch", "operation"),
        ("tool_search", "query"),
    ],
)
@pytest.mark.parametrize("custom", [True, False])
def test_every_other_kind_becomes_a_function_with_a_schema(kind: Any, required: str, custom: bool) -> None:
    (lowered,), _ = to_functions((Tool(kind, kind=kind),), custom=custom)
    assert lowered.parameters["required"] == [required]
    assert required in lowered.parameters["properties"]
    assert lowered.description


LONG = "x" * 80


@pytest.mark.parametrize(
    ("tools", "names"),
    [
        ((Tool("a"), Tool("a", namespace="ns")), ["a", "ns__a"]),
        ((Tool("f", namespace="ns"), Tool("ns__f")), ["ns__f_2", "ns__f"]),
        ((Tool("a.b"), Tool("a_b")), ["a_b_2", "a_b"]),
        ((Tool("a.b"), Tool("a:b"), Tool("a b")), ["a_b", "a_b_2", "a_b_3"]),
        ((Tool("a", "first"), Tool("a", "second")), ["a"]),
        ((Tool("shell"), Tool("shell", kind="shell")), ["shell", "shell_2"]),
        ((Tool(LONG),), ["x" * 55 + "_d929cdee"]),
        ((Tool("mcp__a__b", namespace="mcp"),), ["mcp__mcp__a__b"]),
        ((), []),
    ],
)
def test_names_on_the_wire_are_legal_and_unique(tools: tuple[Tool, ...], names: list[str]) -> None:
    assert wire_names(*tools) == names


def test_a_numbered_name_is_not_too_long() -> None:
    name = "x" * 64
    assert wire_names(Tool(name), Tool("x" * 62, namespace="")) == [name, "x" * 62]
    first, second = wire_names(Tool("y." + "x" * 62), Tool("y:" + "x" * 62))
    assert (first, second) == ("y_" + "x" * 62, "y_" + "x" * 60 + "_2")


@given(st.lists(st.tuples(st.text(min_size=1, max_size=70), st.sampled_from(["", "ns", "n.s"])), max_size=6))
def test_every_tool_is_found_again_by_its_name_on_the_wire(given: list[tuple[str, str]]) -> None:
    tools = tuple(Tool(name, namespace=namespace) for name, namespace in given)
    _, names = to_functions(tools, custom=False)
    for name, namespace in given:
        wire = wire_name(name, namespace, names)
        assert 1 <= len(wire) <= 64 and wire.replace("-", "_").replace("_", "a").isalnum() and wire.isascii()
        assert restore_call("c", wire, names) == ToolCall("c", name, "", "function", namespace)


def test_a_tool_that_is_no_longer_declared_has_a_name_all_the_same() -> None:
    assert wire_name("a.b", "", {}) == "a_b"
    assert wire_name("a", "n.s", {}) == "n_s__a"
    assert restore_call("c", "zzz", {}) == ToolCall("c", "zzz", "")


@pytest.mark.parametrize(
    ("call", "custom", "wire"),
    [
        (ToolCall("c", "f", '{"b":1, "a":2}'), False, '{"b":1, "a":2}'),
        (ToolCall("c", "f", " "), False, "{}"),
        (ToolCall("c", "f", "{bad"), False, '{"_raw":"{bad"}'),
        (ToolCall("c", "f", '{"a":1} {"b":2}'), True, '{"_raw":"{\\"a\\":1} {\\"b\\":2}"}'),
        (ToolCall("c", "f", "[1]"), False, "[1]"),
        (ToolCall("c", "p", 'a "b"\né', "custom"), False, '{"input":"a \\"b\\"\\né"}'),
        (ToolCall("c", "p", 'a "b"', "custom"), True, 'a "b"'),
        (ToolCall("c", "p", "", "custom"), True, ""),
    ],
)
def test_arguments_are_sent_as_json(call: ToolCall, custom: bool, wire: str) -> None:
    assert encode_arguments(call, custom=custom) == wire


CLOSED = {"type": "object", "properties": {}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        (CLOSED, True),
        (CLOSED | {"properties": {"a": {}}, "required": ["a"]}, True),
        (CLOSED | {"properties": {"a": {}}}, False),
        (CLOSED | {"required": ["a"]}, False),
        (CLOSED | {"properties": {"a": EMPTY}, "required": ["a"]}, False),
        (CLOSED | {"$defs": {"a": EMPTY}}, False),
        ({"anyOf": [CLOSED, EMPTY]}, False),
        ({"type": "array", "items": CLOSED}, True),
        (EMPTY, False),
        ({"properties": {}}, False),
        ({"type": "object", "properties": 5, "required": 5}, False),
        ({}, True),
    ],
)
def test_only_closed_schemas_fit_the_strict_mode(schema: dict[str, Any], fits: bool) -> None:
    assert fits_strict(schema) == fits


def test_a_deep_schema_is_understood() -> None:
    deep: dict[str, Any] = CLOSED
    for _ in range(5000):
        deep = {"type": "array", "items": deep}
    assert fits_strict(deep)


BARE = "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch"


@pytest.mark.parametrize(
    ("wire", "tool", "arguments"),
    [
        ("", None, "{}"),
        (" \n", None, "{}"),
        ("null", None, "{}"),
        ('{"a": 1}', None, '{"a": 1}'),
        ('"{\\"a\\":1}"', None, '{"a":1}'),
        ('"text"', None, '"text"'),
        ("{bad", None, "{bad"),
        ("[1]", None, "[1]"),
        ('{"input":"x"}', NOTES, "x"),
        ('{"input":""}', NOTES, ""),
        ('{"anything":"x"}', NOTES, "x"),
        ('{"path":"p","patch":"x"}', NOTES, "x"),
        ('{"a":"x","b":"y"}', NOTES, '{"a":"x","b":"y"}'),
        ('{"a":1}', NOTES, '{"a":1}'),
        ("free text", NOTES, "free text"),
        ('"quoted"', NOTES, "quoted"),
        ('"{\\"input\\":\\"x\\"}"', NOTES, "x"),
        ('{"input":"two\nlines"}', NOTES, "two\nlines"),
        ("```\nfenced\n```", NOTES, "```\nfenced\n```"),
        ('{"input":"*** Begin Patch\\n*** End Patch\\n"}', PATCH, "*** Begin Patch\n*** End Patch\n"),
        (f"```diff\n{BARE}\n```", PATCH, BARE),
        (f"apply_patch <<'EOF'\n{BARE}\nEOF", PATCH, BARE),
        (BARE, PATCH, BARE),
        ("no patch", PATCH, "no patch"),
    ],
)
def test_arguments_are_restored_to_what_the_client_expects(
    wire: str, tool: Tool | None, arguments: str
) -> None:
    assert restore_arguments(wire, tool) == arguments


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_free_form_input_survives_its_wrapping(text: str) -> None:
    call = ToolCall("c", "notes", text, "custom")
    assert restore_arguments(encode_arguments(call, custom=False), NOTES) == text


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, EMPTY),
        ({"type": "object"}, EMPTY),
        ({"type": ["object", "null"], "properties": None}, EMPTY),
        (
            {"type": "object", "properties": {"type": {"type": "string"}, "anyOf": {"title": "t"}}},
            {"type": "object", "properties": {"type": {"type": "string"}, "anyOf": {"title": "t"}}},
        ),
        (
            {
                "title": "T",
                "additionalProperties": False,
                "properties": {"a": {"$ref": "#/$defs/a"}},
                "$defs": {"a": {}},
            },
            {
                "title": "T",
                "additionalProperties": False,
                "properties": {"a": {"$ref": "#/$defs/a"}},
                "$defs": {"a": {}},
                "type": "object",
            },
        ),
        (
            {
                "description": "D.",
                "required": ["z"],
                "properties": {"z": {}},
                "oneOf": [
                    {"properties": {"a": {}, "k": {}}, "required": ["a", "k"]},
                    {"properties": {"b": {}, "k": {}}, "required": ["k"]},
                ],
            },
            {
                "type": "object",
                "description": "D. Give one of: {a, k} or {b, k}.",
                "properties": {"a": {}, "k": {}, "b": {}, "z": {}},
                "required": ["z", "k"],
            },
        ),
        (
            {
                "allOf": [
                    {"properties": {"a": {}}, "required": ["a"]},
                    {"properties": {"b": {}}, "required": ["b"]},
                ]
            },
            {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]},
        ),
        (
            {"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}], "$defs": {"A": {"properties": {"a": {}}}}},
            {
                "type": "object",
                "description": "Give one of: {a}.",
                "properties": {"a": {}},
                "$defs": {"A": {"properties": {"a": {}}}},
            },
        ),
        (
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"a": {}}}}},
            {
                "type": "object",
                "properties": {"a": {}},
                "$defs": {"A": {"type": "object", "properties": {"a": {}}}},
            },
        ),
        ({"$ref": "urn:x"}, {"$ref": "urn:x", "type": "object", "properties": {}}),
    ],
)
def test_a_schema_gets_an_object_at_its_root(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert object_schema(schema) == expected
