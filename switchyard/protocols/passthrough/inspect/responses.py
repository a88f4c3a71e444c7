"""Inspect Responses answers that pass through: what one record of a stream reports.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

import re
from functools import partial

from switchyard.protocols.errors.decode import decode_embedded_error, is_unexplained
from switchyard.protocols.neutral import StopReason, Usage
from switchyard.protocols.openai_responses.calls import CALL_KINDS
from switchyard.protocols.passthrough.calls import hides_letters
from switchyard.protocols.passthrough.inspect.inspector import (
    NOTHING,
    Events,
    Inspector,
    RecordSummary,
    model_of,
    typed_event,
)
from switchyard.protocols.passthrough.inspect.whole import Shape, summarize_object
from switchyard.protocols.sse import Record, count_if_all
from switchyard.protocols.stop_reasons import incomplete_reason
from switchyard.protocols.usage import usage_of_response
from switchyard.protocols.wire import Json, entries, fields, parsed_object, text

CALL_TYPE = b'_call"'
DELTAS = tuple(
    (b'{"type":"response.%b.delta","sequence_number":' % name, b'"response.%b.delta"' % name)
    for name in (
        b"output_text",
        b"function_call_arguments",
        b"reasoning_summary_text",
        b"custom_tool_call_input",
    )
)
EMPTY_ITEMS = frozenset({"", "message", "reasoning"})
"""Items that open empty."""


def _summary(record: Record) -> RecordSummary:
    event, type = typed_event(record)
    if event is not None and type.endswith(".delta"):
        return RecordSummary(content=bool(event.get("delta")))
    reader = EVENTS.get(type)
    if event is not None and reader is not None:
        return reader(event)
    return NOTHING if event is not None and type.startswith("response.") else _error(record, event)


def _error(record: Record, event: Json | None) -> RecordSummary:
    if event is None:
        message = record.data.decode("utf-8", "replace")
        is_error = record.event == "error"
        error = decode_embedded_error({"error": message}) if is_error else None
        return RecordSummary(error=error, is_odd=is_error)
    is_bare = record.event == "error" and "error" not in event
    error = decode_embedded_error({"error": event} if is_bare else event)
    return RecordSummary(error=error, is_odd=error is not None and is_unexplained(error))


def _start(event: Json) -> RecordSummary:
    return RecordSummary(model=model_of(fields(event.get("response"))))


def _added(event: Json) -> RecordSummary:
    """An empty message is no answer yet; a call is, also one that the service itself has begun to run."""
    return RecordSummary(content=text(fields(event.get("item")).get("type")) not in EMPTY_ITEMS, opens=True)


def _done(event: Json) -> RecordSummary:
    return RecordSummary(content=True, signature=_signature(fields(event.get("item"))) or None)


def _end(event: Json) -> RecordSummary:
    response = fields(event.get("response"))
    if response.get("status") == "failed":
        return _failed(event)
    return RecordSummary(
        content=True,
        finished=True,
        usage=_usage(response),
        model=model_of(response),
        stop_reason=_stop(response),
    )


def _failed(event: Json) -> RecordSummary:
    """An error that is also the end: unlike a bare `error` event, clients need no other."""
    response = fields(event.get("response"))
    error = decode_embedded_error({"type": "response.failed", "response": response})
    return RecordSummary(finished=True, usage=_usage(response), error=error, model=model_of(response))


EVENTS: Events = {
    "response.created": _start,
    "response.in_progress": _start,
    "response.queued": _start,
    "response.output_item.added": _added,
    "response.output_item.done": _done,
    "response.image_generation_call.partial_image": lambda _: RecordSummary(content=True),
    "response.completed": _end,
    "response.done": _end,
    "response.incomplete": _end,
    "response.failed": _failed,
}


def _end_name(record: Record) -> bytes:
    status = fields(parsed_object(record.data).get("response")).get("status")
    return f"response.{status if status in ('incomplete', 'failed') else 'completed'}".encode()


def _usage(response: Json) -> Usage | None:
    return usage_of_response(response) if response.get("usage") else None


def _signature(item: Json) -> str:
    return text(item.get("encrypted_content")) if item.get("type") == "reasoning" else ""


def _stop(response: Json) -> StopReason:
    if response.get("status") == "incomplete":
        return incomplete_reason(response)
    has_called = any(text(fields(item).get("type")) in CALL_KINDS for item in entries(response.get("output")))
    return StopReason.TOOL_USE if has_called else StopReason.END_TURN


def _count_deltas(records: bytes) -> int:
    may_call = records.find(CALL_TYPE) >= 0 or hides_letters(records)
    return 0 if may_call else count_if_all(records, DELTAS)


RESPONSES = Inspector(
    summary=_summary,
    summarize_whole=partial(summarize_object, Shape("output", _signature, _usage, "response")),
    # `message` finds errors that only their event line names
    notable=re.compile(
        rb'"(?:response\.(?:completed|incomplete|done|failed|created|in_progress|output_item\.(?:added|done))|error'
        rb'|message|encrypted_content)"|\[DONE\]'
    ),
    count_deltas=_count_deltas,
    other_ends={b"response.done": _end_name},
)
