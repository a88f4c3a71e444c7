"""Rules that hold for requests in every protocol, whichever codec decodes or encodes them."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols import carrier, neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest, SentRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import (
    Compaction,
    Document,
    HostedTool,
    Image,
    Message,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from switchyard.protocols.request_summary import read_request_summary

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
HELLO = Message("user", (Text("hi"),))
WEATHER = Tool("w", "d", {"type": "object", "properties": {}})


def body(protocol: ProtocolName, **more: Any) -> bytes:
    conversation = (
        {"input": "hi"} if protocol == "responses" else {"messages": [{"role": "user", "content": "hi"}]}
    )
    return msgspec.json.encode({"model": "m", **conversation, **more})


def decoded(protocol: ProtocolName, **more: Any) -> Request:
    return CODECS[protocol].decode_request(body(protocol, **more))


def sent(protocol: ProtocolName, request: Request, model: str = "m", **capabilities: Any) -> SentRequest:
    return CODECS[protocol].encode_request(request, Target(model, "issuer", Capabilities(**capabilities)))


def encoded(
    protocol: ProtocolName, request: Request, model: str = "m", **capabilities: Any
) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.json.decode(sent(protocol, request, model, **capabilities).body)
    return document


def asking(*messages: Message, **fields: Any) -> Request:
    return Request("m", messages or (HELLO,), **fields)


# --- decoded --------------------------------------------------------------------

SESSION = "0a1b2c3d-4e5f"
USER_IDS: list[object] = [
    f"user_ab_account__session_{SESSION}",
    f"session_{SESSION}",
    f'{{"session_id":"{SESSION}"}}',
    '{"session_id":17}',
    '{"session_id":',
    "someone",
    "user_session_" + "a" * 65,
    17,
]
SESSIONS: list[tuple[ProtocolName, dict[str, Any]]] = [
    *(("messages", {"metadata": {"user_id": user_id}}) for user_id in USER_IDS),
    ("chat", {"prompt_cache_key": SESSION}),
    ("chat", {"prompt_cache_key": 17}),
    ("responses", {"prompt_cache_key": SESSION}),
    ("responses", {"prompt_cache_key": 17}),
]


@pytest.mark.parametrize(("protocol", "fields"), SESSIONS)
def test_a_session_is_found_by_the_same_rule_for_routing_and_for_conversion(
    protocol: ProtocolName, fields: dict[str, Any]
) -> None:
    summary = read_request_summary(protocol, body(protocol, **fields), {})
    assert decoded(protocol, **fields).session_id == summary.session


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_field_that_nobody_knows_is_a_loss(protocol: ProtocolName) -> None:
    request = decoded(protocol, sparkle={"on": True}, glitter=None)
    assert [loss.field for loss in request.losses] == ["sparkle"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_broken_character_does_not_cost_the_request(protocol: ProtocolName) -> None:
    request = CODECS[protocol].decode_request(body(protocol).replace(b'"hi"', b'"h\xff"'))
    assert request.messages == (Message("user", (Text("h\ufffd"),)),)


@pytest.mark.parametrize(
    ("protocol", "field"),
    [("messages", "max_tokens"), ("chat", "max_tokens"), ("responses", "max_output_tokens")],
)
def test_a_number_of_tokens_is_whole(protocol: ProtocolName, field: str) -> None:
    assert decoded(protocol, **{field: 5.0}).max_tokens == 5
    with pytest.raises(BadRequest) as refused:
        decoded(protocol, **{field: 5.5})
    assert refused.value.param == field


WORDS = {"encoded": "aMOp", "plain": "hé"}
DOCUMENTS: dict[ProtocolName, dict[str, Any]] = {
    "messages": {
        "type": "document",
        "source": {"type": "base64", "media_type": "text/plain", "data": WORDS["encoded"]},
    },
    "chat": {"type": "file", "file": {"file_data": f"data:text/plain;base64,{WORDS['encoded']}"}},
    "responses": {"type": "input_file", "file_data": f"data:text/plain;base64,{WORDS['encoded']}"},
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_text_in_base64_is_decoded(protocol: ProtocolName) -> None:
    messages = [{"role": "user", "content": [DOCUMENTS[protocol]]}]
    request = decoded(protocol, **{"input" if protocol == "responses" else "messages": messages})
    assert request.messages == (Message("user", (Document("text/plain", WORDS["plain"]),)),)


@pytest.mark.parametrize(
    ("protocol", "part"),
    [
        ("chat", {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}),
        ("responses", {"type": "input_image", "image_url": "file:///etc/passwd"}),
    ],
)
def test_an_image_of_another_scheme_is_refused(protocol: ProtocolName, part: dict[str, Any]) -> None:
    messages = [{"role": "user", "content": [part]}]
    with pytest.raises(BadRequest):
        decoded(protocol, **{"input" if protocol == "responses" else "messages": messages})


# --- encoded --------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("choice", "called"),
    [(ToolChoice("required"), "one of the tools"), (ToolChoice("named", "w"), "the tool `w`")],
)
def test_a_choice_that_cannot_be_forced_is_expressed_in_words(
    protocol: ProtocolName, choice: ToolChoice, called: str
) -> None:
    request = asking(tools=(WEATHER,), tool_choice=choice)
    result = sent(protocol, request, forced_tool_choice=False, cache_control=False)
    document = msgspec.json.decode(result.body)
    assert document["tool_choice"] in ("auto", {"type": "auto"})
    assert f"You must call {called} in your next reply.".encode() in result.body
    assert result.losses == ()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_forced_tool_that_is_not_declared_is_refused(protocol: ProtocolName) -> None:
    with pytest.raises(BadRequest, match="'zzz' is not among the tools"):
        sent(protocol, asking(tools=(WEATHER,), tool_choice=ToolChoice("named", "zzz")))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tools_that_must_not_be_called_are_left_out_where_there_are_none(protocol: ProtocolName) -> None:
    document = encoded(protocol, asking(tools=(WEATHER,), tool_choice=ToolChoice("none")), tools=False)
    assert not {"tools", "tool_choice"} & document.keys()


def test_a_forced_search_names_no_function_of_the_client() -> None:
    request = asking(
        tools=(WEATHER,),
        hosted_tools=(HostedTool("web_search"),),
        tool_choice=ToolChoice("named", "web_search"),
    )
    document = encoded("chat", request, model="gpt-5-search-api")
    assert "tool_choice" not in document and document["web_search_options"] == {}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_forbids_calls_at_once_is_not_sent_where_it_is_refused(protocol: ProtocolName) -> None:
    request = asking(tools=(WEATHER,), parallel_tool_calls=False)
    assert b"parallel" not in sent(protocol, request, parallel_tool_calls=False).body


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_hosted_tool_that_is_not_run_is_one_loss_of_one_name(protocol: ProtocolName) -> None:
    request = asking(hosted_tools=(HostedTool("web_search"), HostedTool("file_search")))
    losses = sent(protocol, request, hosted_web_search=False).losses
    assert [loss.field for loss in losses] == ["tools.web_search", "tools.file_search"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("limits", [{"images": False}, {"content_parts": False}])
def test_an_image_that_is_not_read_leaves_one_note_and_one_loss(
    protocol: ProtocolName, limits: dict[str, Any]
) -> None:
    result = sent(protocol, asking(Message("user", (Image("image/png", PNG),))), **limits)
    assert result.body.count(b"[image omitted: the model reads no images]") == 1
    assert [loss.field for loss in result.losses] == ["image"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_image_has_the_type_of_its_bytes(protocol: ProtocolName) -> None:
    body = sent(protocol, asking(Message("user", (Image("image/jpeg", PNG),)))).body
    assert b"image/png" in body and b"image/jpeg" not in body


SUMMARY = Compaction(carrier.pack("summary", "", {"text": "so far"}))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("role", ["user", "assistant"])
@pytest.mark.parametrize("native", [True, False])
def test_a_summary_of_our_own_is_text_for_every_upstream(
    protocol: ProtocolName, role: neutral.Role, native: bool
) -> None:
    request = asking(HELLO, Message(role, (SUMMARY,)), HELLO)
    body = sent(protocol, request, responses_items=native).body
    assert b'"so far' in body or b"so far" in body
    assert carrier.PREFIX.encode() not in body


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_failed_result_states_that_it_failed(protocol: ProtocolName) -> None:
    failed = ToolResult("1", (Text("no such file"),), is_error=True)
    request = asking(HELLO, Message("assistant", (ToolCall("1", "w", "{}"),)), Message("user", (failed,)))
    assert b'"Error: no such file"' in sent(protocol, request, error_results=False).body


@pytest.mark.parametrize("protocol", ["chat", "responses"])
def test_a_long_identifier_has_one_hash(protocol: ProtocolName) -> None:
    document = encoded(protocol, asking(session_id="s" * 65, user_id="s" * 65))
    assert document["prompt_cache_key"] == document["safety_identifier"]
    assert len(document["prompt_cache_key"]) == 64 and "ssss" not in document["prompt_cache_key"]


@pytest.mark.parametrize("protocol", ["messages", "responses"])
def test_a_turn_of_the_user_is_replaced_only_with_a_loss(protocol: ProtocolName) -> None:
    """The user's turn is blank; without any turn nothing is lost."""
    blank = sent(protocol, asking(Message("user", (Text(" "),))))
    assert b"Continue." in blank.body and [loss.field for loss in blank.losses] == ["messages"]
    nothing = sent(protocol, asking(Message("system", (Text("S"),))))
    assert [loss.field for loss in nothing.losses] == []
