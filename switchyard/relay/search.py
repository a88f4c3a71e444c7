"""Search for the answer to one request: pass over its upstreams, hold it, or sum up why none has answered."""

from msgspec.structs import replace

from switchyard.exchange import Exchange, FailureKind
from switchyard.protocols.neutral import ErrorType
from switchyard.relay.asking import Answer, Asking
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.final_error import FinalError, all_failed, nothing_could_answer
from switchyard.relay.holding import NOT_HELD, Outcome, hold_until_answered
from switchyard.relay.reports import Reports
from switchyard.relay.retries import Retries
from switchyard.relay.selection import Selection
from switchyard.relay.stopwatch import Stopwatch
from switchyard.relay.values import ClientRequest
from switchyard.routing.route import Ask


class Search:
    """The search of one request. Each attempt is noted on the exchange."""

    def __init__(
        self,
        dependencies: Dependencies,
        request: ClientRequest,
        exchange: Exchange,
        stopwatch: Stopwatch,
        reports: Reports,
    ) -> None:
        self._dependencies = dependencies
        self._request = request
        self._exchange = exchange
        self._stopwatch = stopwatch
        self._reports = reports
        settings, summary = dependencies.settings(), request.summary
        self._may_be_held = request.kind == "request" and settings.failover.hold_seconds > 0
        ask = Ask(
            request.protocol,
            summary.model,
            summary.session,
            exchange.id,
            may_resort=not self._may_be_held,
            endpoint=request.endpoint,
        )
        self._selection = Selection(dependencies, exchange, stopwatch, settings, reports.conversation, ask)
        self._asking = Asking(dependencies, request, exchange, settings)
        self._retries = Retries(dependencies, exchange, stopwatch, reports, self._asking)

    async def find(self) -> Answer | FinalError:
        """The first answer with content, or the final error.

        One pass over the upstreams; then, if a failure passes by itself, the request is held and they are tried again.
        The time budget is for finding an upstream: the answer itself may take as long as it takes.
        """
        outcome, held = await self._pass(), NOT_HELD
        while outcome is None and self._selection.follow_edit():
            outcome = await self._pass_again()
        if outcome is None and self._may_be_held:
            held = await hold_until_answered(
                self._dependencies,
                self._request,
                self._exchange,
                self._selection,
                self._reports.recoveries,
                self._pass_again,
                self._stopwatch.seconds(),
            )
            outcome = held.outcome
        if outcome is None and not held.was_due and not self._selection.may_resort:
            self._selection.allow_last_resort()
            outcome = await self._pass()
        return outcome or replace(self._none_answered(), hold_used_up=held.is_used_up)

    async def _pass(self) -> Outcome:
        """Each candidate once: the answer, an error to return as it is, or None."""
        settings = self._selection.settings
        # a held request follows its settings, and the clock
        ruled = await self._asking.rule(settings)
        self._exchange.rule = "" if ruled is None else ruled.label
        self._exchange.project = self._asking.project
        self._reports.note_rule(ruled)
        self._selection.note_rule(ruled, self._reports.conversation)
        state = self._dependencies.state()
        self._selection.note_needs(await self._asking.needs(settings, state, ruled))
        while (selected := await self._selection.next(state)) is not None:
            outcome = await self._retries.attempt(selected)
            if isinstance(outcome, Answer):
                return outcome
            if outcome.action == "return":
                return self._returned()
            self._selection.note_failure(selected, outcome, self._exchange.attempts[-1].failure)
            state = self._dependencies.state()
        return None

    async def _pass_again(self) -> Outcome:
        """As `_pass`, after the settings may have changed."""
        self._asking.follow(self._selection.settings)
        return await self._pass()

    # --- no answer -------------------------------------------------------------------

    def _returned(self) -> FinalError:
        """The upstream's own error, with its own body where both sides use the same protocol."""
        last = self._exchange.attempts[-1]
        failure = last.failure
        assert failure is not None
        same_protocol = last.protocol == self._request.protocol and failure.kind is FailureKind.STATUS
        # an overflow is encoded again: clients compact only when they recognise its text
        is_unclear = failure.status < 400 or failure.error.type is ErrorType.CONTEXT_OVERFLOW
        is_unclear = is_unclear or not failure.body.lstrip().startswith(b"{")
        reported = failure if same_protocol and failure.body and not is_unclear else None
        return FinalError(failure.error, reported, last.upstream, failure.headers)

    def _none_answered(self) -> FinalError:
        """The error that sums up all attempts, or states why there was none."""
        attempts, selection = self._exchange.attempts, self._selection
        if self._exchange.held:
            # a pass leaves out what was waited for when it is not this request's turn
            selection.choose_without(frozenset(one.account for one in attempts))
        route, now = selection.route, self._dependencies.now()
        if all(
            one.failure is None for one in attempts
        ):  # none, or one during which the user gave the request up
            return nothing_could_answer(route, self._request.summary.model, now)
        unasked = selection.unasked()
        self._exchange.skipped = route.reasons + tuple((skip.upstream, skip.text) for skip in unasked)
        return all_failed(attempts, route.skipped + unasked, now)
