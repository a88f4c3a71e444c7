"""Return the final error to the client, in the form that makes its program do what helps."""

import math

from switchyard.exchange import Exchange
from switchyard.protocols.errors.final_reply import (
    CLIENT_KEY,
    ENDINGS,
    JSON,
    Cause,
    Ending,
    Form,
    Reply,
    Situation,
    cause_of,
    error_in_stream,
    reply,
)
from switchyard.protocols.neutral import ErrorType
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.end_record import EndRecord
from switchyard.relay.final_error import FinalError
from switchyard.relay.headers import answer_headers
from switchyard.relay.repeats import remember
from switchyard.relay.values import ClientRequest, Sink
from switchyard.settings import Settings

ASKS_ONCE_MORE = 404
"""after this Claude Code repeats its stream as a whole request"""


def ending_for(request: ClientRequest, cause: Cause) -> Ending:
    """How the program that sent the request gets an error with this cause."""
    return ENDINGS[request.summary.program][cause]


class ErrorReturn:
    """`settings` are those under which the request began."""

    def __init__(
        self,
        dependencies: Dependencies,
        request: ClientRequest,
        exchange: Exchange,
        sink: Sink,
        end_record: EndRecord,
        settings: Settings,
    ) -> None:
        self._dependencies = dependencies
        self._request = request
        self._exchange = exchange
        self._sink = sink
        self._end_record = end_record
        self._settings = settings

    async def give(self, final: FinalError, situation: Situation | None = None) -> None:
        """The error, to its end. No keep-alive may be written from now on."""
        recovery = final.recovery_seconds
        cause = situation or cause_of(final.error, recovery, hold_used_up=final.hold_used_up)
        ending = ending_for(self._request, cause)
        if final.of_client_key and ending.type is not None:
            ending = CLIENT_KEY
        if ending.form is Form.CUT:
            await self._end_record.write()
            await self._sink.cut()
        elif self._sink.started:
            await self._give_in_stream(final, ending)
        else:
            await self._give_whole(final, ending)

    async def _give_in_stream(self, final: FinalError, ending: Ending) -> None:
        self._expect_repeat(final, ending)
        await self._end_record.write()
        codec = self._dependencies.codecs[self._request.protocol]
        shown = error_in_stream(final.error, ending, final.recovery_seconds)
        await self._sink.end(codec.encode_break(shown, b""))

    async def _give_whole(self, final: FinalError, ending: Ending) -> None:
        answer = self._whole(final, ending)
        if answer.status != 200:
            self._exchange.status = answer.status
        if answer.status == ASKS_ONCE_MORE:
            self._expect_repeat(final, ending)
        await self._end_record.write()
        attempts = len(self._exchange.attempts)
        headers = [
            ("content-type", answer.content_type),
            *answer.headers,
            *final.headers,
            *answer_headers(final.upstream, attempts),
        ]
        await self._sink.start(answer.status, headers)
        await self._sink.end(answer.body)

    def _whole(self, final: FinalError, ending: Ending) -> Reply:
        reported = final.reported
        if reported is not None:
            wait = reported.retry_after
            hint = () if wait is None else (("retry-after", str(math.ceil(wait))),)
            return Reply(reported.status, JSON, hint, reported.body)
        codec = self._dependencies.codecs[self._request.protocol]
        recovery = final.recovery_seconds if final.recovery_seconds is not None else final.error.retry_after
        stream = self._request.summary.stream
        return reply(codec, final.error, ending, stream=stream, recovery_seconds=recovery)

    def _expect_repeat(self, final: FinalError, ending: Ending) -> None:
        """The client repeats the request without a stream; an error of its own it may have corrected by then."""
        if (
            ending.stops_retries
            and final.reported is None
            and not final.of_client_key
            and final.error.type is not ErrorType.INVALID_REQUEST
        ):
            remember(self._dependencies, self._request, final.error, self._settings)
