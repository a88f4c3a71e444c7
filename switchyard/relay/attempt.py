"""Send a request to one upstream and hold the answer until it has content: the commit point."""

import time
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.answer_form import FormFinder, form_of_whole
from switchyard.protocols.codec import Codec
from switchyard.protocols.conversion import StreamConversion
from switchyard.protocols.errors.decode import decode_error
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import UNSTATED, Stated, Usage, WireError
from switchyard.protocols.passthrough.inspect.inspector import WholeSummary
from switchyard.protocols.passthrough.inspect.inspectors import INSPECTORS
from switchyard.protocols.passthrough.stream import PassthroughStream
from switchyard.protocols.retry_hints.combine import with_hints
from switchyard.protocols.sse import BOM, PIECE_COST, RecordTooLarge, is_overgrown
from switchyard.protocols.wire import is_json, stated
from switchyard.relay.failures import (
    NESTED,
    AttemptFailed,
    protocol_failure,
    truncated_failure,
    withheld_failure,
)
from switchyard.relay.headers import given_back_with_error
from switchyard.relay.patience import Patience
from switchyard.relay.simulate import SimulatingWire
from switchyard.relay.upstream import Call, Reply
from switchyard.timeouts import Timeouts

MAX_ERROR_BYTES = 1024 * 1024
MAX_HELD_BYTES = 8 * 1024 * 1024
MAX_WHOLE_BYTES = 64 * 1024 * 1024
MAX_KEPT_BYTES = 32 * 1024
"""of an error's body: exchanges are kept in memory with all their attempts"""
NO_CONTENT = "sent megabytes without any content"
LAST_STATUS = 599
SHOWN_CHARS = 120
SHORTEST_SECONDS = 0.05

Stream = PassthroughStream | StreamConversion


class Reader(msgspec.Struct, frozen=True):
    """How an answer is read. `stream` is None when the client wants one whole body.

    The conversion of an answer that `is_converted` reads its usage.

    `other` gives the reader for an answer in another protocol than the upstream was asked in; `summarize` reads a
    whole answer that is none of the codec's.
    """

    codec: Codec
    stream: Stream | None
    other: Callable[[ProtocolName], "Reader"] | None = None
    summarize: Callable[[bytes], WholeSummary] | None = None
    is_converted: bool = False

    def reading(self, form: ProtocolName) -> "Reader":
        """The reader for an answer in this protocol."""
        return self if self.other is None or form == self.codec.protocol else self.other(form)


class HeldAnswer(msgspec.Struct):
    """An answer past its commit point: what has arrived so far, and the reply that brings what follows.

    With `stream` None the whole answer is in `start`, in the upstream's protocol: the one that it looks like.
    """

    reply: Reply
    protocol: ProtocolName
    start: bytes
    stream: Stream | None
    summary: WholeSummary | None = None
    """read from a JSON answer; None for a stream, held whole or not"""
    seen: PassthroughStream | None = None
    """what inspected a stream that is held whole"""

    @property
    def stated(self) -> Stated:
        """What the answer has stated about its origin so far."""
        if self.summary is not None:
            return stated(self.summary.model, self.summary.fingerprint)
        stream = self.stream or self.seen
        return UNSTATED if stream is None else stream.stated

    @property
    def reported_usage(self) -> Usage | None:
        """The usage that a stream has reported so far, without any estimate."""
        return None if self.stream is None else self.stream.reported_usage


async def attempt(
    wire: SimulatingWire,
    call: Call,
    reader: Reader,
    timeouts: Timeouts,
    *,
    seconds_left: float,
    wall: float,
    on_reply: Callable[[Reply], None] | None = None,
) -> HeldAnswer:
    """The answer, held at its commit point.

    The model must begin to answer within `timeouts.first_byte` and the answer have content within `seconds_left`,
    whatever else the upstream sends until then; the body of a whole answer may take any time while it is not idle.
    `on_reply` is called once the headers have arrived, whether they bring an answer or an error.
    Raises AttemptFailed; the connection is closed then, and on cancellation.
    """
    first_byte = timeouts.first_byte if reader.stream is not None else max(timeouts.first_byte, timeouts.idle)
    patience = Patience(first_byte, timeouts.idle, max(seconds_left, SHORTEST_SECONDS))
    reply: Reply | None = None
    try:
        with patience:
            reply = await wire.send(call)
            if on_reply is not None:
                on_reply(reply)
            _expect_success(reply)
            if reply.status >= 400:
                raise AttemptFailed(await _reported_failure(reply))
            chunks = reply.chunks()
            return await _hold(reply, await _first_bytes(chunks), chunks, reader, patience)
    except BaseException as error:
        if reply is not None:
            await reply.close()
        if isinstance(error, TimeoutError):
            raise AttemptFailed(patience.failure(has_received=reply is not None)) from None
        if isinstance(error, RecordTooLarge):
            raise AttemptFailed(protocol_failure("sent an event that is too large")) from None
        if isinstance(error, RecursionError):
            raise AttemptFailed(protocol_failure(NESTED)) from None
        if isinstance(error, AttemptFailed) and reply is not None:
            failure = replace(error.failure, headers=given_back_with_error(reply.headers))
            raise AttemptFailed(_with_hints(failure, reply, wall)) from None
        raise


