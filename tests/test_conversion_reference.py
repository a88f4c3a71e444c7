"""`docs/conversion.md` is the tables of the codecs, and the tables are what the codecs do."""

from typing import Any

import msgspec
import pytest

from scripts.conversion_reference import FIELDS, INTERNAL, MEANINGS, PAGE, page
from switchyard.protocols import neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.fields import Field
from switchyard.protocols.names import PROTOCOLS, ProtocolName

ROWS = [(protocol, field) for protocol in PROTOCOLS for field in FIELDS[protocol]]
VALUES: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.5,
    "top_k": 5,
    "seed": 5,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "logit_bias": {"5": 1},
    "logprobs": 5,
    "verbosity": "low",
    "session_id": "s",
    "user_id": "u",
    "service_tier": "default",
    "metadata": {"a": "b"},
    "output_format": neutral.OutputFormat("json_schema", schema={"type": "object"}),
}
"""a value of each part of the neutral request that the tables encode"""


def test_the_page_is_what_the_tables_make_of_it() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python scripts/conversion_reference.py"


def test_every_part_of_a_request_is_on_the_page() -> None:
    assert set(MEANINGS) == set(neutral.Request.__struct_fields__) - INTERNAL


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_part_of_a_request_has_a_row_in_every_table(protocol: ProtocolName) -> None:
    missing = set(MEANINGS) - {field.name for field in FIELDS[protocol]}
    assert not missing, "neither a member of the protocol nor a loss"


@pytest.mark.parametrize(("protocol", "field"), ROWS)
def test_a_row_names_what_exists(protocol: ProtocolName, field: Field) -> None:
    assert field.name in ("", *neutral.Request.__struct_fields__)
    assert field.needs in ("", *Capabilities.__struct_fields__)


ENCODED = [
    (protocol, field) for protocol, field in ROWS if field.name in VALUES and (field.encode or not field.wire)
]


@pytest.mark.parametrize(("protocol", "field"), ENCODED)
def test_what_is_not_sent_is_lost_as_the_row_tells(protocol: ProtocolName, field: Field) -> None:
    lacking: dict[str, Any] = {field.needs: False} if field.needs else {}
    can = Capabilities(**lacking)
    sent, losses = _sent(protocol, field, can)
    if not field.needs and field.wire:
        assert _member(sent, field.wire) is not None and losses == []
    else:
        assert not field.wire or _member(sent, field.wire) is None
        assert losses == ([neutral.Loss(field.name, field.loss)] if field.loss else [])


def _sent(
    protocol: ProtocolName, field: Field, can: Capabilities
) -> tuple[dict[str, Any], list[neutral.Loss]]:
    conversation = (neutral.Message("user", (neutral.Text("hi"),)),)
    request = neutral.Request("m", conversation, **{field.name: VALUES[field.name]})
    sent = CODECS[protocol].encode_request(request, Target("m", "", can))
    return msgspec.json.decode(sent.body), list(sent.losses)


def _member(body: dict[str, Any], wire: str) -> Any:
    for name in wire.split("."):
        body = body.get(name) or {}
    return body or None


@pytest.mark.parametrize(("protocol", "field"), [row for row in ROWS if row[1].stays_behind])
def test_a_member_that_stays_behind_is_a_loss(protocol: ProtocolName, field: Field) -> None:
    assert _decoded(protocol, field.wire, "x").losses == (neutral.Loss(field.wire, field.loss),)
    assert all(_decoded(protocol, field.wire, idle).losses == () for idle in field.idle)


@pytest.mark.parametrize(("protocol", "field"), [row for row in ROWS if row[1].is_refused])
def test_a_member_that_would_change_the_answer_is_refused(protocol: ProtocolName, field: Field) -> None:
    with pytest.raises(BadRequest):
        _decoded(protocol, field.wire, 2 if field.wire == "n" else "x")


@pytest.mark.parametrize(
    ("protocol", "field"), [row for row in ROWS if row[1] == Field(row[1].wire, note=row[1].note)]
)
def test_a_member_that_is_only_a_hint_is_left_out_silently(protocol: ProtocolName, field: Field) -> None:
    assert _decoded(protocol, field.wire, "x").losses == ()


def _decoded(protocol: ProtocolName, wire: str, value: object) -> neutral.Request:
    name, _, inner = wire.partition(".")
    conversation = (
        {"input": "hi"} if protocol == "responses" else {"messages": [{"role": "user", "content": "hi"}]}
    )
    member = {name: {inner: value} if inner else value}
    return CODECS[protocol].decode_request(msgspec.json.encode({"model": "m", **conversation, **member}))
