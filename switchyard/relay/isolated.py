"""Send one tiny probe to one upstream, regardless of its calendar and its cooldowns."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace
from msgspec.structs import replace as changed

from switchyard.exchange import Exchange, Outcome
from switchyard.protocols import neutral
from switchyard.protocols.codec import Codec, SentRequest, Target
from switchyard.protocols.fold import fold
from switchyard.protocols.names import ModelName, ProtocolName, is_glob
from switchyard.protocols.request_summary import read_request_summary
from switchyard.protocols.sse import SseDecoder
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.failover import Relay
from switchyard.relay.headers import OUR_USER_AGENT, Headers
from switchyard.relay.redaction import redacted_text, secrets_of
from switchyard.relay.values import ClientRequest
from switchyard.routing.health import Health
from switchyard.routing.lineup import served_model
from switchyard.routing.quotas import Quotas
from switchyard.routing.route import State
from switchyard.routing.sessions import Sessions
from switchyard.settings import (
    CLAUDE_SONNET,
    WEEKDAYS,
    Failover,
    ModelRule,
    Settings,
    TimeoutOverrides,
    Upstream,
)
from switchyard.timeouts import timeouts_of

MAX_OUTPUT_TOKENS = 16
SHOWN_CHARS = 200
MAX_KEPT_BYTES = 256 * 1024
WELL_KNOWN: dict[ProtocolName, str] = {"messages": CLAUDE_SONNET, "chat": "gpt-5.5", "responses": "gpt-5.5"}
PINGS: dict[ProtocolName, Mapping[str, Any]] = {
    "messages": {"max_tokens": MAX_OUTPUT_TOKENS, "messages": [{"role": "user", "content": "ping"}]},
    "chat": {"max_tokens": MAX_OUTPUT_TOKENS, "messages": [{"role": "user", "content": "ping"}]},
    # relays of Codex accounts only stream, and store nothing
    "responses": {
        "max_output_tokens": MAX_OUTPUT_TOKENS,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "ping"}]}],
        "store": False,
        "stream": True,
    },
}


class ProbeResult(msgspec.Struct, frozen=True):
    """How it went; `text` is the model's answer, shortened, or what went wrong."""

    exchange: Exchange
    text: str

    @property
    def ok(self) -> bool:
        return self.exchange.outcome is Outcome.OK


async def ask_isolated(
    dependencies: Dependencies,
    upstream: Upstream,
    kind: str,
    patience_seconds: float,
    model: str = "",
    rules: tuple[ModelRule, ...] = (),
) -> ProbeResult:
    """The answer of this upstream and no other. Its health and sessions stay as they are for clients."""
    protocol = upstream.protocol
    body = msgspec.json.encode({"model": model or usual_model(upstream), **PINGS[protocol]})
    headers: Headers = [("user-agent", OUR_USER_AGENT)]
    request = ClientRequest(protocol, body, read_request_summary(protocol, body, {}), headers, kind=kind)
    sink = _Kept()
    exchange = await Relay(_isolated(dependencies, upstream, patience_seconds, rules)).answer(request, sink)
    if exchange.outcome is Outcome.OK:
        secrets = await asyncio.to_thread(secrets_of, upstream)
        text = redacted_text(answer_text(dependencies.codecs[protocol], bytes(sink.body)), secrets)
        return ProbeResult(exchange, text[:SHOWN_CHARS])
    return ProbeResult(exchange, what_failed(exchange))


def usual_model(upstream: Upstream) -> str:
    """A model that this upstream serves: the first that it names, else a common one of its protocol."""
    known = WELL_KNOWN[upstream.protocol]
    exact = [name for name in upstream.models if not is_glob(name)]
    globs = [name.replace("*", "").replace("?", "") for name in upstream.models if is_glob(name)]
    return next((name for name in (*exact, known, *globs) if name and _serves(upstream, name)), known)


def _serves(upstream: Upstream, model: str) -> bool:
    return served_model((), upstream, upstream.protocol, ModelName.read(model)) is not None


def what_failed(exchange: Exchange) -> str:
    """The failure as the upstream reported it, without what only clients need."""
    last = exchange.attempts[-1].failure if exchange.attempts else None
    if last is not None:
        return last.message
    return exchange.failure.message if exchange.failure is not None else str(exchange.outcome)


def answer_text(codec: Codec, body: bytes) -> str:
    """The text of a whole answer, whichever form it has."""
    sent = SentRequest(b"", Target("", ""))
    if body.lstrip()[:1] == b"{":
        events = codec.decode_response(body, sent)
    else:
        decoder, records = codec.stream_decoder(sent), SseDecoder()
        seen = records.feed(body) + records.close()
        events = [event for record in seen for event in decoder.decode(record)] + decoder.close()
    response = fold(events)
    if isinstance(response, neutral.WireError):
        return ""
    texts = [block.text for block in response.content if isinstance(block, neutral.Text | neutral.Refusal)]
    return " ".join(" ".join(texts).split())


# --- dependencies with only one upstream ---------------------------------------


def _isolated(
    dependencies: Dependencies, upstream: Upstream, patience_seconds: float, rules: tuple[ModelRule, ...]
) -> Dependencies:
    """The probe counts against its limits but does not wait for them; its failures do not affect clients."""
    settings = _only(dependencies.settings(), upstream, patience_seconds, rules)
    state = State(Health(), dependencies.state().limits)
    is_saved = dependencies.settings().account(upstream.account) == upstream
    return replace(
        dependencies,
        settings=lambda: settings,
        state=lambda: state,
        sessions=Sessions(),
        quotas=dependencies.quotas if is_saved else Quotas(),
    )


def _only(
    settings: Settings, upstream: Upstream, patience_seconds: float, rules: tuple[ModelRule, ...]
) -> Settings:
    limits = timeouts_of(upstream, settings)
    entry = changed(
        upstream,
        enabled=True,
        clients=(upstream.protocol,),
        role="primary",
        weekdays=WEEKDAYS,
        hours="",
        max_concurrency=0,
        requests_per_minute=0,
        timeouts=TimeoutOverrides(
            connect=min(limits.connect, patience_seconds),
            first_byte=min(limits.first_byte, patience_seconds),
            idle=min(limits.idle, patience_seconds),
        ),
    )
    failover = Failover(total_seconds=2 * patience_seconds, keep_alive_seconds=3600, hold_seconds=0)
    return changed(settings, upstreams=(entry,), model_rules=rules, failover=failover)


class _Kept:
    """A sink that keeps the beginning of the answer."""

    def __init__(self) -> None:
        self.started = False
        self.body = bytearray()

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True

    async def write(self, data: bytes) -> None:
        self.body += data[: MAX_KEPT_BYTES - len(self.body)]

    async def end(self, data: bytes = b"") -> None:
        await self.write(data)

    async def cut(self) -> None:
        return None
