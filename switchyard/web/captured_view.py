"""Captured requests in the form of the dashboard's API: short enough for a page, and without secrets."""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeVar, get_args

from switchyard.protocols.codecs import CODECS
from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.names import PassedEndpoint, ProtocolName
from switchyard.protocols.neutral import Loss
from switchyard.protocols.readable import Part, readable_request, shown_json
from switchyard.protocols.readable_answer import ReadableAnswer, readable_answer
from switchyard.protocols.sse import RecordTooLarge, SseDecoder
from switchyard.protocols.wire import fields, parsed, text
from switchyard.relay.capture import CapturingRelay
from switchyard.relay.headers import CREDENTIALS, Headers
from switchyard.relay.redaction import ESCAPED, MASK, SECRET_NAME, masked_url, redacted_bytes, redacted_text
from switchyard.relay.tape import RecordedAnswer, SentRequest, Tape
from switchyard.web.comparison import (
    ComparedMember,
    ComparedPart,
    compare_fields,
    compare_members,
    compare_parts,
)

Json = dict[str, Any]
Item = TypeVar("Item")
Side = Literal["received", "sent", "answer", "delivered"]
SIDES: tuple[str, ...] = get_args(Side)
"""the client's request, the upstream's request, the upstream's answer, the client's answer"""

PRIVATE_HEADERS = frozenset(
    {*CREDENTIALS, "cookie", "set-cookie", "proxy-authorization", "chatgpt-account-id"}
)
OF_THE_CONNECTION = frozenset(
    {"host", "content-length", "connection", "transfer-encoding", "accept-encoding"}
)
"""every connection has its own"""
MAX_CHARS = 20_000
"""of one text"""
SHORT_CHARS = 300
TOTAL_CHARS = 1_500_000
"""of all texts of one view; the rest is shortened to `SHORT_CHARS`"""
MAX_PARTS = 2_000
MAX_EVENTS = 1_000
FIRST_ONES = 0.3
"""the share of the first ones in a list that is too long: its end matters more"""


class Shortening:
    """Shortens texts, so that all of them together stay small, and hides these secrets in them.

    Those that stand in a body have been hidden before: what remains is what an answer tells in several events, and
    what is escaped in JSON that is itself a text.
    """

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets
        self._left = TOTAL_CHARS

    def shown(self, whole: str) -> Json:
        """The beginning of a text, with the number of its characters."""
        whole = redacted_bytes(whole.encode("utf-8", "replace"), self._secrets).decode()
        kept = whole[: min(MAX_CHARS, max(self._left, SHORT_CHARS))]
        self._left -= len(kept)
        return {"text": kept, "length": len(whole)}


def capture_state(relay: CapturingRelay) -> Json:
    """What is being captured, and the ids of the captured requests, the oldest first."""
    return {"mode": relay.mode, "requests": relay.captured}


def captured_view(tape: Tape, number: int, secrets: tuple[str, ...]) -> Json:
    """The comparison with the request of this number, counted from 0 among those that are kept."""
    sent = tape.requests[number] if number < len(tape.requests) else None
    protocol = tape.request.protocol
    of_answers = Shortening(secrets)
    return {
        "sent": [_sent_row(one, tape) for one in tape.requests],
        "number": number,
        "protocol": protocol,
        "query": masked_url(f"?{tape.request.query}")[1:],
        "bytes": len(tape.request.body) if tape.has_body else None,
        "headers": _headers_view(tape, sent, secrets),
        **_comparison(tape, sent, _losses(tape, sent), secrets),
        "answer": sent and _answer_view(sent.answer, _answer_protocol(sent), tape, secrets, of_answers),
        "delivered": _answer_view(tape.answer, protocol, tape, secrets, of_answers),
    }


def raw_body(tape: Tape, side: Side, number: int, secrets: tuple[str, ...]) -> bytes | None:
    """The body without secrets; None if it is not kept."""
    sent = tape.requests[number] if number < len(tape.requests) else None
    bodies = {
        "received": tape.request.body if tape.has_body else None,
        "sent": None if sent is None else sent.body,
        "answer": None if sent is None else sent.answer.body,
        "delivered": tape.answer.body,
    }
    body = bodies[side]
    return None if body is None else redacted_bytes(body, secrets)


