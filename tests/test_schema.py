"""The schema for editors: every field has a description, and refuses what the decoder refuses."""

import re
from typing import Any, get_type_hints

import msgspec
import pytest

from switchyard.faults import SettingsError
from switchyard.protocols.capabilities import Capabilities
from switchyard.schema import PATTERNS, json_schema
from switchyard.settings import (
    Activation,
    BodyChanges,
    Budget,
    Condition,
    Failover,
    ModelRule,
    Notify,
    Price,
    RouteRule,
    Settings,
    TextRule,
    TimeoutOverrides,
    Tls,
    Upstream,
)
from switchyard.settings_descriptions import FIELDS
from switchyard.settings_validation import parse

KINDS = (
    Settings,
    Upstream,
    TimeoutOverrides,
    Activation,
    BodyChanges,
    Tls,
    Budget,
    Notify,
    ModelRule,
    RouteRule,
    Condition,
    Failover,
    TextRule,
    Price,
)
SCHEMA = json_schema()


@pytest.mark.parametrize("kind", [*KINDS, Capabilities])
def test_every_field_has_its_sentence(kind: type[msgspec.Struct]) -> None:
    assert set(FIELDS[kind.__name__]) == {field.encode_name for field in msgspec.structs.fields(kind)}


def test_every_kind_of_the_file_is_described() -> None:
    assert set(SCHEMA["$defs"]) == set(FIELDS) == {kind.__name__ for kind in (*KINDS, Capabilities)}


@pytest.mark.parametrize("kind", ["Settings", "Upstream", "ModelRule"])
def test_every_field_is_offered_with_its_sentence(kind: str) -> None:
    offered = SCHEMA["$defs"][kind]["properties"]
    described = {name: field["description"] for name, field in offered.items() if name != "$schema"}
    assert described == {name: about.text for name, about in FIELDS[kind].items()}


@pytest.mark.parametrize("kind", FIELDS)
def test_an_editor_shows_a_description_and_an_example_of_every_field(kind: str) -> None:
    fields = {name: field for name, field in SCHEMA["$defs"][kind]["properties"].items() if name != "$schema"}
    assert [name for name, field in fields.items() if not field.get("description")] == []
    assert [name for name, field in fields.items() if len(field.get("examples", [])) != 1] == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_example_is_accepted(kind: type[msgspec.Struct]) -> None:
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        msgspec.convert(FIELDS[kind.__name__][field.encode_name].example, hints[field.name])
    for name, field in SCHEMA["$defs"]["Capabilities"]["properties"].items():
        entry = {"name": "a", "base_url": "https://h", "protocol": "chat"}
        parse({"upstreams": [{**entry, "capabilities": {name: field["examples"][0]}}]})


NEEDED_BY = {"on_suspicion": {"trust": "low"}}
"""Fields that mean nothing without others."""


@pytest.mark.parametrize("field", FIELDS["Upstream"])
def test_the_examples_of_an_upstream_mean_something(field: str) -> None:
    entry = {"name": "a", "base_url": "https://h", "protocol": "chat"}
    entry |= NEEDED_BY.get(field, {})
    document = {"upstreams": [{**entry, field: FIELDS["Upstream"][field].example}]}
    assert parse(document).warnings == ()


@pytest.mark.parametrize("field", FIELDS["Settings"])
def test_the_examples_of_the_file_mean_something(field: str) -> None:
    assert parse({field: FIELDS["Settings"][field].example}).warnings == ()


@pytest.mark.parametrize(
    "kind", [Failover, TimeoutOverrides, Price, Budget, Activation, RouteRule, Condition]
)
def test_a_number_of_seconds_tokens_or_money_has_its_unit(kind: type[msgspec.Struct]) -> None:
    numbers = [
        name
        for name, about in FIELDS[kind.__name__].items()
        if isinstance(about.example, int | float) and not isinstance(about.example, bool)
    ]
    assert [name for name in numbers if not FIELDS[kind.__name__][name].unit] == []


def test_a_protocol_is_demanded_of_everything_but_the_demo() -> None:
    upstream = SCHEMA["$defs"]["Upstream"]
    assert upstream["required"] == ["name", "base_url"]
    assert (upstream["if"], upstream["else"]) == (
        {"properties": {"base_url": {"const": "demo:"}}},
        {"required": ["protocol"]},
    )
    assert "default" not in upstream["properties"]["protocol"]


def test_words_are_offered_where_only_some_are_allowed() -> None:
    upstream = SCHEMA["$defs"]["Upstream"]["properties"]
    assert upstream["protocol"]["enum"] == ["chat", "messages", "responses"]
    assert upstream["role"]["enum"] == ["backup", "primary", "rescue"]
    assert SCHEMA["$defs"]["Failover"]["properties"]["on_status"]["additionalProperties"]["enum"] == [
        "rescue",
        "retry",
        "return",
        "switch",
    ]


def test_capabilities_are_offered_by_name() -> None:
    capabilities = SCHEMA["$defs"]["Capabilities"]
    assert set(capabilities["properties"]) == set(Capabilities.__struct_fields__)
    assert capabilities["additionalProperties"] is False
    assert SCHEMA["$defs"]["Upstream"]["properties"]["capabilities"]["$ref"] == "#/$defs/Capabilities"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "a b"),
        ("name", " "),
        ("key", ""),
        ("key", "k"),
        ("key", "sk-a b"),
        ("key", "env:NAME"),
        ("key", " k"),
        ("key", "schlüssel"),
        ("base_url", "demo:"),
        ("base_url", "https://h/v1?x=1"),
        ("base_url", "http://[::1]:8000"),
        ("base_url", "h/v1"),
        ("base_url", "ftp://h"),
        ("base_url", "https://h /v1"),
        ("hours", ""),
        ("hours", "8:00-24:00"),
        ("hours", "22:00 - 06:00"),
        ("hours", "08:00"),
        ("hours", "24:00-08:00"),
        ("hours", "08:60-09:00"),
        ("proxy", ""),
        ("proxy", "socks5://user:word@h:1080"),
        ("proxy", "h:1080"),
        ("activation", "08:30"),
        ("activation", "8:30"),
        ("activation", "soon"),
    ],
)
def test_an_editor_refuses_what_the_reader_refuses(field: str, value: str) -> None:
    kind, name = ("Activation", "at") if field == "activation" else ("Upstream", field)
    entry: dict[str, Any] = {"name": "a", "base_url": "https://h", "protocol": "chat"}
    entry[field] = {"at": value} if field == "activation" else value
    assert (re.search(PATTERNS[kind][name], value) is not None) == is_read(entry)


@pytest.mark.parametrize("text", ["", " ", "\n", "x", " 负载过高 "])
def test_an_editor_refuses_an_empty_text_to_match(text: str) -> None:
    rule = {"match": text, "action": "switch"}
    assert (re.search(PATTERNS["TextRule"]["match"], text) is not None) == is_valid(
        {"failover": {"on_text": [rule]}}
    )


def is_read(entry: dict[str, Any]) -> bool:
    return is_valid({"upstreams": [entry]})


def is_valid(document: dict[str, Any]) -> bool:
    try:
        parse(document)
    except SettingsError:
        return False
    return True


def test_an_entry_has_one_key_or_several() -> None:
    offered = SCHEMA["$defs"]["Upstream"]
    assert offered["not"] == {"required": ["key", "keys"], "properties": {"key": {"minLength": 1}}}
    assert offered["properties"]["keys"].items() >= {"minItems": 1, "uniqueItems": True}.items()
    assert "default" not in offered["properties"]["keys"]
