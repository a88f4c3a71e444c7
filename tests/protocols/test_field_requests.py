"""Requests of the field reach every upstream: valid there, with all their words, and nothing lost unreported."""

import msgspec
import pytest

from switchyard.protocols.codec import BadRequest, Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import convert_request
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.passthrough import prepare as passthrough
from switchyard.protocols.request_summary import read_request_summary
from tests.protocols.field_requests import REQUESTS
from tests.protocols.validators import check_chat_request, check_messages_request, check_responses_request

CHECKS = {
    "messages": check_messages_request,
    "chat": check_chat_request,
    "responses": check_responses_request,
}
TARGET = Target("sent", "issuer")
WORDS = (
    "Hello there",
    "Be kind.",
    "Be brief.",
    "More",
    "Rome",
    "sunny",
    "windy",
    "broken",
    "I look.",
    "It is sunny.",
    "Well,",
    "The weather is",
    "*** Begin",
    "a.txt",
    "patched",
    "Grass is green.",
    "Snow is white.",
)
"""Wherever one of these stands in a request, the upstream must get it."""
UNSIGNED = {"messages": "thinking", "responses": "input.reasoning"}
SIGNED_ELSEWHERE = {"messages": "thinking", "chat": "thinking", "responses": "input.reasoning"}
ROUTER = ("provider", "models", "usage", "plugins")
LOCAL = (
    "min_p",
    "repetition_penalty",
    "guided_json",
    "add_generation_prompt",
    "cache_prompt",
    "id_slot",
    "n_predict",
    "keep_alive",
    "options",
)
NEW_FIELDS = ("prompt_cache_retention", "prediction")
OF_THE_SERVICE = tuple(f"messages.1.content.{number}" for number in range(4))
WORK = ("input.file_search_call", "input.code_interpreter_call", "input.image_generation_call")
LOST: dict[str, tuple[str, ...] | dict[str, tuple[str, ...]]] = {
    "blocks of thinking beside the message": {key: (field,) for key, field in UNSIGNED.items()},
    "details of reasoning sent back": {key: (field,) for key, field in UNSIGNED.items()},
    "thinking, readable and not": {key: (field,) for key, field in SIGNED_ELSEWHERE.items()},
    "the output of an answer sent back": {key: (field,) for key, field in SIGNED_ELSEWHERE.items()},
    "reasoning of a local server": {key: (field,) for key, field in SIGNED_ELSEWHERE.items()},
    "thinking parts and a prefix": {key: ("random_seed", field) for key, field in UNSIGNED.items()},
    "options of a router": ROUTER,
    "options of a local server": {"messages": LOCAL, "responses": (*LOCAL, "top_k")},
    "options of a Chinese service": ("enable_search", "thinking_budget", "result_format", "do_sample"),
    "numbers as floats": {"messages": ("top_p",)},
    "a new model's fields": {
        "messages": (*NEW_FIELDS, "verbosity", "metadata"),
        "responses": NEW_FIELDS,
    },
    "what its issuer puts beside a call": ("extra_body",),
    "documents with citations": ("citations",),
    "results of a search as blocks": ("citations",),
    "a search of the service, and its results in the history": {
        "chat": ("tools.web_search", "web_search"),
        "responses": ("web_search", "web_search.max_uses"),
    },
    "results of other tools of the service in the history": OF_THE_SERVICE,
    "an answer that another model took over": ("messages.1.content.0",),
    "sampling, stops and a user": {"responses": ("top_k",)},
    "edits of the context": ("context_management", "inference_geo"),
    "responses: a schema for the answer": {"messages": ("verbosity",)},
    "searches in the history": {
        "messages": ("web_search.search_context_size", "web_search"),
        "chat": ("tools.web_search", "web_search"),
    },
    "servers of tools in the history": ("input.mcp_list_tools", "input.mcp_call"),
    "other work of the service in the history": WORK,
    "a reasoning model's fields": ("truncation", "max_tool_calls", "metadata"),
}
"""What is lost, and reported: everywhere, or at an upstream of this protocol."""
REFUSED = {"a compacted conversation"}
"""Only the service that wrote the summary can read it: without it the answer would be another."""
NAMED = [(client, name) for client, cases in REQUESTS.items() for name in cases]
PAIRS = [(client, name, upstream) for client, name in NAMED for upstream in PROTOCOLS if upstream != client]


def body_of(client: ProtocolName, name: str) -> bytes:
    return msgspec.json.encode(REQUESTS[client][name])


def lost(client: ProtocolName, name: str, upstream: ProtocolName) -> tuple[str, ...]:
    expected = LOST.get(f"{client}: {name}", LOST.get(name, ()))
    if name == "a schema for the answer" and client != "responses":
        return ()
    return expected.get(upstream, ()) if isinstance(expected, dict) else expected


@pytest.mark.parametrize(("client", "name", "upstream"), PAIRS)
def test_a_request_of_the_field_converts(client: ProtocolName, name: str, upstream: ProtocolName) -> None:
    body = body_of(client, name)
    request = CODECS[client].decode_request(body)
    if name in REFUSED:
        with pytest.raises(BadRequest):
            convert_request(request, CODECS[upstream], TARGET)
        return
    sent = convert_request(request, CODECS[upstream], TARGET)
    CHECKS[upstream](msgspec.json.decode(sent.body))
    assert tuple(loss.field for loss in (*request.losses, *sent.losses)) == lost(client, name, upstream)
    assert [word for word in WORDS if word in body.decode() and word not in sent.body.decode()] == []


@pytest.mark.parametrize(("client", "name"), NAMED)
def test_a_request_of_the_field_passes_to_its_own_protocol(client: ProtocolName, name: str) -> None:
    body = body_of(client, name)
    passed = passthrough.prepare(client, body, read_request_summary(client, body, {}), TARGET)
    assert passed.losses == ()
    sent = msgspec.json.decode(passed.body)
    assert sent.pop("model") == "sent"
    given = {key: value for key, value in REQUESTS[client][name].items() if key != "model"}
    assert sent == given
