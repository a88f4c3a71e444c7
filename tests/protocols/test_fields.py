"""One row is all that a field takes: how the tables of fields are decoded and encoded."""

from typing import Any

import pytest

from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.fields import (
    NOT_WITH_THINKING,
    NOWHERE_ELSE,
    Field,
    Table,
    decode_fields,
    encode_fields,
    integer,
    lost_fields,
    number,
    same,
    warmth,
    word,
)
from switchyard.protocols.neutral import Loss

TABLE = Table(
    Field("heat.value", "temperature", number, warmth, needs="sampling", loss="too hot"),
    Field("limit", "max_tokens", integer),
    Field("old_limit", "max_tokens", integer),
    Field("id", "user_id", word, same, needs="openai_extras"),
    Field("tier", "service_tier", word, same, loss="no tiers", idle=("auto",)),
    Field("", "seed", loss="no seeds"),
    Field("here_only", loss="nobody takes it", idle=("off",)),
    Field("hint"),
    Field("heat.unit"),
    Field("whole", "metadata", lambda value, _: value),
    Field("whole.part", loss="only here", idle=("off",)),
)

DECODED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"heat": {"value": 0.5}}, {"temperature": 0.5}),
    ({"heat": 0.5}, {}),
    ({"limit": 5, "old_limit": 9}, {"max_tokens": 5}),
    ({"limit": None, "old_limit": 9.0}, {"max_tokens": 9}),
    ({"id": 17, "tier": ""}, {}),
    ({"here_only": "x", "hint": "x", "sparkle": 1}, {}),
]


@pytest.mark.parametrize(("body", "parts"), DECODED)
def test_a_row_decodes_its_member(body: dict[str, Any], parts: dict[str, Any]) -> None:
    assert decode_fields(TABLE, body) == parts


@pytest.mark.parametrize(
    ("body", "path"),
    [({"heat": {"value": "hot"}}, "heat.value"), ({"limit": 5.5}, "limit"), ({"limit": True}, "limit")],
)
def test_a_value_of_another_type_is_refused_with_its_path(body: dict[str, Any], path: str) -> None:
    with pytest.raises(BadRequest) as refused:
        decode_fields(TABLE, body)
    assert refused.value.param == path and refused.value.message.startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("body", "losses"),
    [
        ({"here_only": "on"}, [Loss("here_only", "nobody takes it")]),
        ({"here_only": "off"}, []),
        ({"sparkle": 1}, [Loss("sparkle", NOWHERE_ELSE)]),
        ({"sparkle": [], "glitter": None, "shine": False}, []),
        ({"hint": "x", "heat": {"value": 1}, "limit": 5}, []),
        ({"heat": {"value": 1, "unit": "K", "glow": True}}, [Loss("heat.glow", NOWHERE_ELSE)]),
        ({"heat": {"glow": False, "shine": None}}, []),
        ({"whole": {"part": "on", "other": 1}}, [Loss("whole.part", "only here")]),
        ({"whole": {"part": "off"}}, []),
    ],
)
def test_what_no_other_protocol_can_carry_is_a_loss(body: dict[str, Any], losses: list[Loss]) -> None:
    assert lost_fields(TABLE, body) == losses


ENCODED: list[tuple[dict[str, Any], Capabilities, dict[str, Any], list[Loss]]] = [
    ({"temperature": 1.5}, Capabilities(max_temperature=1), {"heat": {"value": 1}}, []),
    ({"temperature": 0}, Capabilities(), {"heat": {"value": 0}}, []),
    ({"temperature": 1.5}, Capabilities(sampling=False), {}, [Loss("temperature", "too hot")]),
    ({"user_id": "u"}, Capabilities(), {"id": "u"}, []),
    ({"user_id": "u"}, Capabilities(openai_extras=False), {}, []),
    ({"service_tier": "flex"}, Capabilities(), {"tier": "flex"}, []),
    ({"service_tier": "auto"}, Capabilities(), {}, []),
    ({"seed": 5}, Capabilities(), {}, [Loss("seed", "no seeds")]),
    ({"max_tokens": 5}, Capabilities(), {}, []),
]


@pytest.mark.parametrize(("parts", "capabilities", "body", "losses"), ENCODED)
def test_a_row_encodes_its_part_or_states_its_loss(
    parts: dict[str, Any], capabilities: Capabilities, body: dict[str, Any], losses: list[Loss]
) -> None:
    lost: list[Loss] = []
    assert encode_fields(TABLE, neutral.Request("m", (), **parts), capabilities, lost) == body
    assert lost == losses


def test_a_part_that_this_request_cannot_set_is_a_loss() -> None:
    lost: list[Loss] = []
    request = neutral.Request("m", (), temperature=1, user_id="u")
    assert encode_fields(TABLE, request, Capabilities(), lost, without=("temperature",)) == {"id": "u"}
    assert lost == [Loss("temperature", NOT_WITH_THINKING)]
