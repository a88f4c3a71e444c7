"""Inspect answers that pass through: what one record of a stream, or a whole reply, reports. No state is kept.

https://platform.claude.com/docs/en/build-with-claude/streaming
https://platform.openai.com/docs/api-reference/chat/streaming
https://platform.openai.com/docs/api-reference/responses-streaming
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from re import Pattern
from typing import Any, Protocol

import msgspec

from switchyard.protocols.errors.decode import decode_embedded_error, decode_error, is_unexplained
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import ErrorType, StopReason, Usage, WireError
from switchyard.protocols.openai_chat import wire as chat
from switchyard.protocols.openai_chat.calls import Fragment, fragments_of
from switchyard.protocols.openai_chat.opaque import mentions_opaque
from switchyard.protocols.openai_responses.calls import CALL_KINDS
from switchyard.protocols.passthrough.calls import hides_letters
from switchyard.protocols.sse import Record, count_if_all
from switchyard.protocols.stop_reasons import incomplete_reason, is_broken, stop_reason_of
from switchyard.protocols.surrogates import without_halves
from switchyard.protocols.usage import usage_of_anthropic, usage_of_response
from switchyard.protocols.walk import UNEXPLAINED
from switchyard.protocols.wire import UNREADABLE, Json, decode_object, entries, fields, parsed, text

BAD_GATEWAY = 502


class RecordSummary(msgspec.Struct, frozen=True):
    """What one record of a stream reports.

    `content`: the model has begun to answer (the commit point). `opens`: it has opened a block that may be filled much
    later. `finished`: the protocol's regular end.
    `signature`: opaque continuity data that this record carries. `is_odd`: the error has no form of this protocol,
    so that its programs would not take it for one, or no words. `begins`: the id of the answer that begins here.
    `fingerprint`: of the servers of a Chat upstream.
    `fragments`: of calls, where they are named or come with something opaque.
    """

    content: bool = False
    finished: bool = False
    usage: Usage | None = None
    error: WireError | None = None
    model: str | None = None
    signature: str | None = None
    stop_reason: StopReason | None = None
    is_odd: bool = False
    opens: bool = False
    begins: str | None = None
    fragments: tuple[Fragment, ...] = ()
    fingerprint: str = ""


class WholeSummary(msgspec.Struct, frozen=True):
    """What a whole JSON reply reports."""

    usage: Usage | None = None
    error: WireError | None = None
    model: str | None = None
    signatures: tuple[str, ...] = ()
    fingerprint: str = ""


class SummarizeWhole(Protocol):
    """What a whole reply reports; the usage only if it is wanted."""

    def __call__(self, body: bytes, *, reads_usage: bool = True) -> WholeSummary: ...


class Inspector(msgspec.Struct, frozen=True):
    """How the answers of one protocol are read."""

    summary: Callable[[Record], RecordSummary]
    summarize_whole: SummarizeWhole
    notable: Pattern[bytes]
    """Occurs in every record after the commit point that must be read: usage, errors, the end.

    Quotes inside a text are escaped, so that no text looks like a field. A pattern that begins with one literal is
    searched ten times as fast as others.
    """
    other_ends: Mapping[bytes, Callable[[Record], bytes]]
    """Names of ends that clients do not know, and the usual name of the end of this record."""
    count_deltas: Callable[[bytes], int]
    """How many records these are, if they are nothing but content of the model: the cheap look that spares all others.

    They are whole and end with LF. 0 means nothing: a call may begin in them, even one dressed up as a delta.
    """


NOTHING = RecordSummary()
NO_OTHER_ENDS: Mapping[bytes, Callable[[Record], bytes]] = {}
Events = Mapping[str, Callable[[Json], RecordSummary]]


def _typed(record: Record) -> tuple[Json | None, str]:
    """The event, None if it is none, and its type, which the `event:` line names if the data does not."""
    event = decode_object(record.data)
    return event, text(fields(event).get("type")) or record.event


def _model(holder: Json) -> str | None:
    return text(holder.get("model")) or None


# --- Messages -------------------------------------------------------------------

TOOL_USE = b'"tool_use"'
MESSAGES_DELTAS = (
    (b'"type":"text_delta","text":', b'"text_delta"'),
    (b'"type":"input_json_delta","partial_json":', b'"input_json_delta"'),
    (b'"type":"thinking_delta","thinking":', b'"thinking_delta"'),
)
EMPTY_TEXT = {"type": "text", "text": ""}
EMPTY_STARTS = frozenset({"text", "thinking"})
"""Blocks that open empty; every other block has content with its start."""


def _messages_summary(record: Record) -> RecordSummary:
    event, type = _typed(record)
    named = fields(event).get("error")
    if named or type == "error" or record.event == "error":
        error = named or event or record.data.decode("utf-8", "replace")
        reported = decode_embedded_error({"type": "error", "error": error}) if error else None
        # programs find errors by the event line alone
        found = reported or UNEXPLAINED
        return RecordSummary(error=found, is_odd=record.event != "error" or is_unexplained(found))
    reader = MESSAGES_EVENTS.get(type)
    return NOTHING if event is None or reader is None else reader(event)


def _messages_delta(event: Json) -> RecordSummary:
    delta = fields(event.get("delta"))
    signature = text(delta.get("signature"))
    texts = (text(delta.get(name)) for name in ("text", "thinking", "partial_json"))
    has_content = bool(signature) or any(texts) or bool(fields(delta.get("citation")))
    return RecordSummary(content=has_content, signature=signature or None)


def _messages_block(event: Json) -> RecordSummary:
    block = fields(event.get("content_block"))
    has_content = bool(text(block.get("text")) or text(block.get("thinking")))
    return RecordSummary(
        content=has_content or str(block.get("type")) not in EMPTY_STARTS,
        signature=_messages_signature(block) or None,
        opens=True,
    )


def _messages_start(event: Json) -> RecordSummary:
    message = fields(event.get("message"))
    begins = text(message.get("id")) or None
    return RecordSummary(
        # after a pause the answer may go on with content in its first event
        content=any(block != EMPTY_TEXT for block in entries(message.get("content"))),
        usage=_messages_usage(message),
        model=_model(message),
        begins=begins,
    )


def _messages_end(event: Json) -> RecordSummary:
    reported = text(fields(event.get("delta")).get("stop_reason"))
    stop_reason = stop_reason_of(reported) or StopReason.END_TURN if reported else None
    return RecordSummary(content=True, usage=_messages_usage(event), stop_reason=stop_reason)


MESSAGES_EVENTS: Events = {
    "message_start": _messages_start,
    "content_block_start": _messages_block,
    "content_block_delta": _messages_delta,
    "message_delta": _messages_end,
    "message_stop": lambda _: RecordSummary(finished=True),
}


def _messages_signature(block: Json) -> str:
    return text(block.get("signature")) or text(block.get("data"))


def _messages_usage(holder: Json) -> Usage | None:
    usage = holder.get("usage")
    return usage_of_anthropic(usage) if isinstance(usage, dict) else None


def _messages_deltas(records: bytes) -> int:
    may_call = records.find(TOOL_USE) >= 0 or hides_letters(records)
    return 0 if may_call else count_if_all(records, MESSAGES_DELTAS)


# --- Chat -----------------------------------------------------------------------

CALLS, CALL_NAME = b"_call", b'"name"'
"""both stand where a call begins, also in the older form `function_call`"""
LINES_OF_RECORD = 2
"""data and the blank one"""
USUAL_BYTES = len(b'"finish_reason":null}],"usage":null')
NO_REASON = (b'"finish_reason":null', b'"finish_reason": null')
NO_USAGE = (b'"usage":null', b'"usage": null')


def _chat_summary(record: Record) -> RecordSummary:
    try:
        chunk = chat.read_chunk(without_halves(record.data))
    except UNREADABLE:
        is_done = record.data.strip() in chat.DONE
        return RecordSummary(finished=True) if is_done else _chat_error(record)
    if record.event == "error" or chunk.error or not chunk.choices:
        failed = _chat_error(record, is_odd=not chunk.error)
        if failed.error is not None:
            return failed
    choice = chat.first_choice(chunk)
    reason = text(choice.finish_reason) if choice is not None else ""
    if is_broken(reason):
        return RecordSummary(error=chat.broken_off(choice), is_odd=True)
    return RecordSummary(
        content=bool(reason) or (choice is not None and _chat_has_content(choice)),
        usage=chat.usage_in(chunk, choice),
        model=text(chunk.model) or None,
        stop_reason=stop_reason_of(reason) or StopReason.END_TURN if reason else None,
        fragments=_fragments(choice),
        fingerprint=text(chunk.system_fingerprint),
    )


def _fragments(choice: chat.Choice | None) -> tuple[Fragment, ...]:
    delta = None if choice is None else choice.delta or choice.message
    return tuple(fragments_of(delta)) if delta is not None and delta.tool_calls else ()


def _chat_error(record: Record, *, is_odd: bool = True) -> RecordSummary:
    if record.event == "error":
        return RecordSummary(error=decode_error(BAD_GATEWAY, record.data.strip()), is_odd=is_odd)
    event = parsed(record.data)
    error = decode_embedded_error(event) if isinstance(event, dict) else None
    return RecordSummary(error=error, is_odd=error is not None and (is_odd or is_unexplained(error)))


def _chat_has_content(choice: chat.Choice) -> bool:
    delta = choice.delta or choice.message
    if delta is None:
        return bool(choice.text)
    return bool(
        delta.content or delta.tool_calls or delta.refusal or delta.function_call or chat.reasoning_of(delta)
    )


def _chat_deltas(records: bytes) -> int:
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


# --- Responses ------------------------------------------------------------------


CALL_TYPE = b'_call"'
RESPONSES_DELTAS = tuple(
    (b'"type":"response.%b.delta","sequence_number":' % name, b'"response.%b.delta"' % name)
    for name in (
        b"output_text",
        b"function_call_arguments",
        b"reasoning_summary_text",
        b"custom_tool_call_input",
    )
)


def _responses_summary(record: Record) -> RecordSummary:
    event, type = _typed(record)
    if event is not None and type.endswith(".delta"):
        return RecordSummary(content=bool(event.get("delta")))
    reader = RESPONSES_EVENTS.get(type)
    if event is not None and reader is not None:
        return reader(event)
    return NOTHING if event is not None and type.startswith("response.") else _responses_error(record, event)


def _responses_deltas(records: bytes) -> int:
    may_call = records.find(CALL_TYPE) >= 0 or hides_letters(records)
    return 0 if may_call else count_if_all(records, RESPONSES_DELTAS)


def _responses_error(record: Record, event: Json | None) -> RecordSummary:
    if event is None:
        message = record.data.decode("utf-8", "replace")
        is_error = record.event == "error"
        error = decode_embedded_error({"error": message}) if is_error else None
        return RecordSummary(error=error, is_odd=is_error)
    is_bare = record.event == "error" and "error" not in event
    error = decode_embedded_error({"error": event} if is_bare else event)
    return RecordSummary(error=error, is_odd=error is not None and is_unexplained(error))


def _responses_start(event: Json) -> RecordSummary:
    return RecordSummary(model=_model(fields(event.get("response"))))


def _responses_added(event: Json) -> RecordSummary:
    """An empty message is no answer yet; a call is."""
    return RecordSummary(content=text(fields(event.get("item")).get("type")) in CALL_KINDS, opens=True)


def _responses_done(event: Json) -> RecordSummary:
    return RecordSummary(content=True, signature=_responses_signature(fields(event.get("item"))) or None)


def _responses_end(event: Json) -> RecordSummary:
    response = fields(event.get("response"))
    if response.get("status") == "failed":
        return _responses_failed(event)
    return RecordSummary(
        content=True,
        finished=True,
        usage=_responses_usage(response),
        model=_model(response),
        stop_reason=_responses_stop(response),
    )


def _responses_failed(event: Json) -> RecordSummary:
    """An error that is also the end: unlike a bare `error` event, clients need no other."""
    response = fields(event.get("response"))
    error = decode_embedded_error({"type": "response.failed", "response": response})
    return RecordSummary(finished=True, usage=_responses_usage(response), error=error, model=_model(response))


RESPONSES_EVENTS: Events = {
    "response.created": _responses_start,
    "response.in_progress": _responses_start,
    "response.queued": _responses_start,
    "response.output_item.added": _responses_added,
    "response.output_item.done": _responses_done,
    "response.completed": _responses_end,
    "response.done": _responses_end,
    "response.incomplete": _responses_end,
    "response.failed": _responses_failed,
}


def _responses_end_name(record: Record) -> bytes:
    status = fields(fields(parsed(record.data)).get("response")).get("status")
    return f"response.{status if status in ('incomplete', 'failed') else 'completed'}".encode()


def _responses_usage(response: Json) -> Usage | None:
    return usage_of_response(response) if response.get("usage") else None


def _responses_signature(item: Json) -> str:
    return text(item.get("encrypted_content")) if item.get("type") == "reasoning" else ""


def _responses_stop(response: Json) -> StopReason:
    if response.get("status") == "incomplete":
        return incomplete_reason(response)
    has_called = any(text(fields(item).get("type")) in CALL_KINDS for item in entries(response.get("output")))
    return StopReason.TOOL_USE if has_called else StopReason.END_TURN


# --- whole replies --------------------------------------------------------------


class Shape(msgspec.Struct, frozen=True):
    """Where a whole reply of a protocol has its content, and what it is called."""

    content: str
    signature: Callable[[Json], str]
    usage: Callable[[Json], Usage | None]
    name: str


def _summarize_object(shape: Shape, body: bytes, *, reads_usage: bool = True) -> WholeSummary:
    reply = decode_object(body)
    if reply is None:
        return WholeSummary()
    content = reply.get(shape.content)
    error = decode_embedded_error(reply)
    if error is None and not isinstance(content, list):
        error = WireError(ErrorType.SERVER, f"The upstream's reply is not a {shape.name}.", BAD_GATEWAY)
    signatures = [shape.signature(part) for part in entries(content) if isinstance(part, dict)]
    return WholeSummary(
        usage=shape.usage(reply) if reads_usage else None,
        error=error,
        model=_model(reply),
        signatures=tuple(filter(None, signatures)),
    )


class _Chat(msgspec.Struct):
    """The few fields of a whole Chat reply that matter; choices, which are most of it, are only looked at."""

    model: Any = None
    usage: Any = None
    timings: Any = None
    service_tier: Any = None
    system_fingerprint: Any = None
    error: Any = None
    choices: msgspec.Raw = msgspec.Raw(b"")


_read_chat = msgspec.json.Decoder(_Chat).decode
CHOICES = re.compile(rb"\s*\[\s*\{")


def _summarize_chat(body: bytes, *, reads_usage: bool = True) -> WholeSummary:
    try:
        whole = _read_chat(without_halves(body))
    except UNREADABLE:
        return WholeSummary(error=decode_error(BAD_GATEWAY, body))
    if whole.error or not CHOICES.match(whole.choices):
        reported = decode_embedded_error(fields(parsed(body)))
        return WholeSummary(error=reported or WireError(ErrorType.SERVER, chat.NO_CHOICES, BAD_GATEWAY))
    chunk = chat.Chunk(usage=whole.usage, timings=whole.timings, service_tier=whole.service_tier)
    usage = chat.usage_in(chunk, None) if reads_usage else None
    model, fingerprint = text(whole.model) or None, text(whole.system_fingerprint)
    return WholeSummary(usage=usage, model=model, fingerprint=fingerprint)


DATA = re.compile(rb"\s*\[")
NO_EMBEDDINGS = "The upstream's reply has no embeddings."


class _Embeddings(msgspec.Struct):
    """The few fields of a list of embeddings that matter; the numbers are only looked at."""

    model: Any = None
    usage: Any = None
    error: Any = None
    data: msgspec.Raw = msgspec.Raw(b"")


_read_embeddings = msgspec.json.Decoder(_Embeddings).decode


def summarize_embeddings(body: bytes) -> WholeSummary:
    """https://platform.openai.com/docs/api-reference/embeddings"""
    try:
        whole = _read_embeddings(body)
    except UNREADABLE:
        return WholeSummary(error=decode_error(BAD_GATEWAY, body))
    if whole.error or not DATA.match(whole.data):
        reported = decode_embedded_error(fields(parsed(body)))
        return WholeSummary(error=reported or WireError(ErrorType.SERVER, NO_EMBEDDINGS, BAD_GATEWAY))
    usage = chat.usage_in(chat.Chunk(usage=whole.usage), None)
    return WholeSummary(usage=usage, model=text(whole.model) or None)


