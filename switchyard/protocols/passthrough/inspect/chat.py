"""Inspect Chat answers that pass through: what one record of a stream reports.

https://platform.openai.com/docs/api-reference/chat/streaming
"""

import re

from switchyard.protocols.errors.decode import decode_embedded_error, decode_error, is_unexplained
from switchyard.protocols.errors.table import BAD_GATEWAY
from switchyard.protocols.neutral import StopReason
from switchyard.protocols.openai_chat import wire as chat
from switchyard.protocols.openai_chat.calls import Fragment, fragments_of
from switchyard.protocols.openai_chat.opaque import mentions_opaque
from switchyard.protocols.passthrough.calls import hides_letters
from switchyard.protocols.passthrough.inspect.inspector import Inspector, RecordSummary
from switchyard.protocols.passthrough.inspect.whole import summarize_chat
from switchyard.protocols.sse import Record
from switchyard.protocols.stop_reasons import is_broken, stop_reason_of
from switchyard.protocols.surrogates import without_halves
from switchyard.protocols.wire import UNREADABLE, parsed_object, text

CALLS, CALL_NAME = b"_call", b'"name"'
"""both stand where a call begins, also in the older form `function_call`"""
LINES_OF_RECORD = 2
"""data and the blank one"""
USUAL_BYTES = len(b'"finish_reason":null}],"usage":null')
NO_REASON = (b'"finish_reason":null', b'"finish_reason": null')
NO_USAGE = (b'"usage":null', b'"usage": null')


def _summary(record: Record) -> RecordSummary:
    try:
        chunk = chat.read_chunk(without_halves(record.data))
    except UNREADABLE:
        is_done = record.data.strip() in chat.DONE
        return RecordSummary(finished=True) if is_done else _error(record)
    if record.event == "error" or chunk.error or not chunk.choices:
        failed = _error(record, is_odd=not chunk.error)
        if failed.error is not None:
            return failed
    choice = chat.first_choice(chunk)
    reason = text(choice.finish_reason) if choice is not None else ""
    if is_broken(reason):
        return RecordSummary(error=chat.broken_off(choice), is_odd=True)
    return RecordSummary(
        content=bool(reason) or any(map(_has_content, chunk.choices or ())),
        usage=chat.usage_in(chunk, choice),
        model=text(chunk.model) or None,
        stop_reason=stop_reason_of(reason) or StopReason.END_TURN if reason else None,
        fragments=_fragments(choice),
        fingerprint=text(chunk.system_fingerprint),
    )


def _fragments(choice: chat.Choice | None) -> tuple[Fragment, ...]:
    delta = None if choice is None else choice.delta or choice.message
    return tuple(fragments_of(delta)) if delta is not None and delta.tool_calls else ()


def _error(record: Record, *, is_odd: bool = True) -> RecordSummary:
    if record.event == "error":
        return RecordSummary(error=decode_error(BAD_GATEWAY, record.data.strip()), is_odd=is_odd)
    error = decode_embedded_error(parsed_object(record.data))
    return RecordSummary(error=error, is_odd=error is not None and (is_odd or is_unexplained(error)))


def _has_content(choice: chat.Choice) -> bool:
    delta = choice.delta or choice.message
    if delta is None:
        return bool(choice.text)
    calls = delta.tool_calls or delta.function_call
    media = delta.audio or delta.images
    return bool(delta.content or calls or delta.refusal or media or chat.reasoning_of(delta))


def _count_deltas(records: bytes) -> int:
    lines = records.count(b"\n")
    has_calls = records.find(CALLS) >= 0
    if has_calls and lines > LINES_OF_RECORD:
        records = _with_one_beginning(records)
    goes_on = _count_going_on(records, lines)
    if not goes_on or records.find(b'"error"') >= 0 or hides_letters(records):
        return 0
    if has_calls and (records.find(CALL_NAME) >= 0 or mentions_opaque(records)):
        return 0
    return goes_on


def _with_one_beginning(records: bytes) -> bytes:
    """The records without what they all begin with, but once: most of a packet is the same in each."""
    beginning = records[: max(records.find(b'"delta"'), 0)]
    if beginning.find(b"null") >= 0:
        return records
    return beginning + b"\n".join([line.removeprefix(beginning) for line in records.split(b"\n")])


def _count_going_on(records: bytes, lines: int) -> int:
    """How many records these are, if none of them ends the answer or reports usage; else 0."""
    expected, odd = divmod(lines, LINES_OF_RECORD)
    at = records.find(NO_REASON[0])
    # with what follows it in the first record, which is most often the same in all, it is found twice as fast
    usual = records[at : at + USUAL_BYTES]
    is_usual = at >= 0 and records.count(usual, at) == expected
    if odd or not (is_usual or _count_nulls(records, NO_REASON) == expected):
        return 0
    usages = records.count(b'"usage"')
    if usages == 0 or (usages == expected and is_usual and usual.endswith(NO_USAGE)):
        return expected
    return expected if usages == _count_nulls(records, NO_USAGE) else 0


def _count_nulls(records: bytes, spellings: tuple[bytes, bytes]) -> int:
    return records.count(spellings[0]) or records.count(spellings[1])


CHAT = Inspector(
    summary=_summary,
    summarize_whole=summarize_chat,
    # `finish_reason` with a value, `base_resp`, `usage` or `timings` with one, an error, the end, calls. The
    # names are cut to begin with rare letters: plain deltas are passed over twice as fast
    notable=re.compile(
        rb'_re(?:ason"\s*:\s*"|sp")|g(?:e|s)"\s*:\s*\{|rror(?:["_\r\n]|\Z)|\[(?:DONE|done)\]'
        rb'|_calls"\s*:\s*[\[{]\s*["{]'
    ),
    count_deltas=_count_deltas,
)