def _with_hints(failure: Failure, reply: Reply, wall: float) -> Failure:
    """The failure with the wait that headers and body ask for, for every status."""
    if failure.kind is not FailureKind.STATUS:
        return failure
    utc_offset = time.localtime(wall).tm_gmtoff
    error = with_hints(failure.error, dict(reply.headers), wall, utc_offset)
    # the official SDKs follow this header, which Switchyard's own final errors carry
    is_final = reply.header("x-should-retry").lower() == "false"
    return replace(failure, error=error, cause="final" if is_final else failure.cause)


def _expect_success(reply: Reply) -> None:
    if not 200 <= reply.status <= LAST_STATUS or 300 <= reply.status < 400:
        target = reply.header("location").partition("?")[0][:SHOWN_CHARS]
        hint = f" to {target}; redirects are never followed, correct base_url" if target else ""
        failure = protocol_failure(f"answered {reply.status}{hint}")
        raise AttemptFailed(replace(failure, cause="redirect" if target else ""))


async def _reported_failure(reply: Reply) -> Failure:
    """The error that the upstream returned in its body."""
    try:
        body = await reply.read_up_to(MAX_ERROR_BYTES)
    except AttemptFailed:
        body = b""
    return _failure(decode_error(reply.status, body), body, reply.content_type)


def _failure(error: WireError, body: bytes, content_type: str) -> Failure:
    return Failure(FailureKind.STATUS, error, body if len(body) <= MAX_KEPT_BYTES else b"", content_type)


async def _hold(
    reply: Reply, first: bytes | None, chunks: AsyncIterator[bytes], reader: Reader, patience: Patience
) -> HeldAnswer:
    if first is None:
        raise AttemptFailed(protocol_failure("answered without a body"))
    looks_like = _form_of(first)
    if looks_like == "json":
        body = _accepted(first if reply.has_ended else await _whole(first, _pieces(chunks, patience)))
        form, summary = _summary_without_error(reader, body)
        return HeldAnswer(reply, form, body, None, summary)
    if looks_like == "other":
        raise AttemptFailed(protocol_failure(f"answered {_described(reply, first)} instead of its protocol"))
    form, first = await _recognized(first, chunks, reader.codec.protocol)
    reader = reader.reading(form)
    if reader.stream is None:
        seen = PassthroughStream(reader.codec, "")
        body = _accepted(await _whole(first, _until_end(first, chunks, seen, patience)))
        _reject_broken_stream(seen)
        return HeldAnswer(reply, form, body, None, seen=seen)
    start = await _until_content(first, chunks, reader.stream, patience)
    return HeldAnswer(reply, form, start, reader.stream)


async def _recognized(
    first: bytes, chunks: AsyncIterator[bytes], expected: ProtocolName
) -> tuple[ProtocolName, bytes]:
    """The protocol of a stream, and all that has been read of it for that."""
    finder, pieces = FormFinder(expected), [first]
    while (form := finder.feed(pieces[-1])) is None:
        chunk = await anext(chunks, None)
        if chunk is None:
            return expected, b"".join(pieces)
        pieces.append(chunk)
    return form, b"".join(pieces)


async def _pieces(chunks: AsyncIterator[bytes], patience: Patience) -> AsyncIterator[bytes]:
    """What follows of a JSON body: the answer itself has begun."""
    patience.note(work_begun=True, content_begun=True)
    async for chunk in chunks:
        if not chunk.isspace():
            patience.note(work_begun=True, content_begun=True)
        yield chunk


async def _first_bytes(chunks: AsyncIterator[bytes]) -> bytes | None:
    """Enough of the body to see what it is, without a byte order mark: some clients would take the mark for a part
    of the first field's name."""
    blank = 0
    async for chunk in chunks:
        if chunk.strip(BLANKS):
            return chunk.lstrip(BOM)
        blank += len(chunk) + PIECE_COST
        if blank > MAX_ERROR_BYTES:
            break
    return None


BLANKS = b" \t\r\n" + BOM
"""what may precede the body, in pieces of any size, and is dropped; the byte order mark is among it"""
SSE_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")