# --- the three ------------------------------------------------------------------

INSPECTORS: Mapping[ProtocolName, Inspector] = {
    "messages": Inspector(
        summary=_messages_summary,
        summarize_whole=partial(
            _summarize_object, Shape("content", _messages_signature, _messages_usage, "message")
        ),
        notable=re.compile(
            rb'"(?:message_stop|message_delta|usage|error|signature_delta|signature|message_start|redacted_thinking'
            rb'|stop_reason)"|^event: ?error',
            re.MULTILINE,
        ),
        other_ends=NO_OTHER_ENDS,
        count_deltas=_messages_deltas,
    ),
    "chat": Inspector(
        summary=_chat_summary,
        summarize_whole=_summarize_chat,
        # `finish_reason` with a value, `base_resp`, `usage` or `timings` with one, an error, the end, calls. The
        # names are cut to begin with rare letters: plain deltas are passed over twice as fast
        notable=re.compile(
            rb'_re(?:ason"\s*:\s*"|sp")|g(?:e|s)"\s*:\s*\{|rror(?:["_\r\n]|\Z)|\[(?:DONE|done)\]'
            rb'|_calls"\s*:\s*[\[{]\s*["{]'
        ),
        other_ends=NO_OTHER_ENDS,
        count_deltas=_chat_deltas,
    ),
    "responses": Inspector(
        summary=_responses_summary,
        summarize_whole=partial(
            _summarize_object, Shape("output", _responses_signature, _responses_usage, "response")
        ),
        # `message` finds errors that only their event line names
        notable=re.compile(
            rb'"(?:response\.(?:completed|incomplete|done|failed|created|in_progress|output_item\.(?:added|done))|error'
            rb'|message|encrypted_content)"|\[DONE\]'
        ),
        other_ends={b"response.done": _responses_end_name},
        count_deltas=_responses_deltas,
    ),
}
