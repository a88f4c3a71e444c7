"""Read what matters off untouched Chat replies, without state: content, usage, errors, the end."""

import re
from typing import Any

import msgspec

from switchyard.protocols.codec import RecordSummary, WholeSummary
from switchyard.protocols.errors.decode import decode_embedded_error, decode_error
from switchyard.protocols.neutral import ErrorType, StopReason, WireError
from switchyard.protocols.openai_chat import wire
from switchyard.protocols.sse import Record

BAD_GATEWAY = 502

NOTABLE = re.compile(rb'_re(?:ason"\s*:\s*"|sp")|g(?:e|s)"\s*:\s*\{|rror(?:["_\r\n]|\Z)|\[(?:DONE|done)\]')
"""`finish_reason` told (not null), `base_resp`, `usage` or `timings` told, an error, the end.

The names are cut to begin with rare letters: plain deltas are passed over twice as fast.
"""

LINES_OF_RECORD = 2
"""data and the blank one"""
CHOICES = re.compile(rb"\s*\[\s*\{")


def summary(record: Record) -> RecordSummary:
    try:
        chunk = wire.read_chunk(record.data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _summarize_odd(record)
    if record.event == "error" or chunk.error or not chunk.choices:
        error = _error_in(record)
        if error is not None:
            return RecordSummary(error=error, is_odd=not chunk.error)
    choice = wire.first_choice(chunk)
    reason = choice.finish_reason if choice is not None else None
    reason = reason if isinstance(reason, str) else ""
    if reason in wire.BROKEN_REASONS:
        return RecordSummary(error=wire.broken_off(choice), is_odd=True)
    return RecordSummary(
        content=bool(reason) or (choice is not None and _has_content(choice)),
        usage=wire.usage_in(chunk, choice),
        model=_name(chunk.model),
        stop_reason=wire.STOP_REASONS.get(reason, StopReason.END_TURN) if reason else None,
    )


def _summarize_odd(record: Record) -> RecordSummary:
    data = record.data.strip()
    if data in wire.DONE:
        return RecordSummary(finished=True)
    if record.event == "error":
        return RecordSummary(error=decode_error(BAD_GATEWAY, data), is_odd=True)
    error = _error_in(record)
    return RecordSummary(error=error, is_odd=error is not None)


def _error_in(record: Record) -> WireError | None:
    if record.event == "error":
        return decode_error(BAD_GATEWAY, record.data)
    parsed = _parsed(record.data)
    return decode_embedded_error(parsed) if isinstance(parsed, dict) else None


def _has_content(choice: wire.Choice) -> bool:
    delta = choice.delta or choice.message
    if delta is None:
        return bool(choice.text)
    return bool(
        delta.content or delta.tool_calls or delta.refusal or delta.function_call or wire.reasoning_of(delta)
    )


class _Whole(msgspec.Struct):
    """The few fields of a whole reply that are watched; choices, which are most of it, are only looked at."""

    model: Any = None
    usage: Any = None
    timings: Any = None
    error: Any = None
    choices: msgspec.Raw = msgspec.Raw(b"")


_read_whole = msgspec.json.Decoder(_Whole).decode


def summarize_whole(body: bytes) -> WholeSummary:
    try:
        whole = _read_whole(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return WholeSummary(error=decode_error(BAD_GATEWAY, body))
    if whole.error or not CHOICES.match(whole.choices):
        return WholeSummary(error=_whole_error(body))
    chunk = wire.Chunk(usage=whole.usage, timings=whole.timings)
    return WholeSummary(usage=wire.usage_in(chunk, None), model=_name(whole.model))


def _whole_error(body: bytes) -> WireError:
    parsed = _parsed(body)
    reported = decode_embedded_error(parsed) if isinstance(parsed, dict) else None
    return reported or WireError(ErrorType.SERVER, wire.NO_CHOICES, BAD_GATEWAY)


def _name(model: object) -> str | None:
    return model if isinstance(model, str) and model else None


def _parsed(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def count_deltas(records: bytes) -> int:
    """As `Codec.count_deltas`."""
    goes_on = _count_nulls(records, b'"finish_reason":')
    if records.count(b"\n") != goes_on * LINES_OF_RECORD or b'"error"' in records:
        return 0
    usages = records.count(b'"usage"')
    return goes_on if usages == 0 or usages == _count_nulls(records, b'"usage":') else 0


def _count_nulls(records: bytes, member: bytes) -> int:
    return records.count(member + b"null") or records.count(member + b" null")
