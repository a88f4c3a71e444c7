"""Carry a stream past its commit point to the client: pump, watch, tell a break, settle before the end is seen."""

from collections.abc import Awaitable, Callable

from switchyard.exchange import Failure, FailureKind
from switchyard.protocols.neutral import WireError
from switchyard.protocols.sse import RecordTooLarge
from switchyard.relay.attempt import Held, Stream
from switchyard.relay.failures import (
    NESTED,
    AttemptFailed,
    protocol_failure,
    timeout_failure,
    truncated_failure,
)
from switchyard.relay.idle_timeout import IdleTimeout
from switchyard.relay.keep_alive import KeepAlive

END_SECONDS = 3.0
"""so long an answer that is complete waits for its end: some servers just keep the connection open"""

Settle = Callable[[Failure | None], Awaitable[None]]
"""Notes the end (and the failure, if it broke) in the journal: awaited before the client can see that end."""


Phrase = Callable[[Failure], WireError]
"""What the client is told of a break."""


Hide = Callable[[bytes], bytes]
"""Blanks what the upstream must not repeat in its own last words."""


async def deliver_stream(
    held: Held,
    stream: Stream,
    keep_alive: KeepAlive,
    idle_seconds: float,
    settle: Settle,
    phrase: Phrase,
    hide: Hide,
) -> None:
    """Pump a held stream to its end. The caller has started the answer, and closes the reply."""
    if _is_over(stream):
        failure = _failure_reported(stream)
        out = held.start
    else:
        await keep_alive.write(held.start)
        failure, out = await _pump(held, stream, keep_alive, idle_seconds)
    if failure is not None:
        out = hide(out)
    if failure is not None and stream.owes_an_end:
        out += stream.break_off(phrase(failure))
    await settle(failure)
    if out:
        await keep_alive.write(out)


async def _pump(
    held: Held, stream: Stream, keep_alive: KeepAlive, idle_seconds: float
) -> tuple[Failure | None, bytes]:
    """Forward until the end is near: the failure, if any, and the last bytes, not yet written."""
    try:
        with IdleTimeout(idle_seconds) as idle:
            records = stream.records
            if stream.is_complete:
                idle.restart(min(END_SECONDS, idle_seconds))
            async for chunk in held.reply.chunks():
                out = stream.feed(chunk)
                if _is_over(stream):
                    return _failure_reported(stream), out
                if out:
                    idle.pause()  # a client that is slow to read is no fault of the upstream's
                    await keep_alive.write(out)
                if not stream.is_complete:
                    idle.touch()
                elif stream.records > records:
                    idle.restart(min(END_SECONDS, idle_seconds))
                    records = stream.records
                else:
                    idle.resume()  # signs of life, of an upstream that has nothing more to say
            out = stream.close()
    except TimeoutError:
        await held.reply.close()  # the rest of a body is not waited for any longer than that
        return _broken(stream, timeout_failure(FailureKind.IDLE_TIMEOUT, idle_seconds))
    except AttemptFailed as broken:
        return _broken(stream, broken.failure)
    except RecordTooLarge:
        return protocol_failure("sent an event or an answer beyond all measure"), b""
    except RecursionError:
        return protocol_failure(NESTED), b""
    if _is_over(stream):
        return _failure_reported(stream), out
    return truncated_failure(), out


def _broken(stream: Stream, failure: Failure) -> tuple[Failure | None, bytes]:
    out = stream.break_forgiven()
    return (None, out) if stream.finished else (failure, b"")


def _is_over(stream: Stream) -> bool:
    return stream.finished or stream.failed is not None


def _failure_reported(stream: Stream) -> Failure | None:
    if stream.failed is None:
        return None
    if stream.truncated:
        return truncated_failure()
    return Failure(FailureKind.STATUS, stream.failed)
