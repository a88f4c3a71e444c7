"""Inspect Messages answers that pass through: what one record of a stream reports.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

import re
from functools import partial

from switchyard.protocols.errors.decode import decode_embedded_error, is_unexplained
from switchyard.protocols.neutral import StopReason, Usage
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
from switchyard.protocols.stop_reasons import stop_reason_of
from switchyard.protocols.usage import usage_of_anthropic
from switchyard.protocols.walk import UNEXPLAINED
from switchyard.protocols.wire import Json, entries, fields, text

TOOL_USE = b'"tool_use"'
DELTAS = (
    (b'{"type":"text_delta","text":"', b'"text_delta"'),
    (b'{"type":"input_json_delta","partial_json":"', b'"input_json_delta"'),
    (b'{"type":"thinking_delta","thinking":"', b'"thinking_delta"'),
)
EMPTY_TEXT = {"type": "text", "text": ""}
EMPTY_STARTS = frozenset({"text", "thinking"})
"""Blocks that open empty; every other block has content with its start."""


def _summary(record: Record) -> RecordSummary:
    event, type = typed_event(record)
    named = fields(event).get("error")
    if named or type == "error" or record.event == "error":
        error = named or event or record.data.decode("utf-8", "replace")
        reported = decode_embedded_error({"type": "error", "error": error}) if error else None
        # programs find errors by the event line alone
        found = reported or UNEXPLAINED
        return RecordSummary(error=found, is_odd=record.event != "error" or is_unexplained(found))
    reader = EVENTS.get(type)
    return NOTHING if event is None or reader is None else reader(event)


def _delta(event: Json) -> RecordSummary:
    delta = fields(event.get("delta"))
    signature = text(delta.get("signature"))
    texts = (text(delta.get(name)) for name in ("text", "thinking", "partial_json"))
    # thinking that is not shown is reported by its length so far
    others = signature or fields(delta.get("citation")) or delta.get("estimated_tokens")
    return RecordSummary(content=any(texts) or bool(others), signature=signature or None)


def _block(event: Json) -> RecordSummary:
    block = fields(event.get("content_block"))
    has_content = bool(text(block.get("text")) or text(block.get("thinking")))
    return RecordSummary(
        content=has_content or str(block.get("type")) not in EMPTY_STARTS,
        signature=_signature(block) or None,
        opens=True,
    )


def _start(event: Json) -> RecordSummary:
    message = fields(event.get("message"))
    return RecordSummary(
        # after a pause the answer may go on with content in its first event
        content=any(block != EMPTY_TEXT for block in entries(message.get("content"))),
        usage=_usage(message),
        model=model_of(message),
        begins=text(message.get("id")) or None,
    )


def _end(event: Json) -> RecordSummary:
    reported = text(fields(event.get("delta")).get("stop_reason"))
    stop_reason = stop_reason_of(reported) or StopReason.END_TURN if reported else None
    return RecordSummary(content=True, usage=_usage(event), stop_reason=stop_reason)


EVENTS: Events = {
    "message_start": _start,
    "content_block_start": _block,
    "content_block_delta": _delta,
    "message_delta": _end,
    "message_stop": lambda _: RecordSummary(finished=True),
}


def _signature(block: Json) -> str:
    return text(block.get("signature")) or text(block.get("data"))


def _usage(holder: Json) -> Usage | None:
    usage = holder.get("usage")
    return usage_of_anthropic(usage) if isinstance(usage, dict) else None


def _count_deltas(records: bytes) -> int:
    may_call = records.find(TOOL_USE) >= 0 or hides_letters(records)
    return 0 if may_call else count_if_all(records, DELTAS)


MESSAGES = Inspector(
    summary=_summary,
    summarize_whole=partial(summarize_object, Shape("content", _signature, _usage, "message")),
    notable=re.compile(
        rb'"(?:message_stop|message_delta|usage|error|signature_delta|signature|message_start|redacted_thinking'
        rb'|stop_reason)"|^event: ?error',
        re.MULTILINE,
    ),
    count_deltas=_count_deltas,
)
