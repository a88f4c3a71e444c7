"""Select the upstream that a request tries next, and wait for a slot there if all have none."""

from collections.abc import Set

import msgspec
from msgspec.structs import replace

from switchyard.exchange import Exchange, Failure
from switchyard.relay.dependencies import Dependencies
from switchyard.relay.draining import LINGER_SECONDS
from switchyard.relay.final_error import NO_TRY
from switchyard.relay.stopwatch import Stopwatch
from switchyard.routing.fit import Needs
from switchyard.routing.hold import LONGEST_PAUSE_SECONDS
from switchyard.routing.lineup import Candidate, Skip
from switchyard.routing.route import Ask, Route, State, choose_route
from switchyard.routing.rules import Ruled
from switchyard.routing.slots import wait_ends, worth_waiting_for
from switchyard.routing.verdict import UNREACHABLE, Verdict
from switchyard.settings import Settings, Upstream

EMPTY = Route((), (), (), ())

EARLY_SECONDS = 0.01
"""a timer may end a wait by that much before its time"""


class Selected(msgspec.Struct, frozen=True):
    """The upstream to try next, by these settings and this state; `has_slot` if a slot there is counted already."""

    candidate: Candidate
    settings: Settings
    route: Route
    state: State
    has_slot: bool


class Selection(msgspec.Struct):
    """Knows what one request has tried. `settings` are those of the present pass over the upstreams."""

    _dependencies: Dependencies
    _exchange: Exchange
    _stopwatch: Stopwatch
    settings: Settings
    _conversation: str
    _ask: Ask
    route: Route = EMPTY
    """the last one chosen"""
    _rescues_first: bool = False
    _position: "QueuePosition | None" = None
    _was_edited: bool = False
    """the settings were edited while the request waited for a slot"""

    async def next(self, state: State) -> Selected | None:
        """The next candidate, with a slot if it had to be waited for; None when there is none left by these settings.

        The route is chosen again after each wait: others may have found an upstream failing, or filled it, meanwhile.
        """
        queue, granted = self._dependencies.slots, ""
        while self.seconds_left() > 0:
            queue.hand_out()
            in_order = self._choose(state, granted)
            candidate = in_order[0] if in_order else None
            if granted and (candidate is None or candidate.upstream.account_id != granted):
                queue.give_back(granted)
                granted = ""
            if candidate is not None and (granted or not state.limits.is_full(candidate.upstream)):
                return Selected(candidate, self.settings, self.route, state, bool(granted))
            wanted, seconds = self._to_wait_for(candidate)
            if not wanted or seconds <= 0 or queue.is_at_limit:
                return None
            granted = await self._in_queue().wait(wanted, seconds)
            if not granted and self.settings is not self._dependencies.settings():
                self._was_edited = True
                return None
            state = self._dependencies.state()
        if granted:
            queue.give_back(granted)
        return None

    def seconds_left(self) -> float:
        """Of the time budget for finding an upstream; no limit before the first route."""
        return self.route.search_seconds - self._stopwatch.seconds()

    # --- what changes the selection --------------------------------------------------

    def note_failure(self, selected: Selected, verdict: Verdict, failure: Failure | None) -> None:
        """The candidate has failed: by the verdict it is left out, and so are smaller windows.

        If nothing can be reached at its address, the other keys of the entry are left out too.
        """
        ask, upstream = self._ask, selected.candidate.upstream
        is_unreachable = failure is not None and failure.kind in UNREACHABLE
        failed = upstream.siblings if is_unreachable else (upstream.account,)
        exceeded = ask.exceeded
        if verdict.needs_larger_window and failure is not None:
            exceeded = max(exceeded, failure.error.limit or upstream.context_window)
        self._ask = replace(
            ask,
            tried=ask.tried | {*failed},
            may_resort=ask.may_resort and not selected.route.last_resort,
            exceeded=exceeded,
        )
        self._rescues_first = self._rescues_first or verdict.action == "rescue"

    def note_rule(self, ruled: Ruled | None, conversation: str) -> None:
        """The rule that applies, and the key of the affinity under it."""
        self._conversation = conversation
        if ruled is not self._ask.ruled:
            self._ask = replace(self._ask, ruled=ruled)

    def note_needs(self, needs: Needs) -> None:
        """What the request needs of an upstream."""
        if needs != self._ask.needs:
            self._ask = replace(self._ask, needs=needs)

    @property
    def may_resort(self) -> bool:
        """True while an upstream that is cooling down may be tried as a last resort."""
        return self._ask.may_resort

    def allow_last_resort(self) -> None:
        self._ask = replace(self._ask, may_resort=True)

    def begin_pass(
        self, settings: Settings, tried: frozenset[str], probing: str, waits_for: str, seconds: float
    ) -> None:
        """Of a held request: try again what is not among `tried`, by these settings."""
        self.settings = settings
        self._ask = replace(self._ask, tried=tried, probing=probing)
        self._in_queue().begin_pass(waits_for, self._dependencies.monotonic() + seconds)

    def follow_edit(self) -> bool:
        """True if an edit has ended the pass: another one follows, with the new settings, at what is new by them."""
        if not self._was_edited:
            return False
        before, settings = self.settings, self._dependencies.settings()
        tried = {name for name in self._ask.tried if settings.account(name) == before.account(name)}
        self.settings, self._was_edited = settings, False
        self._ask = replace(self._ask, tried=frozenset(tried))
        return True

    def unasked(self) -> tuple[Skip, ...]:
        """The candidates that were not asked: the time budget was used up, or the hold has ended before their turn."""
        text = NO_TRY
        if self.seconds_left() <= EARLY_SECONDS:
            budget = self.route.search_seconds
            text = f"not asked: the time budget of {budget:g} s (failover.total_seconds) was used up"
        in_order = self.route.in_order(rescues_first=self._rescues_first)
        return tuple(Skip(one.name, "time", text) for one in in_order if one.name not in self._ask.tried)

    def choose_without(self, upstreams: frozenset[str]) -> None:
        """The route as it is now for a request that has tried these upstreams and probes none."""
        self._ask = replace(self._ask, tried=upstreams, probing="")
        self._choose(self._dependencies.state())

    # --- choosing --------------------------------------------------------------------

    def _choose(self, state: State, granted: str = "") -> tuple[Candidate, ...]:
        """The candidates in order; `granted` names the account at which the request has a slot."""
        dependencies, ask = self._dependencies, self._ask
        free_soon, now = dependencies.slots.free_soon(), dependencies.now()
        if granted or free_soon:
            ask = replace(ask, holds=granted, free_soon=free_soon)
        keep_seconds = self.settings.failover.session_seconds
        affinity = dependencies.sessions.affinity_of(self._conversation, now.monotonic, keep_seconds)
        self.route = choose_route(self.settings, state, ask, now, affinity)
        if not ask.tried:
            self._exchange.skipped = self.route.reasons
        return self.route.in_order(rescues_first=self._rescues_first)

    def _to_wait_for(self, candidate: Candidate | None) -> tuple[list[Upstream], float]:
        """The full upstreams to wait for, and for how many seconds."""
        now, full = self._dependencies.monotonic(), {one.name for one in self.route.full}
        latest = self._in_queue().ends(full, now, self.settings.failover.queue_seconds)
        if candidate is not None:
            # another upstream would have no prompt cache of the conversation: not worth it for a moment
            return [candidate.upstream], LINGER_SECONDS
        wanted = [one.upstream for one in worth_waiting_for(self.route, with_rescues=self._rescues_first)]
        return wanted, wait_ends(self.route, min(latest, now + self.seconds_left())) - now

    def _in_queue(self) -> "QueuePosition":
        """Few requests need a position in the queue."""
        if self._position is None:
            self._position = QueuePosition(self._dependencies)
        return self._position


class QueuePosition:
    """One request's position in the queue for slots, and until when it waits there."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._queue = dependencies.slots
        self._ticket: int | None = None
        self._ends: float | None = None
        self._waits_for: str | None = None
        """of a held request: the upstream at which it may wait for as long as it is held"""

    def begin_pass(self, waits_for: str, ends: float) -> None:
        self._waits_for, self._ends = waits_for, ends

    def ends(self, full: Set[str], now: float, queue_seconds: float) -> float:
        """The moment until which it waits."""
        if self._ends is None:
            self._ends = now + queue_seconds
        if self._waits_for is not None and self._waits_for not in full:
            # while it waits here it does not try the upstreams that may recover: only for a moment
            self._ends, self._waits_for = min(self._ends, now + LONGEST_PAUSE_SECONDS), None
        return self._ends

    async def wait(self, wanted: list[Upstream], seconds: float) -> str:
        """The account at which the request now has a slot; "" if there was none in time."""
        if self._ticket is None:
            self._ticket = self._queue.draw_ticket()
        return await self._queue.wait(self._ticket, wanted, seconds) or ""
