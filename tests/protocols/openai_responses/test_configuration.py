"""Items that change the settings of a conversation, as Codex sends them to a provider named `OpenAI`."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import convert_request
from switchyard.protocols.facts import BODY_FACTS
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.read_facts import read_facts
from switchyard.protocols.request_summary import read_request_summary
from tests.protocols.repair.repairing import repair_request
from tests.protocols.test_nine_pairs import CHECK_REQUEST

Body = dict[str, Any]

USER = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes"}]}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FORMAT = {"type": "json_schema", "name": "answer", "schema": SCHEMA}


def update(**settings: Any) -> Body:
    return {"type": "configuration_update", "id": "cu_1", **settings}


def effort(named: str | None) -> Body:
    return update(reasoning={"effort": named})


def request(*items: Body, **fields: Any) -> Body:
    return {"model": "m", "input": [USER, *items], **fields}


def sent(upstream: ProtocolName, body: Body) -> tuple[Body, list[str]]:
    """What the upstream gets, and the fields that are lost."""
    decoded = CODECS["responses"].decode_request(msgspec.json.encode(body))
    converted = convert_request(decoded, CODECS[upstream], Target("m", "issuer", Capabilities()))
    encoded = msgspec.json.decode(converted.body)
    CHECK_REQUEST[upstream](encoded)
    return encoded, [loss.field for loss in (*decoded.losses, *converted.losses)]


def effort_in(upstream: ProtocolName, body: Body) -> Any:
    if upstream == "messages":
        return body.get("output_config", {}).get("effort")
    return body.get("reasoning_effort") if upstream == "chat" else body.get("reasoning", {}).get("effort")


LOW = {"reasoning": {"effort": "low", "summary": "auto"}}
EFFORTS: list[tuple[Body, str | None]] = [
    (request(effort("low"), SAID, USER, effort("high"), **LOW), "high"),
    (request(effort("high"), SAID, USER, effort("medium"), SAID, USER, **LOW), "medium"),
    (request(effort("high")), "high"),
    (request(effort("high"), update(text={"format": {"type": "text"}}), **LOW), "high"),
    (request(update(text={"format": {"type": "text"}}), **LOW), "low"),
    (request(effort(None), **LOW), None),
]


@pytest.mark.parametrize("upstream", ["messages", "chat", "responses"])
@pytest.mark.parametrize(("body", "expected"), EFFORTS)
def test_the_last_effort_of_the_conversation_is_that_of_the_request(
    upstream: ProtocolName, body: Body, expected: str | None
) -> None:
    encoded, lost = sent(upstream, body)
    assert (effort_in(upstream, encoded), lost) == (expected, [])


def test_the_last_format_of_the_conversation_is_that_of_the_answer() -> None:
    wanted = update(text={"format": FORMAT})
    body, lost = sent("chat", request(wanted, SAID, USER, text={"verbosity": "low"}))
    assert body["response_format"]["json_schema"]["schema"] == SCHEMA
    assert (body["verbosity"], lost) == ("low", [])
    plain = update(text={"format": {"type": "text"}})
    body, _ = sent("chat", request(wanted, SAID, plain, USER))
    assert "response_format" not in body


def test_an_effort_that_no_upstream_knows_is_reported() -> None:
    _, lost = sent("chat", request(effort("gigantic"), **LOW))
    assert lost == ["reasoning.effort"]


@pytest.mark.parametrize(
    ("body", "thinking", "named"),
    [
        (request(effort("high"), **LOW), True, "high"),
        (request(effort("none"), **LOW), False, "none"),
        (request(effort("high")), True, "high"),
        (request(**LOW), True, "low"),
    ],
)
def test_rules_see_the_effort_of_the_turn(body: Body, thinking: bool, named: str) -> None:
    raw = msgspec.json.encode(body)
    summary = read_request_summary("responses", raw, {})
    found = read_facts("responses", summary, {}, raw, BODY_FACTS)
    assert (found.thinking, found.effort) == (thinking, named)


def test_an_upstream_without_efforts_gets_no_items() -> None:
    given = request(effort("high"), SAID, USER, **LOW)
    repair_request("responses", given, Target("m", "issuer", Capabilities(reasoning_effort="none")))
    assert given == request(SAID, USER)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        (Capabilities(), None),
        (Capabilities(effort_in_messages=False), {"effort": "max", "summary": "auto"}),
        (Capabilities(efforts=("low", "high")), {"effort": "high", "summary": "auto"}),
        (Capabilities(reasoning_effort="adaptive"), None),
    ],
)
def test_an_upstream_gets_the_items_unless_it_does_not_take_them(
    capabilities: Capabilities, expected: Body | None
) -> None:
    body = request(effort("high"), SAID, USER, effort("max"), **LOW)
    given = msgspec.json.decode(msgspec.json.encode(body))
    changed = repair_request("responses", given, Target("m", "issuer", capabilities))
    if expected is None:
        assert (changed, given) == (False, body)
    else:
        assert (changed, given) == (True, request(SAID, USER, reasoning=expected))
