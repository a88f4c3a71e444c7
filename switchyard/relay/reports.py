"""Report each attempt to all that learn from it: the health of upstreams, the probes of the hold, session affinity."""

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Exchange, Failure, FailureKind
from switchyard.protocols.errors.meaning import lacks_channel
from switchyard.protocols.neutral import ErrorType
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.selection import Selected
from switchyard.relay.warm import ACTIVE_SECONDS, destination_of
from switchyard.routing.health import Charge, is_same_account
from switchyard.routing.hold import prospect_of
from switchyard.routing.missing_models import FORGET_SECONDS, NO_CHANNEL_SECONDS
from switchyard.routing.recoveries import Recoveries
from switchyard.routing.route import State
from switchyard.routing.rules import Ruled
from switchyard.routing.sessions import conversation_of
from switchyard.routing.verdict import NETWORK, UNREACHABLE
from switchyard.routing.waits import target_of
from switchyard.settings import Upstream


class Started(msgspec.Struct, frozen=True):
    """One attempt that has begun, and what its end is judged by."""

    selected: Selected
    at: float
    """in monotonic seconds"""
    awake_at: float
    """by the hold's clock"""
    is_simulated: bool
    """a failure of the upstream was being simulated"""
    is_alone: bool
    """no other request was trying the same"""


class Reports(msgspec.Struct):
    """The reports of one request. Each `begin` is followed by exactly one of `succeeded`, `failed` and `left`."""

    _dependencies: Dependencies
    _exchange: Exchange
    _state: State | None = None
    """since the first attempt"""
    conversation: str = ""
    """the key of its affinity; "" before the rule is known, and without a session"""
    _recoveries: Recoveries | None = None

    @property
    def recoveries(self) -> Recoveries:
        """How this request has fared where others succeeded; few requests need it."""
        if self._recoveries is None:
            self._recoveries = Recoveries()
        return self._recoveries

    def note_rule(self, ruled: Ruled | None) -> None:
        """The conversation has an affinity of its own under each rule."""
        exchange = self._exchange
        self.conversation = conversation_of(
            exchange.session, exchange.requested_model, exchange.thread, ruled
        )

    def begin(self, selected: Selected) -> Started:
        dependencies, candidate = self._dependencies, selected.candidate
        at, awake_at = dependencies.monotonic(), dependencies.awake()
        is_simulated = dependencies.wire.seconds_left(candidate.upstream.name) is not None
        state = self._state = selected.state
        state.health.begin(candidate.name, candidate.model, self._exchange.id)
        if selected.route.takes_turns:
            state.balance.begin(self._exchange.session, candidate.upstream)
        is_alone = dependencies.hold.begin(self._exchange.id, target_of(candidate))
        return Started(selected, at, awake_at, is_simulated, is_alone)

    def succeeded(self, started: Started) -> None:
        """The answer has content."""
        dependencies, candidate = self._dependencies, started.selected.candidate
        state, now, name = started.selected.state, dependencies.monotonic(), candidate.name
        dependencies.answered.add(name)
        dependencies.hold.succeeded(self._exchange.id, target_of(candidate))
        state.missing.note_served(name, candidate.model)
        if self._is_same_account(started):
            state.health.succeeded(name, candidate.model, started.at)
        self.release()
        self._end_turn(started)
        if not self.conversation:
            return
        if not candidate.is_used:  # once that is over, the conversation returns to its own upstream
            stays = started.selected.route.stays
            dependencies.sessions.remember(self.conversation, name, now, stays=stays)
        self._keep_ready(candidate.upstream, now)

    def _keep_ready(self, upstream: Upstream, now: float) -> None:
        """The conversation's next request need not open a connection."""
        dependencies = self._dependencies
        if dependencies.renewals.is_due(upstream, now):
            destination = destination_of(upstream, dependencies.settings())
            if destination is not None:
                dependencies.wire.keep_ready(destination, ACTIVE_SECONDS)

    def failed(self, started: Started, failure: Failure) -> None:
        """The attempt has failed; what that costs the upstream is charged by the verdict."""
        dependencies, prospect = self._dependencies, prospect_of(failure)
        target = target_of(started.selected.candidate)
        self._note_missing(started, failure)
        self._end_turn(started)
        self.recoveries.note_failure(target, was_alone=started.is_alone)
        if prospect.passes and prospect.after <= dependencies.settings().failover.hold_seconds:
            dependencies.hold.failed(self._exchange.id, target, started.awake_at, prospect.after)
        else:
            dependencies.hold.end(self._exchange.id, target)

    def _note_missing(self, started: Started, failure: Failure) -> None:
        """Remember that the upstream does not have the model, unless its entry was edited meanwhile."""
        candidate = started.selected.candidate
        is_missing = failure.kind is FailureKind.STATUS and failure.error.type is ErrorType.MODEL_NOT_FOUND
        if is_missing and self._dependencies.settings().account(candidate.name) == candidate.upstream:
            seconds = NO_CHANNEL_SECONDS if lacks_channel(failure.error) else FORGET_SECONDS
            now = self._dependencies.monotonic()
            started.selected.state.missing.note(candidate.name, candidate.model, now, seconds=seconds)

    def left(self, started: Started) -> None:
        """The request has ended before the attempt did."""
        self._end_turn(started)
        self._dependencies.hold.end(self._exchange.id, target_of(started.selected.candidate))

    def _end_turn(self, started: Started) -> None:
        """The session is no longer counted where it was being sent."""
        selected = started.selected
        if selected.route.takes_turns:
            selected.state.balance.end(self._exchange.session, selected.candidate.name)

    def charge(self, started: Started, charge: Charge, failure: Failure) -> None:
        """Charge the account with the failure, or all of an entry that cannot be reached; end its trial."""
        dependencies, candidate = self._dependencies, started.selected.candidate
        if failure.kind in NETWORK:  # no other failures are simulated
            left = dependencies.wire.seconds_left(candidate.upstream.name)
            has_ended = started.is_simulated and left is None
            charge = Charge("none") if has_ended else replace(charge, simulated_seconds=left)
        if self._is_same_account(started):
            is_unreachable = failure.kind in UNREACHABLE
            for account in candidate.upstream.siblings if is_unreachable else (candidate.name,):
                started.selected.state.health.failed(
                    account,
                    candidate.model,
                    charge,
                    failure.summary,
                    started.selected.settings.failover,
                    dependencies.monotonic(),
                    started.at,
                )
        self.release()

    def release(self) -> None:
        """The upstream that this request has on trial, if any, may be tried by others."""
        if self._state is not None:
            self._state.health.release(self._exchange.id)

    def _is_same_account(self, started: Started) -> bool:
        """False once the entry is gone or names another account: a new key is not charged for the old one."""
        settings, selected = self._dependencies.settings(), started.selected
        if settings is selected.settings:
            return True
        candidate = selected.candidate
        account = settings.account(candidate.name)
        return account is not None and is_same_account(account, candidate.upstream)
