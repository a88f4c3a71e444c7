"""Compact a conversation at an upstream without that service: have a summary written, give it as one item.

https://platform.openai.com/docs/api-reference/responses/compact
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import msgspec

from switchyard.protocols import carrier, neutral
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.errors import TYPE_STATUSES
from switchyard.protocols.ids import new_id
from switchyard.protocols.neutral import ErrorType, StopReason, WireError
from switchyard.protocols.openai_responses.content import write_parts
from switchyard.protocols.openai_responses.request import decode_request
from switchyard.protocols.usage import responses_usage

ASSIGNMENT = """\
The conversation above is about to be cut, and a colleague with the same tools will go on from your notes \
alone. Write these notes now, as plain text, without calling any tool. Tell:
- what the user wants, in their own terms, with every constraint and preference they stated;
- what was done and found so far: files with their paths, commands, decisions and their reasons;
- what the state is right now, failures and open questions included;
- what to do next, step by step.
Quote names, paths, identifiers and error messages exactly. Leave out what no longer matters."""
NO_SUMMARY = "the upstream wrote no summary of the conversation"


def compaction_request(request: neutral.Request) -> neutral.Request:
    """The request for a hand-over summary, which any upstream can answer."""
    assignment = neutral.Message("user", (neutral.Text(ASSIGNMENT),))
    return replace(
        request,
        messages=(*request.messages, assignment),
        tools=(),
        hosted_tools=(),
        tool_choice=None,
        parallel_tool_calls=None,
        output_format=None,
        compact=False,
    )


class CompactionFold:
    """Turns the answer to `compaction_request`, event by event, into one `Compaction` block."""

    def __init__(self) -> None:
        self._summary: list[str] = []
        self._is_text = False

    def fold(self, event: neutral.Event) -> list[neutral.Event]:
        match event:
            case neutral.Started() | neutral.Failed():
                return [event]
            case neutral.BlockStarted(block):
                self._is_text = isinstance(block, neutral.Text)
            case neutral.Delta(words) if self._is_text:
                self._summary.append(words)
            case neutral.Finished():
                return self._finished(event)
        return []

    def _finished(self, event: neutral.Finished) -> list[neutral.Event]:
        summary = "".join(self._summary).strip()
        if not summary:
            status = TYPE_STATUSES[ErrorType.SERVER]
            return [neutral.Failed(WireError(ErrorType.SERVER, NO_SUMMARY, status))]
        compaction = neutral.Compaction(carrier.pack("summary", "", {"text": summary}))
        return [
            neutral.BlockStarted(compaction),
            neutral.BlockEnded(),
            replace(event, stop_reason=StopReason.COMPACTION, stop_sequence=None),
        ]


def as_compaction(events: Iterable[neutral.Event]) -> Iterator[neutral.Event]:
    folding = CompactionFold()
    for event in events:
        yield from folding.fold(event)


def decode_compact_request(body: bytes) -> neutral.Request:
    """The body of `/responses/compact`. Raises BadRequest."""
    return replace(decode_request(body), compact=True, stream=False)


def encode_compact_response(response: neutral.Response, request: neutral.Request) -> bytes:
    """All that the user said, then the compaction."""
    output = [
        {"type": "message", "id": new_id("msg_"), "status": "completed", "role": "user", "content": parts}
        for message in request.messages
        if message.role == "user" and (parts := write_parts(message.content, Capabilities()))
    ]
    compactions = [
        {"type": "compaction", "id": new_id("cmp_"), "encrypted_content": block.payload}
        for block in response.content
        if isinstance(block, neutral.Compaction)
    ]
    body = {
        "id": new_id("resp_"),
        "object": "response.compaction",
        "created_at": request.received_at,
        "output": output + compactions,
        "usage": responses_usage(response.usage or neutral.Usage()),
    }
    return msgspec.json.encode(body)
