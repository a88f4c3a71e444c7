"""Answer a client's request from the upstreams of its route; the client notices nothing of those that fail."""

import asyncio
import logging
import time

from switchyard.exchange import Exchange
from switchyard.protocols.ids import new_id
from switchyard.protocols.neutral import ErrorType, WireError
from switchyard.relay.answering import Answering
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.final_error import FinalError
from switchyard.relay.repeats import recall
from switchyard.relay.search import Search
from switchyard.relay.values import ClientRequest, Sink

MAX_AGENT_CHARS = 120

log = logging.getLogger("switchyard.relay")


class Relay:
    """Answers one request after another, and keeps nothing of them."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies = dependencies

    async def answer(self, request: ClientRequest, sink: Sink) -> Exchange:
        """Answer the request into the sink. Cancel it when the client leaves: everything ends at once."""
        exchange = _opened(request)
        self._dependencies.opened(exchange)
        health = self._dependencies.state().health
        search = Search(self._dependencies, request, exchange)
        answering = Answering(self._dependencies, request, exchange, search, sink)
        try:
            found = recall(self._dependencies, request) or await search.find()
            if isinstance(found, FinalError):
                await answering.return_error(found)
            else:
                await answering.give(found)
        except asyncio.CancelledError as cancelled:
            health.release(exchange.id)
            # the server gives its reason when it ends and can wait no longer; a client just leaves
            if not cancelled.args:
                await answering.abandoned()
                raise
            await answering.interrupted()
        except Exception as fault:  # a fault of ours: the client still gets its one clear error
            log.exception("fault in exchange %s", exchange.id)
            await answering.return_error(FinalError(_own_fault(fault)))
        finally:
            health.release(exchange.id)
            answering.stop()
        return exchange


def _own_fault(fault: Exception) -> WireError:
    message = f"Switchyard itself failed ({type(fault).__name__}); the log in json_data/logs has the details."
    return WireError(ErrorType.SERVER, message, 500)


def _opened(request: ClientRequest) -> Exchange:
    agent = next((value for name, value in request.headers if name == "user-agent"), "")
    return Exchange(
        id=new_id("x_"),
        at=time.time(),
        client_protocol=request.protocol,
        model_asked=request.summary.model,
        client=request.client,
        client_agent=agent[:MAX_AGENT_CHARS],
        session=request.summary.session,
        stream=request.summary.stream,
        kind=request.kind,
    )
