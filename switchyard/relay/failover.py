"""Answer a client's request from the upstreams of its route; the client does not see those that fail."""

import asyncio
import logging
import time

from msgspec.structs import replace

from switchyard.exchange import Exchange
from switchyard.protocols.ids import new_id
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.relay.answering import Answering
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.final_error import FinalError
from switchyard.relay.past_facts import note_facts
from switchyard.relay.repeats import recall
from switchyard.relay.reports import Reports
from switchyard.relay.search import Search
from switchyard.relay.stopwatch import Stopwatch
from switchyard.relay.values import ClientRequest, Sink, is_departure

MAX_AGENT_CHARS = 120

log = logging.getLogger("switchyard.relay")


class Relay:
    """Answers one request after another, and keeps nothing of them."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def answer(self, request: ClientRequest, sink: Sink) -> Exchange:
        """Answer the request into the sink. Cancel it when the client leaves: everything ends at once."""
        dependencies, request = self._dependencies, self._continued(request)
        exchange = _opened(request)
        dependencies.opened(exchange)
        stopwatch = Stopwatch(dependencies.awake)
        reports = Reports(dependencies, exchange)
        search = Search(dependencies, request, exchange, stopwatch, reports)
        answering = Answering(dependencies, request, exchange, sink, stopwatch, reports)
        try:
            found = recall(dependencies, request) or await search.find()
            if isinstance(found, FinalError):
                await answering.return_error(found)
            else:
                await answering.give(found)
        except asyncio.CancelledError as cancelled:
            reports.release()
            if is_departure(cancelled):
                await answering.abandoned()
                raise
            await answering.interrupted()
        except Exception as error:  # an error of ours: the client still gets a clear one
            log.exception("internal error in request %s", exchange.id)
            await answering.return_error(FinalError(_internal_error(error)))
        finally:
            reports.release()
            answering.stop()
            note_facts(request, exchange)
        return exchange

    def _continued(self, request: ClientRequest) -> ClientRequest:
        """A request that names an earlier answer belongs to its conversation, and to the upstream that gave it."""
        dependencies = self._dependencies
        answer = dependencies.answers.continued(request)
        if answer is None:
            return request
        session = request.summary.session or answer.session
        dependencies.sessions.remember_session(session, answer.upstream, dependencies.monotonic())
        return replace(request, summary=replace(request.summary, session=session))


def _internal_error(error: Exception) -> WireError:
    message = f"Switchyard itself failed ({type(error).__name__}); the log in json_data/logs has the details."
    return WireError(ErrorType.SERVER, message, 500)


def _opened(request: ClientRequest) -> Exchange:
    agent = _agent_of(request)
    return Exchange(
        id=new_id("x_"),
        at=time.time(),
        client_protocol=request.protocol,
        requested_model=request.summary.model,
        client=request.client,
        client_agent=agent[:MAX_AGENT_CHARS],
        session=request.summary.session,
        thread=request.summary.thread,
        stream=request.summary.stream,
        kind=request.kind,
    )


def _agent_of(request: ClientRequest) -> str:
    for name, value in request.headers:
        if name == "user-agent":
            return value
    return ""