def _sent_row(sent: SentRequest, tape: Tape) -> Json:
    attempts = [] if tape.exchange is None else tape.exchange.attempts
    place = next((at for at, one in enumerate(attempts) if one is sent.note), None)
    return {
        "attempt": place,
        "upstream": sent.note.upstream,
        "key": sent.note.key,
        "protocol": sent.note.protocol,
        "url": masked_url(sent.url),
        "at": sent.at,
        "bytes": None if sent.body is None else len(sent.body),
    }


def _losses(tape: Tape, sent: SentRequest | None) -> tuple[Loss, ...]:
    """Only those of the last attempt are known."""
    return tape.exchange.losses if tape.exchange and tape.requests and sent is tape.requests[-1] else ()


def _answer_protocol(sent: SentRequest) -> ProtocolName:
    return sent.note.answer_protocol or sent.note.protocol


# --- requests ----------------------------------------------------------------


def _comparison(
    tape: Tape, sent: SentRequest | None, losses: tuple[Loss, ...], secrets: tuple[str, ...]
) -> Json:
    """Without a body as sent, the received request is shown alone."""
    protocol = tape.request.protocol
    received = readable_request(protocol, redacted_bytes(tape.request.body, secrets))
    if received is None:
        return {"compared": False, "fields": [], "tools": [], "messages": [], "left_off": 0, "losses": []}
    other, other_protocol = None, protocol
    if sent is not None and sent.body is not None:
        other_protocol = sent.note.protocol
        other = readable_request(other_protocol, redacted_bytes(sent.body, secrets))
    is_compared = other is not None
    is_escaped = ESCAPED in tape.request.body or (sent is not None and ESCAPED in (sent.body or b""))
    shortening = Shortening(secrets if is_escaped else ())
    counterpart = other or received
    members = compare_fields(received, counterpart, (protocol, other_protocol), losses)
    messages, left_off = _ends(compare_parts(received.parts, counterpart.parts), MAX_PARTS)
    return {
        "compared": is_compared,
        "fields": [_member_view(one, shortening) for one in members],
        "tools": [_part_row(one, shortening) for one in compare_parts(received.tools, counterpart.tools)],
        # the last ones matter most: they get their share first
        "messages": [_part_row(one, shortening) for one in reversed(messages)][::-1],
        "left_off": left_off,
        "losses": [{"field": loss.field, "why": loss.why} for loss in losses],
    }


def _ends(items: Sequence[Item], most: int) -> tuple[list[Item], int]:
    """The first and the last ones, and how many are left out between them."""
    if len(items) <= most:
        return list(items), 0
    first = int(most * FIRST_ONES)
    return [*items[:first], *items[first - most :]], len(items) - most


def _member_view(one: ComparedMember, shortening: Shortening) -> Json:
    def shown(value: object) -> Json | None:
        return None if value is None else shortening.shown(_value_text(value))

    return {
        "name": one.name,
        "change": one.change,
        "sent_as": one.sent_as,
        "why": one.why,
        "received": shown(one.received),
        "sent": None if one.change == "same" else shown(one.sent),
    }


def _value_text(value: object) -> str:
    return value if isinstance(value, str) else shown_json(value)


def _part_row(one: ComparedPart, shortening: Shortening) -> Json:
    received, sent = one.received, one.sent
    return {
        "change": one.change,
        "received": received and _part_view(received, shortening),
        "sent": None if one.change == "same" else sent and _part_view(sent, shortening),
        "differs_at": _first_difference(received.text, sent.text) if received and sent else None,
        "members": [_member_view(member, shortening) for member in one.members],
    }


def _part_view(part: Part, shortening: Shortening) -> Json:
    members = [{"name": name, **shortening.shown(_value_text(value))} for name, value in part.members.items()]
    return {
        "role": part.role,
        "kind": part.kind,
        "name": part.name,
        **shortening.shown(part.text),
        "members": members,
    }


