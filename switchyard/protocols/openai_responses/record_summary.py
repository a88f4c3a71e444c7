"""Read off an untouched stream or body what the exchange needs to know: life, usage, errors, the end."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from switchyard.protocols.codec import RecordSummary, WholeSummary
from switchyard.protocols.errors.decode import decode_embedded_error
from switchyard.protocols.neutral import ErrorType, StopReason, Usage, WireError
from switchyard.protocols.openai_responses.calls import CALL_KINDS
from switchyard.protocols.sse import Record, count_if_all
from switchyard.protocols.usage import usage_of_openai
from switchyard.protocols.wire import Json, entries, fields, text

NOTABLE = re.compile(
    rb'"(?:response\.(?:completed|incomplete|failed|created|in_progress)|error|message|encrypted_content)"'
)
"""In the text of a delta every quote is escaped, so there none of these can occur; `message` finds errors that
only their event line names. A pattern that begins with one literal is searched ten times as fast as others."""

DELTAS = (
    b'"response.output_text.delta"',
    b'"response.function_call_arguments.delta"',
    b'"response.reasoning_summary_text.delta"',
    b'"response.custom_tool_call_input.delta"',
)
NO_RESPONSE = WireError(ErrorType.SERVER, "The upstream's reply is not a response.", 502)


class _Seen(msgspec.Struct):
    type: str = ""
    delta: Any = None
    item: Json | None = None
    response: Json | None = None


_decode = msgspec.json.Decoder(_Seen).decode


def summary(record: Record) -> RecordSummary:
    try:
        seen = _decode(record.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _perhaps_error(record)
    type = seen.type or record.event
    if type.endswith(".delta"):
        return RecordSummary(content=bool(seen.delta))
    reader = _READERS.get(type)
    if reader is not None:
        return reader(seen)
    return RecordSummary() if type.startswith("response.") else _perhaps_error(record)


def summarize_whole(body: bytes) -> WholeSummary:
    try:
        response = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return WholeSummary()
    if not isinstance(response, dict):
        return WholeSummary()
    signatures = (_signature(fields(item)) for item in entries(response.get("output")))
    return WholeSummary(
        usage=_usage(response),
        error=decode_embedded_error(response)
        or (None if isinstance(response.get("output"), list) else NO_RESPONSE),
        model=text(response.get("model")) or None,
        signatures=tuple(signature for signature in signatures if signature),
    )


def _lifecycle(seen: _Seen) -> RecordSummary:
    return RecordSummary(model=text(fields(seen.response).get("model")) or None)


def _added(seen: _Seen) -> RecordSummary:
    """An empty message is no answer yet; a call is."""
    return RecordSummary(content=text(fields(seen.item).get("type")) in CALL_KINDS, opens=True)


def _done(seen: _Seen) -> RecordSummary:
    return RecordSummary(content=True, signature=_signature(fields(seen.item)))


def _finished(seen: _Seen) -> RecordSummary:
    response = fields(seen.response)
    if response.get("status") == "failed":
        return _failed(seen)
    return RecordSummary(
        content=True,
        finished=True,
        usage=_usage(response),
        model=text(response.get("model")) or None,
        stop_reason=_stop_reason(response),
    )


def _failed(seen: _Seen) -> RecordSummary:
    """An error that is also the end: unlike a bare `error` event, clients need no other."""
    response = fields(seen.response)
    error = decode_embedded_error({"type": "response.failed", "response": response})
    model = text(response.get("model")) or None
    return RecordSummary(finished=True, usage=_usage(response), error=error, model=model)


_READERS: Mapping[str, Callable[[_Seen], RecordSummary]] = {
    "response.created": _lifecycle,
    "response.in_progress": _lifecycle,
    "response.queued": _lifecycle,
    "response.output_item.added": _added,
    "response.output_item.done": _done,
    "response.completed": _finished,
    "response.incomplete": _finished,
    "response.failed": _failed,
}


def _perhaps_error(record: Record) -> RecordSummary:
    try:
        body = msgspec.json.decode(record.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if record.event != "error":
            return RecordSummary()
        reported = {"error": record.data.decode("utf-8", "replace")}
        return RecordSummary(error=decode_embedded_error(reported), is_odd=True)
    if record.event == "error" and isinstance(body, dict) and "error" not in body:
        body = {"error": body}
    return RecordSummary(error=decode_embedded_error(body) if isinstance(body, dict) else None)


def _usage(response: Json) -> Usage | None:
    usage = fields(response.get("usage"))
    return usage_of_openai(usage) if usage else None


def _signature(item: Json) -> str | None:
    return text(item.get("encrypted_content")) or None if item.get("type") == "reasoning" else None


def _stop_reason(response: Json) -> StopReason:
    if response.get("status") == "incomplete":
        reason = fields(response.get("incomplete_details")).get("reason")
        return StopReason.REFUSAL if reason == "content_filter" else StopReason.MAX_TOKENS
    has_called = any(text(fields(item).get("type")) in CALL_KINDS for item in entries(response.get("output")))
    return StopReason.TOOL_USE if has_called else StopReason.END_TURN


def count_deltas(records: bytes) -> int:
    """As `Codec.count_deltas`."""
    return count_if_all(records, DELTAS)
