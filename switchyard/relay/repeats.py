"""Answer the whole request by which Claude Code repeats a stream that has ended with a final error."""

from switchyard.protocols.client_program import ClientProgram, program_of
from switchyard.protocols.neutral import WireError
from switchyard.protocols.turn import turn_of
from switchyard.relay.final_error import FinalError
from switchyard.relay.surroundings import Surroundings
from switchyard.relay.values import ClientRequest
from switchyard.settings import Settings


def remember(around: Surroundings, request: ClientRequest, error: WireError, settings: Settings) -> None:
    """The stream ends with this error under these settings; a whole request has no such repeat."""
    if request.head.stream:
        around.final_errors.remember(_turn(request), error, settings, around.monotonic())


def recall(around: Surroundings, request: ClientRequest) -> FinalError | None:
    """The error by which the turn of this repeat has ended, so that no upstream is asked again."""
    if request.head.stream or not around.final_errors:
        return None
    if program_of(request.protocol, dict(request.headers)) is not ClientProgram.CLAUDE_CODE:
        return None
    error = around.final_errors.take(_turn(request), around.settings(), around.monotonic())
    return None if error is None else FinalError(error)


def _turn(request: ClientRequest) -> str:
    return turn_of(request.protocol, request.head, dict(request.headers), request.body)
