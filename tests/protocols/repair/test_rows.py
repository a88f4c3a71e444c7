"""How rows are chosen and applied."""

from typing import Any

import pytest

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import Target
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.repair.refused import DropPaths
from switchyard.protocols.repair.rows import Cap, Change, Clamp, Drop, Rename, Row
from switchyard.protocols.repair.tables import TABLES
from tests.protocols.repair.repairing import repair_request

EVERY_ROW = [(protocol, row) for protocol in PROTOCOLS for row in TABLES[protocol].rows]


def target(**capabilities: Any) -> Target:
    return Target("m", "issuer", Capabilities(**capabilities))


@pytest.mark.parametrize(("protocol", "row"), EVERY_ROW)
def test_every_row_looks_at_capabilities_that_exist(protocol: ProtocolName, row: Row) -> None:
    assert set(row.looks_at) <= set(Capabilities.__struct_fields__)
    assert row.applies(Capabilities()) == (not row.looks_at)


@pytest.mark.parametrize(("effort", "applies"), [("effort", False), ("budget", False), ("none", True)])
def test_a_row_with_a_value_applies_where_the_capability_has_it(effort: str, applies: bool) -> None:
    row = Drop(members=("a",), looks_at=("reasoning_effort",), value="none")
    assert row.applies(target(reasoning_effort=effort).capabilities) == applies


@pytest.mark.parametrize(
    ("row", "capabilities", "body", "expected"),
    [
        (Drop(members=("a", "b"), looks_at=("sampling",)), {"sampling": False}, {"a": 1, "c": 2}, {"c": 2}),
        (DropPaths(), {"dropped_fields": ("a", "x")}, {"a": 1}, {}),
        (
            Rename(old="max_tokens", new="max_completion_tokens", looks_at=("max_tokens_field",)),
            {"max_tokens_field": "max_completion_tokens"},
            {"max_tokens": 1},
            {"max_completion_tokens": 1},
        ),
        (Cap(members=("a", "b")), {"max_output_tokens": 5}, {"a": 9, "b": "9"}, {"a": 5, "b": "9"}),
        (Clamp(member="a"), {"efforts": ("low", "high")}, {"a": "max"}, {"a": "high"}),
        (Clamp(member="a"), {"efforts": ("none",)}, {"a": "max"}, {}),
        (
            Clamp(member="a", inside="b"),
            {"efforts": ("low",)},
            {"a": {"b": "max", "c": 1}},
            {"a": {"b": "low", "c": 1}},
        ),
        (Clamp(member="a", inside="b"), {"efforts": ("none",)}, {"a": {"b": "max"}}, {}),
        (Clamp(member="a", inside="b"), {"efforts": ("low",)}, {"a": "max"}, {"a": "max"}),
    ],
)
def test_a_row_changes_what_it_is_for(
    row: Row, capabilities: dict[str, Any], body: dict[str, Any], expected: dict[str, Any]
) -> None:
    row.change(body, target(**capabilities))
    assert body == expected


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("refused", ["temperature", "parallel_tool_calls", "top_p"])
def test_a_field_that_two_rows_drop_is_dropped_once(protocol: ProtocolName, refused: str) -> None:
    body = {"model": "m", refused: 1}
    plain = target(sampling=False, parallel_tool_calls=False, dropped_fields=(refused,))
    assert repair_request(protocol, body, plain) is True
    assert body == {"model": "m"}


def test_a_row_that_an_earlier_one_makes_necessary_is_applied() -> None:
    body: dict[str, Any] = {
        "messages": [{"role": "assistant", "content": "a"}],
        "response_format": {"type": "json_schema", "json_schema": {"schema": {}}},
    }
    plain = target(json_schema=False, reasoning_history="required")
    repair_request("chat", body, plain)
    assert [message["role"] for message in body["messages"]] == ["system", "assistant"]


def test_no_change_stands_in_two_rows() -> None:
    rows = {id(row): row for _, row in EVERY_ROW if isinstance(row, Change)}.values()
    assert len({row.by for row in rows}) == len(rows)
