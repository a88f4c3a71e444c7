"""Test an upstream step by step: its name, a connection, TLS, the status, the model's answer, and other addresses."""

from contextlib import suppress
from dataclasses import dataclass

from switchyard.exchange import Exchange
from switchyard.relay.alone import Heard, ask_alone
from switchyard.relay.failures import AttemptFailed
from switchyard.relay.reach import Step, reach
from switchyard.relay.surroundings import Surroundings
from switchyard.relay.upstream import Call, environment_proxy
from switchyard.relay.urls import request_url, sibling_urls
from switchyard.settings import Upstream, timeouts_of

PATIENCE_SECONDS = 60.0
WRONG_ADDRESS = frozenset({404, 405})


@dataclass(frozen=True, slots=True)
class Report:
    """How it went. `working_url` is a form of the address that is known where the usual one is not."""

    ok: bool
    url: str
    model: str
    steps: tuple[Step, ...]
    answer: str = ""
    working_url: str = ""
    seconds: float = 0.0


async def test_upstream(around: Surroundings, upstream: Upstream, model: str) -> Report:
    """As far as it comes; the question itself is recorded as a test. Health and sessions are untouched."""
    steps: tuple[Step, ...] = ()
    if not upstream.is_demo:
        url = request_url(upstream, model)
        proxy = upstream.proxy or environment_proxy(url)
        steps = await reach(url, proxy, timeouts_of(upstream, around.settings()).connect)
        if not steps[-1].ok:
            return Report(False, url, model, steps)
    heard = await ask_alone(around, upstream, "test", PATIENCE_SECONDS, model)
    attempt = heard.exchange.attempts[-1] if heard.exchange.attempts else None
    return Report(
        ok=heard.ok,
        url=attempt.url if attempt else "",
        model=attempt.model if attempt else model,
        steps=steps + _asked(heard),
        answer=heard.text if heard.ok else "",
        working_url=await _working_url(around, upstream, model, heard.exchange),
        seconds=heard.exchange.duration or 0.0,
    )


def _asked(heard: Heard) -> tuple[Step, ...]:
    exchange = heard.exchange
    first, whole = exchange.first_byte or exchange.duration or 0.0, exchange.duration or 0.0
    if not heard.ok:
        status = exchange.attempts[-1].status if exchange.attempts else None
        return (Step("status", False, whole, f"{status} {heard.text}" if status else heard.text),)
    return (
        Step("status", True, first, str(exchange.status or 200)),
        Step("answer", True, max(0.0, whole - first), heard.text or "(empty)"),
    )


async def _working_url(around: Surroundings, upstream: Upstream, model: str, exchange: Exchange) -> str:
    """The first other form of the address that the upstream knows; "" if the usual one is known, or none is."""
    status = exchange.attempts[-1].status if exchange.attempts else None
    if status not in WRONG_ADDRESS or upstream.is_demo:
        return ""
    for url in sibling_urls(upstream, model):
        with suppress(AttemptFailed):
            found = await _status_at(around, upstream, url)
            if found not in WRONG_ADDRESS and found < 500:
                return url
    return ""


async def _status_at(around: Surroundings, upstream: Upstream, url: str) -> int:
    """What an empty request without any key gets there: 400 or 401 is an address that exists. Raises AttemptFailed."""
    call = Call(
        url=url,
        headers=[("content-type", "application/json"), ("accept-encoding", "identity")],
        body=b"{}",
        connect_seconds=timeouts_of(upstream, around.settings()).connect,
        proxy=upstream.proxy,
        upstream=upstream.name,
    )
    reply = await around.wire.send(call)
    await reply.close()
    return reply.status
