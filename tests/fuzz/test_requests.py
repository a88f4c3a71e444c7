"""Any request of a client is decoded or refused: no other exception, and never much time."""

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.estimate import estimate_tokens
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.passthrough.model_name import rewrite_model_name
from switchyard.protocols.request_summary import read_request_summary
from tests.fuzz.material import REQUESTS, damaged, fuzzed, grows_linearly, nested, octets, quickly, values
from tests.protocols.repair.repairing import repair_request

TARGET = Target("sent", "issuer", Capabilities())
SWITCHED_OFF: Any = {
    name: False for name, kind in Capabilities.__annotations__.items() if kind in (bool, "bool")
}
PLAIN = Target("sent", "issuer", Capabilities(**SWITCHED_OFF))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@fuzzed
@given(st.data())
def test_a_request_is_decoded_or_refused_and_a_decoded_one_can_be_encoded(
    protocol: ProtocolName, data: st.DataObject
) -> None:
    body = data.draw(octets(damaged(REQUESTS[protocol])))
    with quickly():
        try:
            request = CODECS[protocol].decode_request(body)
        except BadRequest as refused:
            assert refused.message
            return
        estimate_tokens(request)
        for codec in CODECS.values():
            for target in (TARGET, PLAIN):
                with suppress(BadRequest):
                    msgspec.json.decode(codec.encode_request(request, target).body)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@fuzzed
@given(st.data())
def test_a_repair_changes_a_body_or_leaves_it(protocol: ProtocolName, data: st.DataObject) -> None:
    document = data.draw(damaged(REQUESTS[protocol]).filter(lambda value: isinstance(value, dict)))
    for target in (TARGET, PLAIN):
        with quickly(), suppress(BadRequest):
            repair_request(protocol, json.loads(json.dumps(document)), target)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@fuzzed
@given(st.data())
def test_the_request_summary_is_read_or_refused(protocol: ProtocolName, data: st.DataObject) -> None:
    body = data.draw(octets(damaged(REQUESTS[protocol]) | values))
    with suppress(BadRequest):
        summary = read_request_summary(protocol, body, {})
        assert summary.model and len(summary.session) <= 200


@fuzzed
@given(
    octets(st.dictionaries(st.sampled_from(["model", "mod\u0065l", "a", "b"]), values, max_size=5)), st.text()
)
def test_the_model_name_rewrite_changes_nothing_else(body: bytes, model: str) -> None:
    try:
        before = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if isinstance(before, dict) and not isinstance(before.get("model", ""), str):
        return  # not sent
    model = model.encode("utf-8", "replace").decode()
    after = msgspec.json.decode(rewrite_model_name(body, model))

    assert after == (before | {"model": model} if isinstance(before, dict) and "model" in before else before)


@pytest.mark.parametrize("depth", [100, 400, 700, 850, 900, 950, 990, 5000, 100_000])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_deep_nesting_is_refused_or_understood(protocol: ProtocolName, depth: int) -> None:
    schema = b'{"a":' * depth + b"1" + b"}" * depth
    tool = b'{"type":"function","name":"t","input_schema":%b,"parameters":%b,'
    tool += b'"function":{"name":"t","parameters":%b}}'
    body = (
        b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"}],"input":"x","tools":[%b]}'
        % (tool % (schema, schema, schema))
    )
    with quickly(), suppress(BadRequest, RecursionError):
        read_request_summary(protocol, body, {})
        CODECS[protocol].encode_request(CODECS[protocol].decode_request(body), TARGET)
    assert nested(3) == {"properties": [{"properties": 1}]}


GROWING = {
    "messages": b'{"role":"user","content":[{"type":"text","text":"x"},'
    b'{"type":"tool_result","tool_use_id":"t","content":"y"}]}',
    "chat": b'{"role":"assistant","content":"x",'
    b'"tool_calls":[{"id":"t","type":"function","function":{"name":"n","arguments":"{}"}}]},'
    b'{"role":"tool","tool_call_id":"t","content":"y"}',
    "responses": b'{"type":"function_call","call_id":"t","name":"n","arguments":"{}"},'
    b'{"type":"function_call_output","call_id":"t","output":"y"}',
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("sent", PROTOCOLS)
def test_time_grows_with_the_length_of_a_conversation_and_no_faster(
    protocol: ProtocolName, sent: ProtocolName
) -> None:
    def convert(count: int) -> None:
        turns = b",".join([GROWING[protocol]] * count)
        body = b'{"model":"m","max_tokens":5,"messages":[%b],"input":[%b]}' % (turns, turns)
        with suppress(BadRequest):
            CODECS[sent].encode_request(CODECS[protocol].decode_request(body), TARGET)

    grows_linearly(convert, 300)


def test_time_for_the_model_name_rewrite_grows_with_the_body_and_no_faster() -> None:
    member = b'{"model":"q"},'
    grows_linearly(
        lambda count: rewrite_model_name(b'{"x":[' + member * count + b'1],"model":"a"}', "new"), 20_000
    )
    grows_linearly(
        lambda count: rewrite_model_name(b'{"x":"' + b'\\"model\\":' * count + b'","model":"a"}', "new"),
        20_000,
    )
