"""Ask one upstream: prepare the request for it, send it, and hold the answer until it has content."""

import asyncio
import time
from collections.abc import Awaitable
from functools import partial

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Attempt, Exchange, Failure, FailureKind
from switchyard.protocols.codec import BadRequest
from switchyard.protocols.conversion import StreamConversion
from switchyard.protocols.names import ProtocolName
from switchyard.protocols.neutral import ErrorType, Usage, WireError
from switchyard.protocols.passthrough.call_kinds import CallKinds
from switchyard.protocols.passthrough.inspect.whole import summarize_embeddings
from switchyard.protocols.passthrough.stream import PassthroughStream
from switchyard.protocols.retry_hints.quota_windows import read_windows
from switchyard.relay.attempt import HeldAnswer, Reader, Stream, attempt
from switchyard.relay.credentials import KeyMissing, NoClientKey, key_at_hand, key_in_keychain
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.failures import NESTED, AttemptFailed, protocol_failure, refused_failure
from switchyard.relay.headers import own_credentials, upstream_headers
from switchyard.relay.limit_learning import LimitLearning
from switchyard.relay.local_keys import without_local_keys
from switchyard.relay.measuring import may_exceed_window, needs_of, with_window_losses, within_window
from switchyard.relay.prepare import OFF_LOOP_BYTES, Preparation, Prepared, protocol_for
from switchyard.relay.redaction import redacted, secrets_of
from switchyard.relay.reports import Started
from switchyard.relay.ruling import Ruling
from switchyard.relay.upstream import Call, Reply
from switchyard.relay.urls import demo_url, passed_url, request_url
from switchyard.relay.values import ClientRequest, is_departure
from switchyard.relay.vetting import Vetting, Watch
from switchyard.relay.whole import Whole, whole_answer
from switchyard.routing.fit import Needs
from switchyard.routing.lineup import Candidate
from switchyard.routing.route import State
from switchyard.routing.rules import Ruled
from switchyard.settings import Settings, Upstream
from switchyard.timeouts import timeouts_of

LACKS_ENDPOINT = frozenset({404, 405, 501})
"""how servers refuse a path or a model that they do not have"""


class Outgoing(msgspec.Struct, frozen=True):
    """The request as one upstream gets it, and what reads the answer."""

    key: str
    prepared: Prepared
    stream: Stream | None
    """None if the client wants one body"""
    watch: Watch

    @property
    def usage_so_far(self) -> Usage | None:
        """For a client that leaves before any content: an upstream that has reported usage has read the prompt."""
        stream = self.stream
        if stream is None or stream.usage is None:
            return None
        return stream.usage_with_estimate(self.prepared.input_estimate)


class Answer(msgspec.Struct, frozen=True):
    """An answer that has content. Its connection is open and its slot taken: `Answering` releases both."""

    candidate: Candidate
    started: Started
    outgoing: Outgoing
    held: HeldAnswer
    whole: Whole | None
    """the client's answer if it is one body; otherwise `held` has a stream"""

    @property
    def issuer(self) -> str:
        """The upstream whose own answer the client gets; "" for one that is written here."""
        prepared, held = self.outgoing.prepared, self.held
        is_own_form = prepared.sent is None and held.protocol == prepared.protocol
        is_passed = held.stream is not None or (held.summary is not None and self.outgoing.stream is None)
        return prepared.target.issuer if is_own_form and is_passed else ""

    @property
    def is_last_resort(self) -> bool:
        return self.started.selected.route.last_resort


class Refusal(msgspec.Struct, frozen=True):
    """An attempt without an answer. `outgoing` is None if nothing could be sent."""

    failure: Failure
    outgoing: Outgoing | None


