"""Unknown fields are shown without their values, and keep those when the shown document comes back."""

from typing import Any

import pytest

from switchyard.settings import Settings, Upstream
from switchyard.unknown_fields import with_unknown, without_unknown

MASK = "***"


def shown(kind: Any, value: Any) -> Any:
    return without_unknown(kind, value, lambda _: MASK)


STORED: dict[str, Any] = {
    "timeouts": {"idle": 9, "kye": "sk-1"},
    "model_rules": [
        {"from": "a", "to": "x", "kye": "sk-2"},
        {"from": "b", "to": "x"},
        {"from": "c", "to": "x", "kye": "sk-3", "pin": 4},
    ],
    "prices": {
        "gpt*": {"input": 1, "output": 2, "kye": "sk-5"},
        "claude*": {"input": 3, "output": 4, "pin": 6},
    },
    "kye": {"sk-7": "laptop"},
}


def test_what_comes_back_as_it_was_shown_is_what_was_stored() -> None:
    assert "sk-" not in str(shown(Settings, STORED))
    assert with_unknown(Settings, shown(Settings, STORED), STORED, MASK) == STORED


RULES, PRICES = STORED["model_rules"], STORED["prices"]
EDITS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"timeouts": {"connect": 5}}, {"timeouts": {"connect": 5, "kye": "sk-1"}}),
    ({"timeouts": {"idle": 9, "kye": None}}, {"timeouts": {"idle": 9}}),
    ({"timeouts": {"kye": "new", "more": MASK}}, {"timeouts": {"kye": "new", "more": MASK}}),
    ({"timeouts": "wrong"}, {"timeouts": "wrong"}),
    ({"model_rules": RULES[::-1]}, {"model_rules": RULES[::-1]}),
    (
        {"model_rules": [{"from": "c", "to": "y", "kye": MASK, "pin": MASK}, {"from": "a", "to": "x", "kye": MASK}]},
        {"model_rules": [{"from": "c", "to": "y", "kye": "sk-3", "pin": 4}, RULES[0]]},
    ),
    ({"model_rules": [{"from": "new", "to": "x"}]}, {"model_rules": [{"from": "new", "to": "x"}]}),
    ({"model_rules": [5, None, {"from": "b", "to": "x"}]}, {"model_rules": [5, None, RULES[1]]}),
    (
        {"prices": {"gpt-6*": {"input": 1, "output": 2, "kye": MASK}, "claude*": {"input": 9, "output": 4}}},
        {"prices": {"gpt-6*": PRICES["gpt*"], "claude*": {"input": 9, "output": 4, "pin": 6}}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "expected"), EDITS)
def test_an_edit_keeps_what_was_not_shown(edit: dict[str, Any], expected: dict[str, Any]) -> None:
    whole = with_unknown(Settings, {**shown(Settings, STORED), **edit}, STORED, MASK)
    assert whole == {**STORED, **expected}


def test_what_is_not_stored_stays_as_it_is_sent() -> None:
    entry = {"name": "a", "base_url": "http://h", "kye": MASK, "models": {"a": "b"}, "capabilities": {"x": 1}}
    for stored in ({}, {"models": ["a"], "capabilities": []}, None, 5):
        assert with_unknown(Upstream, entry, stored, MASK) == entry
