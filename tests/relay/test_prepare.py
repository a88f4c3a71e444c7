"""The client's request as one upstream gets it."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from switchyard.protocols import carrier
from switchyard.protocols.client_program import ClientProgram
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.message_memory import MessageMemory
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.request_summary import read_request_summary
from switchyard.relay.prepare import Preparation, Prepared, issuer_of, protocol_for, target_for
from switchyard.relay.values import ClientRequest
from switchyard.routing.lineup import Candidate
from switchyard.settings import Upstream
from tests.protocols.validators import check_chat_request, check_messages_request, check_responses_request

CHECKS = {
    "messages": check_messages_request,
    "chat": check_chat_request,
    "responses": check_responses_request,
}
BODIES: dict[ProtocolName, bytes] = {
    "messages": b'{ "model": "asked",  "max_tokens":9000,"messages":[{"role":"user","content":"Hi"}] , "odd":1.0}',
    "chat": b'{ "model": "asked",  "messages":[{"role":"user","content":"Hi"}] , "odd":1.0}',
    "responses": b'{ "model": "asked",  "input":[{"role":"user","content":"Hi"}] , "odd":1.0}',
}
PROTOCOLS: tuple[ProtocolName, ...] = ("messages", "chat", "responses")


def entry(protocol: ProtocolName, **more: Any) -> Upstream:
    return Upstream(name="u", base_url="https://h.example/v1", protocol=protocol, **more)


def candidate(upstream: Upstream, model: str = "sent", thinking: bool = False) -> Candidate:
    return Candidate(upstream=upstream, model=model, why="primary", thinking=thinking)


def prepared(
    client: ProtocolName,
    body: bytes,
    chosen: Candidate,
    stripped: frozenset[str] | None = frozenset(),
    learned: dict[str, Any] | None = None,
    **more: Any,
) -> Prepared:
    request = ClientRequest(client, body, read_request_summary(client, body, {}), [], **more)
    protocol = protocol_for(chosen.upstream, client)
    return Preparation(request, CODECS).prepare(chosen, target_for(chosen, protocol, learned or {}), stripped)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_only_the_model_changes_in_a_request_that_passes_through(protocol: ProtocolName) -> None:
    # a Chat upstream of the vendor itself: relays get fewer fields
    chosen = candidate(entry(protocol, capabilities={}))
    sent = prepared(protocol, BODIES[protocol], chosen)
    assert sent.body == BODIES[protocol].replace(b'"asked"', b'"sent"')
    assert (sent.sent, sent.request, sent.losses) == (None, None, ())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_an_upstream_of_the_same_protocol_does_not_get_is_a_loss(protocol: ProtocolName) -> None:
    body = BODIES[protocol].replace(b'"odd"', b'"temperature":0.5,"odd"')
    sent = prepared(protocol, body, candidate(entry(protocol, capabilities={"sampling": False})))
    assert [loss.field for loss in sent.losses] == ["temperature"]


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("spoken", PROTOCOLS)
def test_every_pair_gives_a_valid_request_with_an_estimate(
    client: ProtocolName, spoken: ProtocolName
) -> None:
    sent = prepared(client, BODIES[client], candidate(entry(spoken)))
    document = msgspec.json.decode(sent.body)
    CHECKS[spoken](document)
    assert document["model"] == "sent"
    assert sent.protocol == spoken
    assert sent.input_estimate > 0
    assert (sent.sent is None) == (client == spoken)


@pytest.mark.parametrize(
    "options", [b"", b'"stream_options":null,', b'"stream_options":{"include_usage":false},']
)
@pytest.mark.parametrize("capabilities", [{}, {"stream_only": True}])
def test_usage_is_asked_for_once(capabilities: dict[str, Any], options: bytes) -> None:
    body = BODIES["chat"].replace(b'"odd"', b'"stream":true,' + options + b'"odd"')
    sent = prepared("chat", body, candidate(entry("chat", capabilities=capabilities)))
    assert sent.body.count(b'"stream_options"') == 1
    assert msgspec.json.decode(sent.body)["stream_options"] == {"include_usage": True}
    if not options and not capabilities:
        asked = sent.body.replace(b'"stream_options":{"include_usage":true},', b"", 1)
        assert asked == body.replace(b'"asked"', b'"sent"')


def test_usage_is_asked_of_a_chat_upstream_and_hidden_from_the_client() -> None:
    sent = prepared(
        "chat", BODIES["chat"].replace(b'"odd"', b'"stream":true,"odd"'), candidate(entry("chat"))
    )
    assert msgspec.json.decode(sent.body)["stream_options"] == {"include_usage": True}
    assert sent.hide_usage


def test_a_request_is_decoded_at_most_once() -> None:
    body = BODIES["messages"]
    preparation = Preparation(
        ClientRequest("messages", body, read_request_summary("messages", body, {}), []), CODECS
    )
    assert preparation.decoded() is preparation.decoded()


def test_a_carrier_of_another_issuer_does_not_reach_an_upstream() -> None:
    seal = carrier.pack("thinking", "somebody", {"signature": "s"})
    document = {
        "model": "asked",
        "max_tokens": 100,
        "messages": [
            {"role": "user", "content": "a"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "T", "signature": seal},
                    {"type": "text", "text": "b"},
                ],
            },
            {"role": "user", "content": "c"},
        ],
    }
    sent = prepared("messages", msgspec.json.encode(document), candidate(entry("messages")))
    assert msgspec.json.decode(sent.body)["messages"][1]["content"] == [{"type": "text", "text": "b"}]


SIGNED = msgspec.json.encode(
    {
        "model": "asked",
        "max_tokens": 100,
        "messages": [
            {"role": "user", "content": "a"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "T", "signature": "own"},
                    {"type": "thinking", "thinking": "T", "signature": "theirs"},
                    {"type": "text", "text": "b"},
                ],
            },
            {"role": "user", "content": "c"},
        ],
    }
)


@pytest.mark.parametrize(
    ("stripped", "left"), [(frozenset(), ["own", "theirs"]), (frozenset({"theirs"}), ["own"]), (None, [])]
)
def test_foreign_thinking_is_stripped_from_a_request_that_passes_through(
    stripped: frozenset[str] | None, left: list[str]
) -> None:
    sent = prepared("messages", SIGNED, candidate(entry("messages")), stripped)
    blocks = msgspec.json.decode(sent.body)["messages"][1]["content"]
    assert [block["signature"] for block in blocks if block["type"] == "thinking"] == left


def test_nothing_is_encoded_anew_while_nothing_is_stripped() -> None:
    spaced = b" " + SIGNED
    assert prepared("messages", spaced, candidate(entry("messages"), "asked")).body == spaced


def test_what_was_learned_holds_and_the_file_is_stronger() -> None:
    body = BODIES["messages"].replace(b'"odd"', b'"temperature":0.5,"odd"')
    learned = {"sampling": False}
    refused = prepared("messages", body, candidate(entry("messages")), learned=learned)
    wanted = prepared(
        "messages", body, candidate(entry("messages", capabilities={"sampling": True})), learned=learned
    )
    assert (
        "temperature" in msgspec.json.decode(refused.body),
        "temperature" in msgspec.json.decode(wanted.body),
    ) == (
        False,
        True,
    )


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("spoken", PROTOCOLS)
def test_the_thinking_suffix_turns_thinking_on(client: ProtocolName, spoken: ProtocolName) -> None:
    sent = prepared(client, BODIES[client], candidate(entry(spoken), thinking=True))
    document = msgspec.json.decode(sent.body)
    CHECKS[spoken](document)
    words: dict[ProtocolName, Callable[[], bool]] = {
        "messages": lambda: document["thinking"]["type"] in ("enabled", "adaptive"),
        "chat": lambda: document["reasoning_effort"] == "high",
        "responses": lambda: document["reasoning"]["effort"] == "high",
    }
    assert words[spoken]()


def test_the_thinking_suffix_is_expressed_as_the_model_takes_it() -> None:
    efforts_only = candidate(entry("messages", capabilities={"thinking_budgets": False}), thinking=True)
    document = msgspec.json.decode(prepared("messages", BODIES["messages"], efforts_only).body)
    assert (document["thinking"], document["output_config"]) == ({"type": "adaptive"}, {"effort": "medium"})


def test_what_holds_for_this_request_is_stronger_than_the_file() -> None:
    reported = candidate(entry("messages", capabilities={"max_output_tokens": 8000}))
    assert target_for(reported, "messages", {"max_output_tokens": 9}).capabilities.max_output_tokens == 8000
    for_now = target_for(reported, "messages", {}, {"max_output_tokens": 9})
    assert for_now.capabilities.max_output_tokens == 9


def test_compaction_is_asked_as_a_summary_of_upstreams_that_cannot() -> None:
    body = msgspec.json.encode(
        {"model": "m", "input": [{"role": "user", "content": "Hi"}, {"type": "compaction_trigger"}]}
    )
    for spoken in PROTOCOLS:
        sent = prepared("responses", body, candidate(entry(spoken)), compacts=True)
        assert sent.sent is not None and sent.sent.compacts
        CHECKS[spoken](msgspec.json.decode(sent.body))
        assert b"compaction_trigger" not in sent.body
    own = prepared(
        "responses",
        body,
        candidate(entry("responses", capabilities={"compaction": True}), "m"),
        compacts=True,
    )
    assert (own.body, own.sent) == (body, None)


def test_a_request_without_messages_is_refused_for_another_protocol() -> None:
    with pytest.raises(BadRequest):
        prepared("messages", b'{"model":"m","max_tokens":5,"messages":"x"}', candidate(entry("chat")))


def test_entries_of_one_address_and_protocol_share_an_issuer() -> None:
    issuer = issuer_of("messages", "https://h.example/v1")
    assert issuer == issuer_of("messages", "https://h.example/v1/")
    assert issuer != issuer_of("responses", "https://h.example/v1")
    assert issuer != issuer_of("messages", "https://other.example/v1")


@pytest.mark.parametrize("client", PROTOCOLS)
def test_the_demo_speaks_what_the_client_does(client: ProtocolName) -> None:
    demo = Upstream(name="demo", base_url="demo:")
    assert prepared(client, BODIES[client], candidate(demo, "asked")).body == BODIES[client]


@pytest.mark.parametrize("number", ["1e999", "9" * 5000])
def test_a_body_that_cannot_be_repaired_is_the_clients_fault(number: str) -> None:
    marks = b'{"type":"text","text":"a","cache_control":{}},' * 5
    body = b'{"model":"asked","messages":[{"role":"user","content":[%b%b]}]}' % (marks, number.encode())
    with pytest.raises(BadRequest):
        prepared("messages", body, candidate(entry("messages")))


def test_a_number_out_of_range_is_left_to_the_upstream_where_nothing_needs_repair() -> None:
    body = b'{"model":"asked","messages":[{"role":"user","content":"Hi"}],"temperature":1e999}'
    assert prepared("messages", body, candidate(entry("messages"), "asked")).body == body


def test_a_responses_server_without_the_newer_items_gets_functions_alone() -> None:
    items = [
        {"role": "developer", "content": "D"},
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "raw"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "ok"},
    ]
    tools = [{"type": "custom", "name": "apply_patch", "description": "d"}, {"type": "web_search"}]
    body = msgspec.json.encode({"model": "m", "input": items, "tools": tools})
    plain = {"responses_items": False, "hosted_web_search": False}
    for compaction in (False, True):
        chosen = candidate(entry("responses", capabilities={**plain, "compaction": compaction}))
        document = msgspec.json.decode(prepared("responses", body, chosen).body)
        check_responses_request(document)
        assert [tool["type"] for tool in document["tools"]] == ["function"]
        assert (document["instructions"], document["input"][1:]) == (
            "D",
            [
                {
                    "type": "function_call",
                    "call_id": "c",
                    "name": "apply_patch",
                    "arguments": '{"input":"raw"}',
                },
                {"type": "function_call_output", "call_id": "c", "output": "ok"},
            ],
        )


ODD_LIMITS = (b'"a lot"', b"[]", b"{}", b"true", b"1.5", b"null")


@pytest.mark.parametrize("limit", ODD_LIMITS)
@pytest.mark.parametrize("client", PROTOCOLS)
def test_the_thinking_suffix_stands_beside_fields_of_any_shape(client: ProtocolName, limit: bytes) -> None:
    odd = b'"max_tokens":%b,"thinking":%b,"reasoning":%b' % (limit, limit, limit)
    body = BODIES[client].replace(b'"max_tokens":9000', b'"a":1').replace(b'"odd":1.0', odd)
    sent = prepared(client, body, candidate(entry(client), thinking=True))
    assert b'"thinking":{' in sent.body or b'"effort":"high"' in sent.body or b'_effort":"high"' in sent.body


def test_a_decoded_request_names_the_program_that_asks() -> None:
    body, headers = BODIES["responses"], {"originator": "codex_exec"}
    request = ClientRequest(
        "responses", body, read_request_summary("responses", body, headers), list(headers.items())
    )
    assert Preparation(request, CODECS).decoded().client is ClientProgram.CODEX


def turns(client: ProtocolName, texts: int) -> list[bytes]:
    """The bodies of three turns of one conversation with so many messages of a kilobyte before them."""
    history = [
        {"role": ("user", "assistant")[at % 2], "content": f"{at} " + "x" * 1000} for at in range(texts)
    ]
    named = "input" if client == "responses" else "messages"
    limit = {"max_tokens": 9} if client == "messages" else {}
    return [
        msgspec.json.encode({"model": "m", **limit, named: history[: len(history) - left]})
        for left in (4, 2, 0)
    ]


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("spoken", PROTOCOLS)
def test_later_turns_of_a_long_conversation_are_prepared_from_memory(
    client: ProtocolName, spoken: ProtocolName
) -> None:
    chosen, memory, sizes = candidate(entry(spoken)), MessageMemory(), []
    for body in turns(client, 100):
        request = ClientRequest(client, body, read_request_summary(client, body, {}), [])
        preparation = Preparation(request, CODECS, memory=memory)
        got = preparation.prepare(chosen, target_for(chosen, spoken, {}))
        assert got == prepared(client, body, chosen)
        sizes.append(memory.size)
    is_converted = client != spoken
    assert [0 < later - earlier < 15_000 for earlier, later in pairwise(sizes)] == [is_converted] * 2
    assert bool(sizes[0]) == is_converted


def test_a_short_request_leaves_nothing_in_memory() -> None:
    memory, body = MessageMemory(), turns("messages", 20)[-1]
    request = ClientRequest("messages", body, read_request_summary("messages", body, {}), [])
    Preparation(request, CODECS, memory=memory).prepare(
        candidate(entry("chat")), target_for(candidate(entry("chat")), "chat", {})
    )
    assert memory.size == 0
