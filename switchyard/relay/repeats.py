"""Answer the whole request with which Claude Code repeats a stream that has ended with a final error."""

from switchyard.protocols.client_program import ClientProgram
from switchyard.protocols.neutral import WireError
from switchyard.protocols.turn import turn_of
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.final_error import FinalError
from switchyard.relay.values import ClientRequest
from switchyard.settings import Settings


def remember(
    dependencies: Dependencies, request: ClientRequest, error: WireError, settings: Settings
) -> None:
    """The stream ends with this error under these settings; a whole request is not repeated in this way."""
    if request.summary.stream:
        dependencies.final_errors.remember(_turn(request), error, settings, dependencies.monotonic())


def recall(dependencies: Dependencies, request: ClientRequest) -> FinalError | None:
    """The error with which the turn of this repeat has ended, so that no upstream is asked again."""
    if request.summary.stream or not dependencies.final_errors:
        return None
    if request.summary.program is not ClientProgram.CLAUDE_CODE:
        return None
    error = dependencies.final_errors.take(_turn(request), dependencies.settings(), dependencies.monotonic())
    return None if error is None else FinalError(error)


def _turn(request: ClientRequest) -> str:
    return turn_of(request.protocol, request.summary, dict(request.headers), request.body)
