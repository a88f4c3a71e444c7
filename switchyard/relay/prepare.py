"""The client's request as one upstream gets it: untouched but for the model where both speak the same protocol."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec

from switchyard.protocols import neutral, thinking
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.carrier import PREFIX as CARRIER_PREFIX
from switchyard.protocols.codec import Codec, SentRequest, Target
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.servers import capabilities_of
from switchyard.protocols.splice import insert_member, splice_model
from switchyard.relay.values import ClientRequest
from switchyard.routing.route import Candidate
from switchyard.settings import Upstream

MAX_CACHE_MARKS = 4
CACHE_MARK = b'"cache_control"'
INCLUDE_USAGE = b'"stream_options":{"include_usage":true}'
BYTES_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Prepared:
    """`sent` is None on the untouched path."""

    body: bytes
    protocol: ProtocolName
    hide_usage: bool = False
    sent: SentRequest | None = None
    request: neutral.Request | None = None
    losses: tuple[neutral.Loss, ...] = ()
    input_estimate: int = 0


def issuer_of(upstream: Upstream) -> str:
    """Marks opaque data: entries with the same address share it, whatever their keys."""
    return blake2b(f"{upstream.protocol} {upstream.base_url.rstrip('/')}".encode(), digest_size=6).hexdigest()


def protocol_for(upstream: Upstream, client_protocol: ProtocolName) -> ProtocolName:
    """What is spoken with this upstream; the demo speaks whatever the client does."""
    return client_protocol if upstream.is_demo else upstream.protocol


def target_for(candidate: Candidate, protocol: ProtocolName, learned: dict[str, Any]) -> Target:
    upstream = candidate.upstream
    if upstream.is_demo:
        return Target(candidate.model, "demo", Capabilities())
    capabilities = capabilities_of(
        upstream.server, upstream.base_url, protocol, learned, upstream.capabilities
    )
    return Target(candidate.model, issuer_of(upstream), capabilities)


class Preparation:
    """Prepares one client request for one candidate after another; decodes it at most once."""

    def __init__(self, request: ClientRequest, codecs: Mapping[ProtocolName, Codec]) -> None:
        self._request = request
        self._codecs = codecs
        self._neutral: neutral.Request | None = None

    def prepare(self, candidate: Candidate, target: Target, *, strip_thinking: bool = False) -> Prepared:
        """The body for this candidate. Raises BadRequest where its meaning would be lost."""
        protocol = protocol_for(candidate.upstream, self._request.protocol)
        if protocol == self._request.protocol:
            return self._untouched(candidate, target, strip_thinking)
        return self._converted(candidate, target, protocol, strip_thinking)

    def _converted(
        self, candidate: Candidate, target: Target, protocol: ProtocolName, strip_thinking: bool
    ) -> Prepared:
        request = self.decoded()
        if candidate.thinking:
            request = thinking.with_thinking(request)
        if strip_thinking:
            request = thinking.without_history(request)
        sent = self._codecs[protocol].encode_request(request, target)
        return Prepared(
            body=sent.body,
            protocol=protocol,
            sent=sent,
            request=request,
            losses=(*request.losses, *sent.losses),
            input_estimate=sent.input_estimate or len(sent.body) // BYTES_PER_TOKEN,
        )

    def decoded(self) -> neutral.Request:
        """The request in the neutral form. Raises BadRequest."""
        if self._neutral is None:
            self._neutral = self._codecs[self._request.protocol].decode_request(self._request.body)
        return self._neutral

    def _untouched(self, candidate: Candidate, target: Target, strip_thinking: bool) -> Prepared:
        request, head = self._request, self._request.head
        codec = self._codecs[request.protocol]
        body = request.body
        if candidate.thinking or strip_thinking or _may_need_repair(body, target):
            document = msgspec.json.decode(body)
            changed = codec.repair_request(document, target)
            if candidate.thinking:
                thinking.turn_on(request.protocol, document)
            if strip_thinking:
                thinking.strip_history(request.protocol, document)
            if changed or candidate.thinking or strip_thinking:
                body = msgspec.json.encode(document)
        hide_usage = self._wants_usage_injected(target)
        if hide_usage and not head.has_stream_options:
            body = insert_member(body, INCLUDE_USAGE)
        if head.model != target.model:
            body = splice_model(body, target.model)
        return Prepared(
            body=body,
            protocol=request.protocol,
            hide_usage=hide_usage,
            input_estimate=len(body) // BYTES_PER_TOKEN,
        )

    def _wants_usage_injected(self, target: Target) -> bool:
        """Chat upstreams report usage in a stream only when asked."""
        head = self._request.head
        return (
            self._request.protocol == "chat"
            and head.stream
            and not head.wants_usage
            and target.capabilities.include_usage
        )


def _may_need_repair(body: bytes, target: Target) -> bool:
    """False if the body can be sent as it is without even parsing it; the usual case."""
    return (
        target.capabilities != Capabilities()
        or CARRIER_PREFIX.encode() in body
        or body.count(CACHE_MARK) > MAX_CACHE_MARKS
    )
