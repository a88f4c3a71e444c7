"""Note the facts of a request that has ended, so that rules can be tried on past requests."""

import asyncio

from msgspec.structs import replace

from switchyard.exchange import Exchange
from switchyard.protocols.facts import BODY_FACTS, Facts
from switchyard.protocols.read_facts import read_facts
from switchyard.relay.prepare import BYTES_PER_TOKEN, OFF_LOOP_BYTES
from switchyard.relay.values import ClientRequest


def note_facts(request: ClientRequest, exchange: Exchange) -> None:
    """Only requests of clients follow rules. A large body is read in a thread."""
    if request.kind != "request":
        return
    if len(request.body) > OFF_LOOP_BYTES:
        asyncio.get_running_loop().run_in_executor(None, _note, request, exchange)
    else:
        _note(request, exchange)


def _note(request: ClientRequest, exchange: Exchange) -> None:
    facts = facts_of(request, project=exchange.project)
    exchange.facts = replace(
        facts,
        agent=exchange.client_agent,
        tokens=_tokens(request, exchange),
    )


def facts_of(request: ClientRequest, wanted: frozenset[str] = BODY_FACTS, project: str = "") -> Facts:
    """What the request itself states; its `project`, if that is known."""
    return read_facts(
        request.protocol,
        request.summary,
        dict(request.headers),
        request.body,
        wanted,
        compacts=request.compacts,
        client_key=request.client,
        project=project,
    )


def _tokens(request: ClientRequest, exchange: Exchange) -> int:
    """Those of the prompt that the upstream reported; without a report by the size of the body."""
    reported = 0 if exchange.usage is None else exchange.usage.total_input
    return reported or len(request.body) // BYTES_PER_TOKEN
