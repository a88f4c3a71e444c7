"""Deliver a stream to the client from its first content on, and return how it ended."""

from collections.abc import Awaitable, Callable

import msgspec

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.neutral import WireError
from switchyard.protocols.sse import RecordTooLarge
from switchyard.relay.attempt import HeldAnswer, Stream
from switchyard.relay.failures import (
    NESTED,
    AttemptFailed,
    protocol_failure,
    timeout_failure,
    truncated_failure,
    withheld_failure,
)
from switchyard.relay.idle_timeout import IdleTimeout
from switchyard.relay.keep_alive import KeepAlive

END_SECONDS = 3.0
"""how long a complete answer waits for the end of its body: some servers keep the connection open"""


Settle = Callable[[Stream], Awaitable[bytes]]
"""Waits for the decision about a call of the stream: what may pass then. Raises AttemptFailed."""


async def _as_it_is(stream: Stream) -> bytes:
    return stream.release()


class Delivered(msgspec.Struct, frozen=True):
    """How a stream ended. `last` is not written yet: the end is recorded before the client can see it."""

    failure: Failure | None
    last: bytes


async def deliver_stream(
    held: HeldAnswer, stream: Stream, keep_alive: KeepAlive, idle_seconds: float, settle: Settle = _as_it_is
) -> Delivered:
    """Write all but the last bytes. The caller has started the answer, writes the last bytes and closes the reply."""
    if _is_over(stream):
        return await _give_start(held.start, _reported_failure(stream), keep_alive)
    await keep_alive.write(held.start)
    try:
        return await _pump(held, stream, keep_alive, idle_seconds, settle)
    except TimeoutError:
        await held.reply.close()  # what follows a complete answer is not waited for any longer
        return _broken(stream, timeout_failure(FailureKind.IDLE_TIMEOUT, idle_seconds))
    except AttemptFailed as broken:
        return Delivered(broken.failure, b"") if stream.is_withheld else _broken(stream, broken.failure)
    except RecordTooLarge as broken:
        return Delivered(protocol_failure("sent an event or an answer that is too large"), broken.given)
    except RecursionError:
        return Delivered(protocol_failure(NESTED), b"")


async def _give_start(start: bytes, failure: Failure | None, keep_alive: KeepAlive) -> Delivered:
    """Of a stream that has ended with its first bytes: its content does not wait until the end is recorded."""
    behind_content = start.rfind(b"\n\n", 0, -2)
    if failure is not None or behind_content < 0:
        return Delivered(failure, start)
    last = behind_content + 2
    await keep_alive.write(start[:last])
    return Delivered(None, start[last:])


def closing_bytes(stream: Stream, last: bytes, error: WireError) -> bytes:
    """What a client still gets of a broken stream: the last bytes, and the error unless they hold one already."""
    return last + stream.break_off(error) if stream.owes_an_end else last


async def _pump(
    held: HeldAnswer, stream: Stream, keep_alive: KeepAlive, idle_seconds: float, settle: Settle
) -> Delivered:
    """Forward chunks until the end. Raises TimeoutError and what reading a reply or a record raises."""
    with IdleTimeout(idle_seconds) as idle:
        records = stream.records
        if stream.is_complete:
            idle.restart(min(END_SECONDS, idle_seconds))
        async for chunk in held.reply.chunks():
            out = stream.feed(chunk)
            if stream.is_waiting:
                idle.pause()  # the user decides, and the upstream is not read meanwhile
                await keep_alive.write(out)
                out = await settle(stream)
            if _is_over(stream):
                return Delivered(_reported_failure(stream), out)
            if out:
                idle.pause()  # a slow client is no failure of the upstream
                await keep_alive.write(out)
            if not stream.is_complete:
                idle.touch()
            elif stream.records > records:
                idle.restart(min(END_SECONDS, idle_seconds))
                records = stream.records
            else:
                idle.resume()  # keep-alives of an upstream that has nothing more to send
        out = stream.close()
        if stream.is_waiting:
            idle.pause()
            out += await settle(stream)
    return Delivered(_reported_failure(stream) if _is_over(stream) else truncated_failure(), out)


def _broken(stream: Stream, failure: Failure) -> Delivered:
    """A stream that breaks after its content is complete counts as finished."""
    out = stream.break_forgiven()
    return Delivered(None, out) if stream.finished else Delivered(failure, b"")


def _is_over(stream: Stream) -> bool:
    return stream.finished or stream.failed is not None


def _reported_failure(stream: Stream) -> Failure | None:
    """The error that the upstream reported within its stream, if any."""
    if stream.failed is None:
        return None
    if stream.is_withheld:
        return withheld_failure(stream.failed)
    if stream.truncated:
        return truncated_failure()
    return Failure(FailureKind.STATUS, stream.failed)
