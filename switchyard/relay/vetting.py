"""Vet the tool calls of an answer: mark them on the exchange, withhold them, or wait for the user's decision."""

import asyncio
import logging
from functools import cached_property
from typing import Protocol

import msgspec
from msgspec.structs import replace

from switchyard.exchange import CallAction, Exchange, MarkedCall
from switchyard.protocols.neutral import ErrorType, ToolCall, WireError
from switchyard.protocols.passthrough.peek import Document
from switchyard.protocols.tools.offered import OfferedTools
from switchyard.relay.decisions import Decisions
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.failures import AttemptFailed, withheld_failure
from switchyard.relay.redaction import redacted_text, secrets_of
from switchyard.relay.values import ClientRequest
from switchyard.routing.hold import client_seconds
from switchyard.settings import Upstream
from switchyard.suspicion.calls import reasons_of
from switchyard.suspicion.conversation import Conversation
from switchyard.suspicion.effort import MAX_ANSWER_STEPS, Effort
from switchyard.suspicion.reasons import Reason

MAX_MARKED = 20
"""of one request; further calls are treated likewise, but not noted nor logged"""
MAX_TOOL_CHARS = 100
BAD_GATEWAY = 502

log = logging.getLogger("switchyard.relay")


class Withholding(Protocol):
    """A stream whose calls may wait."""

    @property
    def is_waiting(self) -> bool: ...

    def release(self) -> bytes: ...

    def refuse(self, error: WireError) -> None: ...


class Vetting(msgspec.Struct, dict=True):
    """What is known about the calls of one request; nothing is read before the first call."""

    _dependencies: Dependencies
    _request: ClientRequest
    _exchange: Exchange
    _began: float

    def watch(self, upstream: Upstream, key: str) -> "Watch":
        """The watch over one answer of this upstream, which was sent the key."""
        return Watch(self, upstream, key)

    def secrets(self, upstream: Upstream, key: str) -> tuple[str, ...]:
        """What an upstream may repeat in its calls, and nothing else may show."""
        return secrets_of(upstream, self._request.headers, key)

    def offers(self, call: ToolCall) -> bool:
        return self._offered.has(call)

    def reasons(self, call: ToolCall, answer: Effort) -> tuple[Reason, ...]:
        """Why the call is suspicious, given the conversation."""
        found = reasons_of(call.name, call.arguments, answer)
        return self._conversation.unmentioned(found) if found else ()

    def mark(self, marked: MarkedCall) -> None:
        calls = self._exchange.marked_calls
        if len(calls) >= MAX_MARKED:
            return
        calls.append(marked)
        codes = "unknown" if marked.is_unknown else ", ".join(reason.code for reason in marked.reasons)
        log.warning(
            'request %s: upstream "%s" called %r (%s): %s',
            self._exchange.id,
            marked.upstream,
            marked.tool,
            codes,
            marked.action,
        )

    async def decided(self, arguments: str, marked: MarkedCall) -> bool:
        """True if the user, who sees these arguments, releases the call.

        What becomes of it is noted on the exchange.
        """
        action: CallAction = "dropped"
        try:
            action = await self._decisions.wait(
                self._exchange,
                marked.upstream,
                (marked.tool, arguments),
                marked.reasons,
                self._seconds_left(),
            )
        finally:
            self._exchange.marked_calls[:] = [
                replace(one, action=action) if one is marked else one for one in self._exchange.marked_calls
            ]
            log.warning("request %s: the call of %r was %s", self._exchange.id, marked.tool, action)
        return action == "released"

    def _seconds_left(self) -> float:
        """How long the client waits for the rest of its answer."""
        limit = client_seconds(dict(self._request.headers), stream=self._request.summary.stream)
        return limit - (self._dependencies.awake() - self._began)

    @property
    def _decisions(self) -> Decisions:
        return self._dependencies.decisions

    @cached_property
    def _whole_request(self) -> ClientRequest:
        """The request with what it only names."""
        return self._dependencies.recalled(self._request, "")

    @cached_property
    def _offered(self) -> OfferedTools:
        request = self._whole_request
        is_same = request.body is self._request.body
        document = Document(request.body, request.summary.members if is_same else None)
        return OfferedTools(document, request.summary.program)

    @cached_property
    def _conversation(self) -> Conversation:
        request = self._whole_request
        return Conversation(request.protocol, request.body)


class Watch(msgspec.Struct, dict=True):
    """Watches the calls of one answer, by the trust in its upstream."""

    _vetting: Vetting
    _upstream: Upstream
    _key: str
    _waiting: list[tuple[ToolCall, MarkedCall]] = msgspec.field(default_factory=list)

    @property
    def reads_arguments(self) -> bool:
        return self._upstream.trust == "low"

    @property
    def keeps_calls(self) -> bool:
        return self.reads_arguments and self._upstream.on_suspicion == "hold"

    @cached_property
    def _effort(self) -> Effort:
        return Effort(MAX_ANSWER_STEPS)

    def begins(self, call: ToolCall) -> WireError | None:
        if self._vetting.offers(call):
            return None
        action: CallAction = "withheld" if self.reads_arguments else "passed"
        marked = MarkedCall(self._shown(call), self._upstream.name, action, is_unknown=True)
        self._vetting.mark(marked)
        if not self.reads_arguments:
            return None
        return _error(f'called the tool "{marked.tool}", which the request does not offer')

    def ends(self, call: ToolCall) -> bool:
        reasons = self._vetting.reasons(call, self._effort) if self.reads_arguments else ()
        if not reasons:
            return False
        action: CallAction = "waiting" if self.keeps_calls else "passed"
        shown = tuple(replace(one, about=redacted_text(one.about, self._secrets)) for one in reasons)
        marked = MarkedCall(self._shown(call), self._upstream.name, action, reasons=shown)
        self._vetting.mark(marked)
        if self.keeps_calls:
            self._waiting.append((call, marked))
        return self.keeps_calls

    async def settle(self, stream: Withholding) -> bytes:
        """Wait for the decisions about a stream: what may pass then. Raises AttemptFailed."""
        passed: list[bytes] = []
        while stream.is_waiting:
            try:
                await self._decide()
            except AttemptFailed as refused:
                stream.refuse(refused.failure.error)
                raise
            passed.append(stream.release())
        return b"".join(passed)

    async def vet(self, calls: tuple[ToolCall, ...]) -> None:
        """Vet the calls of a whole answer. Raises AttemptFailed if it must not reach the client."""
        for call in calls:
            if (error := self.begins(call)) is not None:
                raise AttemptFailed(withheld_failure(error))
        for call in calls if self.reads_arguments else ():
            # reading a long script must not delay other requests for long
            await asyncio.sleep(0)
            self.ends(call)
        await self._decide()

    async def _decide(self) -> None:
        """Wait for the user, call by call. Raises AttemptFailed for the first that is refused."""
        waiting, self._waiting = self._waiting, []
        for call, marked in waiting:
            arguments = redacted_text(call.arguments, self._secrets)
            if not await self._vetting.decided(arguments, marked):
                raise AttemptFailed(withheld_failure(_error(f'called "{marked.tool}" in a suspicious way')))

    def _shown(self, call: ToolCall) -> str:
        name = f"{call.namespace}.{call.name}" if call.namespace else call.name
        return redacted_text(name, self._secrets)[:MAX_TOOL_CHARS]

    @cached_property
    def _secrets(self) -> tuple[str, ...]:
        return self._vetting.secrets(self._upstream, self._key)


def _error(message: str) -> WireError:
    return WireError(ErrorType.SERVER, message, BAD_GATEWAY)
