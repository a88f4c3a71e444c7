"""What of a conversation's past cannot be sent on is a loss, and its text names the true cause."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols import carrier, neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import Target
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.conversion import convert_request
from switchyard.protocols.names import PROTOCOLS, ProtocolName
from switchyard.protocols.neutral import Loss, Message, Signature, Text, Thinking

Body = dict[str, Any]

USER = {"role": "user", "content": "Hello"}
USE = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}}
FOUND = {"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "E"}
RESULT = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [FOUND]}
FAILED = {**RESULT, "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"}}
TEXT = {"type": "text", "text": "Found."}
ITEM = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "q"},
}
OPENED = {**ITEM, "action": {"type": "open_page", "url": "https://a.example"}}
SEARCHES: list[tuple[ProtocolName, list[Body]]] = [
    ("messages", [USER, {"role": "assistant", "content": [USE, RESULT, TEXT]}, USER]),
    ("messages", [USER, {"role": "assistant", "content": [USE, FAILED, TEXT]}, USER]),
    ("responses", [USER, ITEM, {"role": "assistant", "content": "Found."}, USER]),
    ("responses", [USER, OPENED, {"role": "assistant", "content": "Found."}, USER]),
]


def losses(client: ProtocolName, upstream: ProtocolName, history: list[Body]) -> list[Loss]:
    conversation = {"input": history} if client == "responses" else {"messages": history, "max_tokens": 9}
    request = CODECS[client].decode_request(msgspec.json.encode({"model": "m", **conversation}))
    converted = convert_request(request, CODECS[upstream], Target("m", "issuer", Capabilities()))
    return [*request.losses, *converted.losses]


@pytest.mark.parametrize(("client", "history"), SEARCHES)
@pytest.mark.parametrize("upstream", PROTOCOLS)
def test_a_search_of_an_earlier_turn_is_a_loss(
    client: ProtocolName, history: list[Body], upstream: ProtocolName
) -> None:
    assert losses(client, upstream, history) == [
        Loss("web_search", "searches of earlier turns are not repeated")
    ]


@pytest.mark.parametrize("name", ["web_fetch", "code_execution", "tool_search_tool_regex"])
def test_other_calls_that_a_service_ran_are_losses(name: str) -> None:
    result = {"type": f"{name}_tool_result", "tool_use_id": "srvtoolu_1", "content": {}}
    answer: dict[str, Any] = {"role": "assistant", "content": [{**USE, "name": name}, result, TEXT]}
    history = [USER, answer, USER]
    assert [loss.field for loss in losses("messages", "chat", history)] == [
        "messages.1.content.0",
        "messages.1.content.1",
    ]


WITHOUT = "reasoning without a signature cannot be replayed"
UNKNOWN = "reasoning that an unknown upstream signed cannot be replayed"
FOREIGN = "reasoning that another upstream signed cannot be replayed"


@pytest.mark.parametrize(
    ("signature", "why"),
    [
        (None, WITHOUT),
        (Signature(carrier.pack("text", "issuer", {}), "issuer"), WITHOUT),
        (Signature("c2lnbmVk"), UNKNOWN),
        (Signature("c2lnbmVk", "elsewhere"), FOREIGN),
    ],
)
@pytest.mark.parametrize(("upstream", "field"), [("messages", "thinking"), ("responses", "input.reasoning")])
def test_the_loss_of_thinking_names_its_cause(
    signature: Signature | None, why: str, upstream: ProtocolName, field: str
) -> None:
    history = (
        Message("user", (Text("Hello"),)),
        Message("assistant", (Thinking("Hm.", signature), Text("Hi"))),
        Message("user", (Text("Go on"),)),
    )
    target = Target("m", "issuer", Capabilities())
    converted = CODECS[upstream].encode_request(neutral.Request("m", history), target)
    assert converted.losses == (Loss(field, why),)