class Asking:
    """Asks one upstream after another with the same request, which it decodes at most once."""

    def __init__(
        self, dependencies: Dependencies, request: ClientRequest, exchange: Exchange, settings: Settings
    ) -> None:
        self._dependencies = dependencies
        self._request = request
        self._exchange = exchange
        self._client_keys = settings.client_keys
        self._preparation = self._new_preparation()
        self._ruling = Ruling(dependencies, request)
        self._vetting = Vetting(dependencies, request, exchange, dependencies.awake())
        self.learning = LimitLearning(dependencies.learned, dependencies.unhelpful)

    def _new_preparation(self) -> Preparation:
        dependencies = self._dependencies
        # a method of its own would tie the two together: the body would stay in memory until a garbage collection
        return Preparation(
            self._request,
            dependencies.codecs,
            dependencies.recalled,
            dependencies.calls,
            dependencies.messages,
        )

    def follow(self, settings: Settings) -> None:
        """Remove what has become a client key since the request was received."""
        if settings.client_keys != self._client_keys:
            self._client_keys = settings.client_keys
            self._request = without_local_keys(self._request, settings.client_keys)
            self._vetting = Vetting(
                self._dependencies, self._request, self._exchange, self._dependencies.awake()
            )
            self._preparation = self._new_preparation()

    def rule(self, settings: Settings) -> Awaitable[Ruled | None]:
        """The rule that applies now."""
        return self._ruling.rule(settings, self._preparation)

    @property
    def project(self) -> str:
        """The project of the request, once its rule is known."""
        return self._ruling.facts.project

    def needs(self, settings: Settings, state: State, ruled: Ruled | None) -> Awaitable[Needs]:
        """What the request needs of an upstream, as far as it matters."""
        now = self._dependencies.now()
        return needs_of(self._request, self._preparation, settings, state, now, ruled)

    def new_attempt(self, candidate: Candidate, seconds: float) -> Attempt:
        """The record of an attempt that begins now."""
        upstream, request = candidate.upstream, self._request
        protocol = protocol_for(upstream, request.protocol)
        query = request.query if protocol == request.protocol else ""
        return Attempt(
            upstream.name,
            candidate.model,
            protocol,
            self._url(candidate, protocol, query),
            candidate.why,
            seconds,
            body=upstream.body.text,
            unlikely=candidate.unlikely,
            key=upstream.key_label,
        )

    def _url(self, candidate: Candidate, protocol: ProtocolName, query: str) -> str:
        upstream, endpoint = candidate.upstream, self._request.endpoint
        if upstream.is_demo:
            return demo_url(protocol)
        if endpoint:
            return passed_url(upstream, candidate.model, endpoint, query)
        return request_url(upstream, candidate.model, "", query)

    async def ask(self, started: Started, note: Attempt, seconds_left: float) -> Answer | Refusal:
        """One attempt. If it is cancelled, its connection is closed and the usage so far is recorded."""
        outgoing, candidate = None, started.selected.candidate
        try:
            outgoing = await self._prepare(candidate, note)
            held = await self._send(started, note, outgoing, seconds_left)
            whole = await self._vetted(held, outgoing)
        except AttemptFailed as failed:
            key = "" if outgoing is None else outgoing.key
            secrets = secrets_of(candidate.upstream, self._request.headers, key)
            failure = self._without_endpoint(redacted(failed.failure, secrets))
            return Refusal(self._of_key(failure, candidate.upstream), outgoing)
        except asyncio.CancelledError as cancelled:
            if outgoing is not None and is_departure(cancelled):
                self._exchange.usage = outgoing.usage_so_far
            raise
        return Answer(candidate, started, outgoing, held, whole)

    def _without_endpoint(self, failure: Failure) -> Failure:
        """An upstream that lacks the endpoint may serve all conversations: this is no failure of its health."""
        endpoint = self._request.endpoint
        if not endpoint or failure.kind is not FailureKind.STATUS or failure.status not in LACKS_ENDPOINT:
            return failure
        error = replace(failure.error, message=f"{failure.status} for /{endpoint}: {failure.message}")
        return replace(failure, kind=FailureKind.REFUSED_REQUEST, error=error)

    def _of_key(self, failure: Failure, upstream: Upstream) -> Failure:
        """A client's own key that is refused costs the entry nothing: other requests have other keys."""
        is_clients = upstream.key == "client" and own_credentials(self._request.headers)
        if failure.error.type is not ErrorType.AUTHENTICATION or not is_clients:
            return failure
        return replace(failure, cause="client_key")

    async def learn(self, candidate: Candidate, note: Attempt, failure: Failure, refused: Prepared) -> str:
        """Why the request is sent to this upstream once more, changed; "" if nothing is left to be tried."""
        if self._request.endpoint:
            return ""
        learning = self.learning
        tried = learning.note_refusal(candidate, failure, refused)
        for limit in learning.changes(candidate, failure, refused, tried):
            learning.begin(candidate, failure, limit)
            if await self._is_new(candidate, note):
                learning.repeat()
                return limit.why
            learning.withdraw()
        return ""

    async def _is_new(self, candidate: Candidate, note: Attempt) -> bool:
        """True if what would be sent now was not refused before."""
        try:
            return not self.learning.was_refused(candidate, await self._converted(candidate, note))
        except AttemptFailed:
            return False

    async def _prepare(self, candidate: Candidate, note: Attempt) -> Outgoing:
        """Raises AttemptFailed."""
        prepared = await self._converted(candidate, note)
        self._exchange.losses = prepared.losses
        upstream = candidate.upstream
        try:
            key = key_at_hand(upstream, self._request.headers)
            if key is None:
                key = await key_in_keychain(upstream)
        except KeyMissing as missing:
            raise AttemptFailed(_without_key(missing)) from None
        watch = self._vetting.watch(upstream, key)
        stream = self._new_stream(prepared, watch) if self._request.summary.stream else None
        return Outgoing(key, prepared, stream, watch)

    async def _converted(self, candidate: Candidate, note: Attempt) -> Prepared:
        """Raises AttemptFailed."""
        body, learning = self._request.body, self.learning
        known = learning.target(candidate, note.protocol)
        signatures = self._dependencies.signatures
        stripped = None if learning.strips_thinking else signatures.foreign(body, known.issuer)
        try:
            target = known
            if may_exceed_window(candidate, self._request):
                target = await within_window(known, candidate, self._request, self._preparation)
            if len(body) > OFF_LOOP_BYTES:
                prepared = await asyncio.to_thread(self._preparation.prepare, candidate, target, stripped)
            else:
                prepared = self._preparation.prepare(candidate, target, stripped)
        except BadRequest as refused:
            raise AttemptFailed(refused_failure(refused)) from None
        except RecursionError:
            error = WireError(ErrorType.INVALID_REQUEST, "the request's JSON is nested too deeply", 400)
            raise AttemptFailed(Failure(FailureKind.REFUSED_REQUEST, error)) from None
        if target is known:
            return prepared
        return with_window_losses(prepared, candidate.upstream.context_window)

    def _new_stream(self, prepared: Prepared, watch: Watch) -> Stream:
        codecs, client = self._dependencies.codecs, self._dependencies.codecs[self._request.protocol]
        if prepared.sent is None or prepared.request is None:
            summary, issuer = self._request.summary, prepared.target.issuer
            kinds = CallKinds(self._request.protocol, summary.members)
            return PassthroughStream(client, summary.model, prepared.hide_usage, issuer, watch, kinds)
        return StreamConversion(codecs[prepared.protocol], client, prepared.sent, prepared.request, watch)

    def _reader(self, outgoing: Outgoing) -> Reader:
        codecs, prepared = self._dependencies.codecs, outgoing.prepared
        if endpoint := self._request.endpoint:
            summarize = summarize_embeddings if endpoint == "embeddings" else None
            return Reader(codecs[prepared.protocol], outgoing.stream, summarize=summarize)
        return Reader(
            codecs[prepared.protocol],
            outgoing.stream,
            lambda form: self._reader_of_other(form, outgoing),
            is_converted=prepared.sent is not None,
        )

    def _reader_of_other(self, form: ProtocolName, outgoing: Outgoing) -> Reader:
        """For an answer in another protocol than the request. Raises AttemptFailed."""
        codecs, client = self._dependencies.codecs, self._dependencies.codecs[self._request.protocol]
        if outgoing.stream is None:
            return Reader(codecs[form], None)
        try:
            request, sent = self._preparation.decoding(outgoing.prepared, form)
        except BadRequest as refused:
            raise AttemptFailed(refused_failure(refused)) from None
        return Reader(codecs[form], StreamConversion(codecs[form], client, sent, request, outgoing.watch))

    def _send(
        self, started: Started, note: Attempt, outgoing: Outgoing, seconds_left: float
    ) -> Awaitable[HeldAnswer]:
        """The answer, held at its first content. Raises AttemptFailed."""
        selected, request, prepared = started.selected, self._request, outgoing.prepared
        upstream, timeouts = (
            selected.candidate.upstream,
            timeouts_of(selected.candidate.upstream, selected.settings),
        )
        headers = upstream_headers(
            upstream,
            outgoing.key,
            request.headers,
            same_protocol=prepared.sent is None,
            stream=request.summary.stream,
            refused_betas=prepared.target.capabilities.refused_betas,
        )
        call = Call(
            note.url,
            headers,
            prepared.body,
            timeouts.connect,
            upstream.proxy,
            upstream.tls,
            upstream.is_demo,
            upstream.name,
        )
        if self._dependencies.tape is not None:
            self._dependencies.tape.sent(note, call)
        return attempt(
            self._dependencies.wire,
            call,
            self._reader(outgoing),
            timeouts,
            seconds_left=seconds_left,
            wall=time.time(),
            on_reply=partial(self._note_reply, selected.candidate.name),
        )

    def _note_reply(self, account: str, reply: Reply) -> None:
        if self._dependencies.tape is not None:
            self._dependencies.tape.replied(reply)
        if windows := read_windows(reply.headers, time.time()):
            self._dependencies.quotas.note(account, windows, self._dependencies.monotonic())

    async def _vetted(self, held: HeldAnswer, outgoing: Outgoing) -> Whole | None:
        """The client's answer if it is one body. Calls that must not reach the client fail the attempt, as long as
        nothing of the answer has. Raises AttemptFailed, with the connection closed."""
        try:
            if held.stream is not None:
                held.start += await outgoing.watch.settle(held.stream)
                return None
            prepared, codecs = outgoing.prepared, self._dependencies.codecs
            arguments = (held, self._request, prepared, self._preparation, codecs)
            if len(held.start) > OFF_LOOP_BYTES:
                whole = await asyncio.to_thread(whole_answer, *arguments)
            else:
                whole = whole_answer(*arguments)
            if whole.calls:
                await outgoing.watch.vet(whole.calls)
        except BaseException as error:
            await held.reply.close()
            if isinstance(error, RecursionError):
                raise AttemptFailed(protocol_failure(NESTED)) from None
            raise
        return whole


def _without_key(missing: KeyMissing) -> Failure:
    # a client that sends no key must not put the entry into cooldown for those that do
    is_clients = isinstance(missing, NoClientKey)
    kind = FailureKind.REFUSED_REQUEST if is_clients else FailureKind.NO_KEY
    return Failure(kind, WireError(ErrorType.AUTHENTICATION, str(missing), 401 if is_clients else 503))
