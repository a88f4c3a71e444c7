"""The client's request as one upstream gets it: passed through where both speak one protocol, else converted."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec.structs import replace

from switchyard.protocols import neutral, search_error, thinking
from switchyard.protocols.capabilities import Capabilities
from switchyard.protocols.codec import BadRequest, Codec, SentRequest, Target
from switchyard.protocols.compaction import compaction_request
from switchyard.protocols.conversion import convert_request
from switchyard.protocols.estimate import estimate_tokens
from switchyard.protocols.message_memory import LEAST_BYTES, History, MessageMemory
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.passthrough import prepare as passthrough
from switchyard.protocols.passthrough.model_name import rewrite_model_name
from switchyard.protocols.passthrough.peek import history_in, watched_members
from switchyard.protocols.presets import capabilities_of
from switchyard.protocols.request_changes import with_changes, with_members
from switchyard.protocols.tools.names import unique_names
from switchyard.relay.signatures import CallLedger
from switchyard.relay.values import ClientRequest
from switchyard.routing.lineup import Candidate
from switchyard.settings import Upstream

BYTES_PER_TOKEN = 4
OFF_LOOP_BYTES = 512 * 1024
"""larger bodies are converted in a thread, so that other requests are not delayed"""


class Prepared(msgspec.Struct, frozen=True):
    """`sent` and `request` are None where the request is passed through."""

    body: bytes
    protocol: ProtocolName
    target: Target
    hide_usage: bool = False
    sent: SentRequest | None = None
    request: neutral.Request | None = None
    losses: tuple[neutral.Loss, ...] = ()
    input_estimate: int = 0


@lru_cache(maxsize=1024)
def issuer_of(protocol: ProtocolName, base_url: str) -> str:
    """Marks opaque data: entries with the same address share it, whatever their keys."""
    return blake2b(f"{protocol} {base_url.rstrip('/')}".encode(), digest_size=6).hexdigest()


def protocol_for(upstream: Upstream, client_protocol: ProtocolName) -> ProtocolName:
    """The protocol of this upstream; the demo has that of the client."""
    return client_protocol if upstream.is_demo else upstream.protocol


def target_for(
    candidate: Candidate,
    protocol: ProtocolName,
    learned: Mapping[str, Any],
    for_now: Mapping[str, Any] = MappingProxyType({}),
) -> Target:
    """The upstream as the codecs see it: the file is stronger than what was learned, except for this request."""
    upstream = candidate.upstream
    if upstream.is_demo:
        return Target(candidate.model, "demo", Capabilities())
    own = {**learned, **upstream.capabilities, **for_now}
    overrides = msgspec.json.encode(own) if own else b"{}"
    known = _capabilities(upstream.server, upstream.base_url, protocol, overrides)
    return Target(candidate.model, issuer_of(upstream.protocol, upstream.base_url), known)


@lru_cache(maxsize=1024)
def _capabilities(kind: str, base_url: str, protocol: ProtocolName, overrides: bytes) -> Capabilities:
    return capabilities_of(kind, base_url, protocol, msgspec.json.decode(overrides))


Changes = tuple[neutral.Effort | None, int | None]
"""the effort and the limit that a rule sets"""

Recall = Callable[[ClientRequest, str], ClientRequest]
"""The request with what it only names, but for what the upstream of this issuer knows itself."""


def _as_it_is(request: ClientRequest, _: str) -> ClientRequest:
    return request


class Preparation:
    """Prepares one client request for one candidate after another; decodes it at most once."""

    def __init__(
        self,
        request: ClientRequest,
        codecs: Mapping[ProtocolName, Codec],
        recall: Recall = _as_it_is,
        calls: CallLedger | None = None,
        memory: MessageMemory | None = None,
    ) -> None:
        self._request = request
        self._recall = recall
        self._codecs = codecs
        self._calls = calls or CallLedger()
        self._memory = memory if len(request.body) >= LEAST_BYTES else None
        self._neutral: neutral.Request | None = None
        self._changed: dict[Changes, Preparation] = {}
        self._prompt_tokens: int | None = None

    def prepare(
        self, candidate: Candidate, target: Target, stripped: frozenset[str] | None = frozenset()
    ) -> Prepared:
        """The body for this candidate, without the thinking that is `stripped` (by signature; None: all).

        Raises BadRequest where the meaning of the request would be lost.
        """
        is_passed, changes = bool(self._request.endpoint), candidate.upstream.body
        prepared = self._renamed(target) if is_passed else self._prepared(candidate, target, stripped)
        if not (changes.members or changes.remove):
            return prepared
        return replace(prepared, body=with_members(prepared.body, changes.members, changes.remove))

    def _renamed(self, target: Target) -> Prepared:
        """Of a request that is no conversation only the model's name is changed."""
        body = self._request.body
        if self._request.summary.model != target.model:
            body = rewrite_model_name(body, target.model)
        return Prepared(body, self._request.protocol, target, input_estimate=len(body) // BYTES_PER_TOKEN)

    def _prepared(self, candidate: Candidate, target: Target, stripped: frozenset[str] | None) -> Prepared:
        if (changes := _changes_of(candidate)) is not None:
            return self._under(changes)._prepared(replace(candidate, ruled=None), target, stripped)
        request = self._request
        protocol = protocol_for(candidate.upstream, request.protocol)
        same = protocol == request.protocol and not request.compact_endpoint
        passes = same and passthrough.passes_through(protocol, target, compacts=request.compacts)
        if passes and not self._searches_in_vain(protocol, target):
            return self._passed(candidate, target, stripped)
        return self._converted(candidate, target, protocol, strips_all=stripped is None)

    def _searches_in_vain(self, protocol: ProtocolName, target: Target) -> bool:
        """True if the client wants only a search, which this upstream does not run."""
        request = self._request
        if not search_error.may_be_a_search(request.protocol, request.summary.members.get("tools")):
            return False
        runs = search_error.runs_searches(protocol, target.model, target.capabilities)
        try:
            return not runs and search_error.is_only_a_search(self.decoded())
        except BadRequest:
            return False

    def _under(self, changes: Changes) -> "Preparation":
        """The preparation of the request with the changes of a rule. Raises BadRequest."""
        if changes not in self._changed:
            self._changed[changes] = Preparation(
                _changed(self._request, changes), self._codecs, self._recall, self._calls, self._memory
            )
        return self._changed[changes]

    def decoded(self) -> neutral.Request:
        """The request in the neutral form. Raises BadRequest."""
        if self._neutral is None:
            request = self._recall(self._request, "")
            decoded = self._codecs[request.protocol].decode_request(request.body, self._history(request))
            decoded = replace(decoded, client=request.summary.program, received_at=self._request.received_at)
            if self._request.compact_endpoint:
                decoded = replace(decoded, compact=True, stream=False)
            self._neutral = self._calls.signed(decoded)
        return self._neutral

    def _history(self, request: ClientRequest) -> History | None:
        if self._memory is None or (raw := history_in(request.summary.members)) is None:
            return None
        return History(self._memory, raw, request.summary.beginning)

    def prompt_tokens(self) -> int:
        """An estimate of the prompt. Raises BadRequest."""
        if self._prompt_tokens is None:
            self._prompt_tokens = estimate_tokens(self.decoded())
        return self._prompt_tokens

    def decoding(self, prepared: Prepared, form: ProtocolName) -> tuple[neutral.Request, SentRequest]:
        """What decoding an answer in this protocol needs, even of a request that was passed. Raises BadRequest."""
        request = prepared.request or self.decoded()
        if prepared.sent is not None:
            return request, prepared.sent
        is_own = form == prepared.protocol
        names = {} if is_own else unique_names(list(request.tools))
        return request, SentRequest(b"", prepared.target, names)

    def _converted(
        self, candidate: Candidate, target: Target, protocol: ProtocolName, *, strips_all: bool
    ) -> Prepared:
        request = asked = self.decoded()
        if candidate.thinking:
            asked = thinking.with_thinking(asked)
        if strips_all:
            asked = thinking.without_history(asked)
        if request.compact:
            asked = compaction_request(asked)
        in_vain = self._searches_in_vain(protocol, target)
        if in_vain:
            asked = search_error.short_request(request)
        sent = convert_request(asked, self._codecs[protocol], target, self._memory)
        if request.compact or in_vain:
            sent = replace(sent, compacts=request.compact, searches_in_vain=in_vain)
        lost = (search_error.NO_SEARCH,) if in_vain else ()
        return Prepared(
            body=sent.body,
            protocol=protocol,
            target=target,
            sent=sent,
            request=request,
            losses=(*request.losses, *lost, *sent.losses),
            input_estimate=sent.input_estimate,
        )

    def _passed(self, candidate: Candidate, target: Target, stripped: frozenset[str] | None) -> Prepared:
        request = self._calls.returned(self._recall(self._request, target.issuer), target.issuer)
        passed = passthrough.prepare(
            request.protocol,
            request.body,
            request.summary,
            target,
            thinking=candidate.thinking,
            stripped=stripped,
        )
        return Prepared(
            body=passed.body,
            protocol=request.protocol,
            target=target,
            hide_usage=passed.hide_usage,
            losses=passed.losses,
            input_estimate=len(passed.body) // BYTES_PER_TOKEN,
        )


def _changes_of(candidate: Candidate) -> Changes | None:
    rule = None if candidate.ruled is None else candidate.ruled.rule
    if rule is None or (rule.effort is None and rule.max_tokens is None):
        return None
    return rule.effort, rule.max_tokens


def _changed(request: ClientRequest, changes: Changes) -> ClientRequest:
    """The request as if the client had sent it so. Raises BadRequest."""
    try:
        body = with_changes(request.protocol, request.body, *changes)
        summary = replace(request.summary, members=watched_members(body))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BadRequest(f"the request body cannot be read: {str(error)[:120]}") from None
    return replace(request, body=body, summary=summary)
