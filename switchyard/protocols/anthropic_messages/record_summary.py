"""What untouched traffic says: one record of a stream, or one whole reply, read without state.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

import re
from typing import Any

from switchyard.protocols.anthropic_messages.wire import (
    STOP_REASONS,
    WireEvent,
    error_of,
    read_event,
)
from switchyard.protocols.codec import RecordSummary, WholeSummary
from switchyard.protocols.errors.decode import decode_embedded_error
from switchyard.protocols.neutral import ErrorType, StopReason, Usage, WireError
from switchyard.protocols.sse import Record, count_if_all
from switchyard.protocols.usage import usage_of_anthropic
from switchyard.protocols.wire import decode_object

NOTHING = RecordSummary()
NO_MESSAGE = WireError(ErrorType.SERVER, "The upstream's reply is not a message.", 502)

NOTABLE = re.compile(
    rb'"(?:message_stop|message_delta|usage|error|signature_delta|signature|message_start|redacted_thinking'
    rb'|stop_reason)"|^event: ?error',
    re.MULTILINE,
)
"""Quotes inside a text are escaped, so that no text looks like a field."""

DELTAS = (b'"text_delta"', b'"input_json_delta"', b'"thinking_delta"')
EMPTY_STARTS = frozenset({"text", "thinking"})
"""Blocks that open empty; every other block says something with its start."""


def summary(record: Record) -> RecordSummary:
    event = read_event(record)
    if event is None:
        return NOTHING
    if event.error or event.type == "error":
        # programs find errors by the event line alone
        return RecordSummary(error=error_of(event), is_odd=record.event != "error")
    match event.type:
        case "content_block_delta":
            return _delta(event)
        case "content_block_start":
            return _block_start(event.content_block or {})
        case "message_start":
            message = event.message or {}
            return RecordSummary(usage=_usage(message.get("usage")), model=_text(message, "model") or None)
        case "message_delta":
            reported = event.delta.stop_reason if event.delta else None
            return RecordSummary(content=True, usage=_usage(event.usage), stop_reason=_stop_reason(reported))
        case "message_stop":
            return RecordSummary(finished=True)
    return NOTHING


def _delta(event: WireEvent) -> RecordSummary:
    delta = event.delta
    if delta is None:
        return NOTHING
    if delta.signature:
        return RecordSummary(content=True, signature=delta.signature)
    return RecordSummary(content=bool(delta.text or delta.thinking or delta.partial_json or delta.citation))


def _block_start(block: dict[str, Any]) -> RecordSummary:
    said = _text(block, "text") or _text(block, "thinking")
    signature = _text(block, "signature") or _text(block, "data") or None
    has_content = bool(said) or str(block.get("type")) not in EMPTY_STARTS
    return RecordSummary(content=has_content, signature=signature, opens=True)


def summarize_whole(body: bytes) -> WholeSummary:
    message = decode_object(body)
    if message is None:
        return WholeSummary()
    content = message.get("content")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    signatures = [_text(block, "signature") or _text(block, "data") for block in blocks]
    return WholeSummary(
        usage=_usage(message.get("usage")),
        error=decode_embedded_error(message) or (None if isinstance(content, list) else NO_MESSAGE),
        model=_text(message, "model") or None,
        signatures=tuple([signature for signature in signatures if signature]),
    )


def _usage(raw: object) -> Usage | None:
    return usage_of_anthropic(raw) if isinstance(raw, dict) else None


def _stop_reason(reported: str | None) -> StopReason | None:
    return STOP_REASONS.get(reported, StopReason.END_TURN) if reported else None


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def count_deltas(records: bytes) -> int:
    """As `Codec.count_deltas`."""
    return count_if_all(records, DELTAS)