def _first_difference(text: str, other: str) -> int | None:
    """The place of the first character that differs; None if the texts are the same."""
    if text == other:
        return None
    low, high = 0, min(len(text), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if text[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _headers_view(tape: Tape, sent: SentRequest | None, secrets: tuple[str, ...]) -> list[Json]:
    received = _joined_headers(tape.request.headers)
    compared = compare_members(received, received if sent is None else _joined_headers(sent.headers))
    upstream = None if sent is None else tape.settings.upstream(sent.note.upstream)
    own = frozenset() if upstream is None else frozenset(map(str.lower, upstream.headers))

    def shown(name: str, value: str | None) -> str | None:
        return MASK if value is not None and name in own else shown_header(name, value, secrets)

    return [
        {
            "name": one.name,
            "change": one.change,
            "received": shown(one.name, one.received),
            "sent": shown(one.name, one.sent),
        }
        for one in compared
    ]


def _joined_headers(headers: Headers) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in headers:
        if name not in OF_THE_CONNECTION:
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


def shown_header(name: str, value: str | None, secrets: tuple[str, ...]) -> str | None:
    """The value of a header as anyone may see it."""
    if value is None:
        return None
    if name.lower() in PRIVATE_HEADERS or SECRET_NAME.search(name):
        return MASK
    return redacted_text(value, secrets)


# --- answers -----------------------------------------------------------------


def _answer_view(
    answer: RecordedAnswer,
    protocol: ProtocolName,
    tape: Tape,
    secrets: tuple[str, ...],
    shortening: Shortening,
) -> Json | None:
    """None if no answer has begun."""
    if answer.started is None:
        return None
    body = redacted_bytes(answer.body, secrets)
    is_stream = answer.status < 400 and not body.lstrip().startswith((b"{", b"["))
    read = _read(answer, protocol, body, tape.request.endpoint, is_stream=is_stream)
    is_whole = not answer.is_truncated and tape.exchange is not None and tape.exchange.duration is not None
    events, left_off = _events(answer, secrets) if is_stream else ([], 0)
    return {
        "status": answer.status,
        "at": answer.started,
        "headers": [
            {"name": name, "value": shown_header(name, value, secrets)} for name, value in answer.headers
        ],
        "bytes": sum(len(piece.data) for piece in answer.pieces),
        "truncated": answer.is_truncated,
        "stream": is_stream,
        "parts": [_part_view(part, shortening) for part in read.parts],
        "error": redacted_text(read.error, secrets) if is_whole else "",
        "stop": read.stop,
        "events": events,
        "left_off": left_off,
    }


def _read(
    answer: RecordedAnswer, protocol: ProtocolName, body: bytes, endpoint: PassedEndpoint, *, is_stream: bool
) -> ReadableAnswer:
    if answer.status >= 400:
        return ReadableAnswer((), decode_error(answer.status, body).message)
    if endpoint:  # no conversation: only its raw answer
        return ReadableAnswer(())
    return readable_answer(CODECS[protocol], body, is_stream=is_stream)


def _events(answer: RecordedAnswer, secrets: tuple[str, ...]) -> tuple[list[Json], int]:
    """The events with the seconds since the request began, and how many are left out in the middle."""
    found, left_off = _ends(list(_records(answer)), MAX_EVENTS)
    return [
        {
            "at": at,
            "event": redacted_text(name, secrets),
            "text": (shown := redacted_bytes(data, secrets).decode(errors="replace"))[:SHORT_CHARS],
            "length": len(shown),
        }
        for at, name, data in found
    ], left_off


def _records(answer: RecordedAnswer) -> Iterable[tuple[float, str, bytes]]:
    decoder, last = SseDecoder(), 0.0
    try:
        for piece in answer.pieces:
            last = piece.at
            records = decoder.feed(piece.data)
            for record in records:
                yield piece.at, _name_of(record.event, record.data), record.data
            if not records and piece.data.startswith(b":"):
                yield piece.at, "", piece.data.strip()
        for record in decoder.close():
            yield last, _name_of(record.event, record.data), record.data
    except RecordTooLarge:
        return


def _name_of(event: str, data: bytes) -> str:
    """The event's name, or the type that its data states."""
    return event or text(fields(parsed(data[:MAX_CHARS])).get("type")) or "data"


def secrets_in_headers(tape: Tape) -> set[str]:
    """What was sent as a key, whatever the settings say now."""
    headers = [*tape.request.headers, *(pair for one in tape.requests for pair in one.headers)]
    return {value.rpartition(" ")[2] for name, value in headers if name in CREDENTIALS}
