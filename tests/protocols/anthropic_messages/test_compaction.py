"""A request for nothing but a summary of the conversation, and the block that answers it."""

from typing import Any

import msgspec
import pytest

from switchyard.protocols import carrier, neutral
from switchyard.protocols.codecs import CODECS
from switchyard.protocols.compaction import ASSIGNMENT, compaction_request
from switchyard.protocols.fold import fold
from switchyard.protocols.neutral import StopReason

CODEC = CODECS["messages"]
BODY = {"model": "m", "max_tokens": 99, "messages": [{"role": "user", "content": "Hello"}]}


def decoded(**members: Any) -> neutral.Request:
    return CODEC.decode_request(msgspec.json.encode({**BODY, **members}))


REQUESTS: list[tuple[Any, bool, str, list[str]]] = [
    ({"type": "summarize"}, True, ASSIGNMENT, []),
    ({"type": "summarize", "instructions": "Be short."}, True, "Be short.", []),
    ({"type": "summarize", "instructions": " \n"}, True, ASSIGNMENT, []),
    ({"type": "summarize", "instructions": None}, True, ASSIGNMENT, []),
    ({"type": "shorten"}, False, ASSIGNMENT, ["compaction"]),
    (None, False, ASSIGNMENT, []),
]


@pytest.mark.parametrize(("compaction", "compacts", "assignment", "lost"), REQUESTS)
def test_a_summary_is_requested(compaction: Any, compacts: bool, assignment: str, lost: list[str]) -> None:
    request = decoded(compaction=compaction)
    assert (request.compact, [loss.field for loss in request.losses]) == (compacts, lost)
    assert compaction_request(request).messages[-1] == neutral.Message("user", (neutral.Text(assignment),))


def events(payload: str) -> list[neutral.Event]:
    return [
        neutral.Started(),
        neutral.BlockStarted(neutral.Compaction(payload)),
        neutral.BlockEnded(),
        neutral.Finished(StopReason.COMPACTION),
    ]


OWN = carrier.pack("summary", "", {"text": 'Notes "a"'})
ANSWERS = [(OWN, [{"type": "compaction", "content": 'Notes "a"'}]), ("gAAAAA", [])]


@pytest.mark.parametrize(("payload", "content"), ANSWERS)
def test_the_summary_is_one_block(payload: str, content: list[Any]) -> None:
    request = decoded(compaction={"type": "summarize"})
    response = fold(events(payload))
    assert isinstance(response, neutral.Response)
    message = msgspec.json.decode(CODEC.encode_response(response, request))
    assert (message["content"], message["stop_reason"]) == (content, "compaction")


def test_the_summary_is_streamed_as_the_service_does() -> None:
    encoder = CODEC.stream_encoder(decoded(compaction={"type": "summarize"}))
    raw = b"".join(map(encoder.encode, events(OWN)))
    records = [msgspec.json.decode(line[6:]) for line in raw.splitlines() if line.startswith(b"data: ")]
    assert records[1:-2] == [
        {
            "type": "content_block_start",
            "index": 0,
            "content_block": {"type": "compaction", "content": None},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "compaction_delta", "content": 'Notes "a"'},
        },
        {"type": "content_block_stop", "index": 0},
    ]
