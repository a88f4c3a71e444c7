"""The effort and the limit that a rule sets, in each protocol; everything else stays as it is."""

import json
from typing import Any

import pytest

from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import Effort
from switchyard.protocols.request_changes import with_changes

TURN = {"role": "system", "content": "x", "output_config": {"effort": "max"}}
WITH_MORE = {"role": "system", "content": "x", "output_config": {"effort": "max", "y": 1}}
SAID = {"role": "user", "content": "x"}


@pytest.mark.parametrize(
    ("protocol", "effort", "given", "expected"),
    [
        ("messages", "high", {}, {"output_config": {"effort": "high"}}),
        ("messages", "minimal", {"output_config": {"x": 1}}, {"output_config": {"x": 1, "effort": "low"}}),
        (
            "messages",
            "none",
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            {"thinking": {"type": "disabled"}, "output_config": {}},
        ),
        (
            "messages",
            "low",
            {"messages": [TURN, SAID, WITH_MORE]},
            {
                "messages": [{"role": "system", "content": "x"}, SAID, WITH_MORE | {"output_config": {"y": 1}}],
                "output_config": {"effort": "low"},
            },
        ),
        ("messages", "low", {"x": "output_config"}, {"x": "output_config", "output_config": {"effort": "low"}}),
        ("chat", "high", {"reasoning_effort": "low"}, {"reasoning_effort": "high"}),
        ("responses", "none", {"reasoning": {"summary": "auto"}}, {"reasoning": {"summary": "auto", "effort": "none"}}),
        ("responses", "low", {"reasoning": 5}, {"reasoning": {"effort": "low"}}),
    ],
)  # fmt: skip
def test_an_effort_is_set(
    protocol: ProtocolName, effort: Effort, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert json.loads(with_changes(protocol, json.dumps(given).encode(), effort, None)) == expected


@pytest.mark.parametrize(
    ("protocol", "given", "name"),
    [
        ("messages", {"max_tokens": 128000}, "max_tokens"),
        ("chat", {"max_tokens": 9}, "max_tokens"),
        ("chat", {"max_completion_tokens": 9}, "max_completion_tokens"),
        ("chat", {}, "max_completion_tokens"),
        ("responses", {}, "max_output_tokens"),
    ],
)
def test_a_limit_is_set(protocol: ProtocolName, given: dict[str, Any], name: str) -> None:
    assert json.loads(with_changes(protocol, json.dumps(given).encode(), None, 500)) == {name: 500}


def test_without_changes_the_bytes_stay() -> None:
    assert with_changes("chat", b'{ "model": "m" }', None, None) == b'{ "model": "m" }'