def _form_of(seen: bytes) -> str:
    """By the body, not by the header, which is wrong in both ways."""
    start = seen.lstrip()
    if start[:1] in (b"{", b"["):
        return "json"
    if start.startswith(SSE_STARTS) or any(sign.startswith(start) for sign in SSE_STARTS):
        return "sse"
    return "other"


def _described(reply: Reply, first: bytes) -> str:
    kind = reply.content_type or "something"
    text = " ".join(first[:400].decode("utf-8", "replace").split())[:SHOWN_CHARS]
    return f"{kind} ({text})" if text.isprintable() else kind


async def _whole(first: bytes, chunks: AsyncIterator[bytes]) -> bytes:
    pieces, size = [first], len(first)
    async for chunk in chunks:
        pieces.append(chunk)
        size += len(chunk)
        if size > MAX_WHOLE_BYTES:
            raise AttemptFailed(protocol_failure(f"sent more than {MAX_WHOLE_BYTES >> 20} MB in one answer"))
    return b"".join(pieces)


def _accepted(body: bytes) -> bytes:
    """The body, unless it has more lists and objects than any answer. Raises AttemptFailed."""
    if is_overgrown(body):
        raise AttemptFailed(protocol_failure("sent more lists and objects than any answer has"))
    return body


def _summary_without_error(reader: Reader, body: bytes) -> tuple[ProtocolName, WholeSummary]:
    """The protocol of the answer, and what it reports.

    Some upstreams report errors with status 200; others send incomplete JSON. Raises AttemptFailed.
    """
    form = reader.codec.protocol
    if reader.summarize is not None:
        summary = reader.summarize(body)
    else:
        summary = INSPECTORS[form].summarize_whole(body, reads_usage=not reader.is_converted)
    is_decoded = summary.usage is not None or summary.model is not None
    if not is_decoded and not is_json(body):
        raise AttemptFailed(protocol_failure("sent JSON that breaks off or is broken"))
    if not is_decoded and body.lstrip().startswith(b"["):
        # no protocol has an answer that is a list, but some gateways report errors in one
        raise AttemptFailed(_failure(decode_error(HTTPStatus.BAD_GATEWAY, body), body, "application/json"))
    may_be_other = summary.error is not None and reader.other is not None
    if may_be_other and (other := form_of_whole(body)) not in (None, form):
        form = reader.reading(other).codec.protocol
        summary = INSPECTORS[form].summarize_whole(body)
    if summary.error is not None:
        raise AttemptFailed(_failure(summary.error, body, "application/json"))
    return form, summary


async def _until_end(
    first: bytes, chunks: AsyncIterator[bytes], seen: PassthroughStream, patience: Patience
) -> AsyncIterator[bytes]:
    """What follows the first bytes, up to the end of the protocol: some servers keep the connection open."""
    seen.feed(first)
    size = len(first)
    while not seen.finished and seen.failed is None:
        patience.note(seen.work_begun, seen.content_begun)
        try:
            chunk = await anext(chunks, None)
        except AttemptFailed:
            seen.break_forgiven()
            if not seen.finished:
                raise
            return
        if chunk is None:
            seen.close()
            return
        seen.feed(chunk)
        size += len(chunk)
        if size > MAX_HELD_BYTES and not seen.content_begun:
            raise AttemptFailed(protocol_failure(NO_CONTENT))
        yield chunk


def _reject_broken_stream(seen: PassthroughStream) -> None:
    """For a client that wants one body: nothing was sent to it yet, so even a late break allows failover."""
    if seen.failed is not None:
        raise AttemptFailed(Failure(FailureKind.STATUS, seen.failed))
    if not (seen.finished and seen.content_begun):
        raise AttemptFailed(truncated_failure())


async def _until_content(
    first: bytes, chunks: AsyncIterator[bytes], stream: Stream, patience: Patience
) -> bytes:
    """What goes to the client once the first content has arrived."""
    held = [stream.feed(first)]
    size = len(first)
    while not stream.content_begun and stream.failed is None and not stream.is_waiting:
        patience.note(stream.work_begun, stream.content_begun)
        chunk = await anext(chunks, None)
        if chunk is None:
            held.append(stream.close())
            break
        size += len(chunk)
        if size > MAX_HELD_BYTES:
            raise AttemptFailed(protocol_failure(NO_CONTENT))
        held.append(stream.feed(chunk))
    if stream.is_withheld and stream.failed is not None:
        # nothing of the answer has been sent, even if it has content
        raise AttemptFailed(withheld_failure(stream.failed))
    if stream.failed is not None and not stream.content_begun:
        kind = FailureKind.READ if stream.truncated else FailureKind.STATUS
        raise AttemptFailed(Failure(kind, stream.failed))
    if not (stream.content_begun or stream.is_waiting):
        # an end without a stop reason is no answer either
        raise AttemptFailed(truncated_failure())
    return b"".join(held)
