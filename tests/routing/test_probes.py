"""Which request may try a failing upstream next, checked against a small model of the guarantees."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from switchyard.routing.hold import Target, pause_seconds
from switchyard.routing.probes import SILENT_SECONDS, STALE_SECONDS, Grant, Probes

A: Target = ("a", "m")
B: Target = ("b", "m")


def failing(probes: Probes, target: Target = A, times: int = 1, now: float = 0.0, after: float = 0.0) -> None:
    """This many failures in a row, each of an attempt that began after the previous failure."""
    for _ in range(times):
        probes.begin("first", target, now)
        probes.end("first", target)
        probes.failed(target, now, now, after, 0.0)


# --- single promises ------------------------------------------------------------


def test_the_oldest_request_is_first_and_a_failed_one_moves_to_the_end() -> None:
    probes = Probes()
    failing(probes)
    for exchange in "xyz":
        probes.join(exchange, A, 0.0)
    order, now = [], 1.0
    for _ in range(4):
        (grant,) = probes.grants(now)
        order.append(grant.exchange)
        probes.begin(grant.exchange, A, now)
        probes.end(grant.exchange, A)
        probes.failed(A, now, now, 0.0, 0.0)
        probes.join(grant.exchange, A, now)
        now = probes.next_at()
    assert order == ["x", "y", "z", "x"]


@pytest.mark.parametrize(("seconds", "granted"), [(SILENT_SECONDS - 0.1, []), (SILENT_SECONDS, ["y"])])
def test_a_second_probe_starts_only_when_the_first_gets_no_response(
    seconds: float, granted: list[str]
) -> None:
    probes = Probes()
    failing(probes)
    for exchange in "xyz":
        probes.join(exchange, A, 0.0)
    assert [one.exchange for one in probes.grants(1.0)] == ["x"]
    assert [one.exchange for one in probes.grants(1.0 + seconds)] == granted


def test_each_further_probe_waits_twice_as_long_for_those_without_a_response() -> None:
    probes = Probes()
    failing(probes)
    for exchange in "vwxyz":
        probes.join(exchange, A, 0.0)
    began = []
    for _ in range(5):
        now = probes.next_at()
        began += [now for _ in probes.grants(now)]
    assert began == [1.0, 21.0, 61.0, 141.0, 301.0]


def test_a_probe_that_ends_no_longer_counts_among_those_without_a_response() -> None:
    probes = Probes()
    failing(probes)
    for exchange in "xyz":
        probes.join(exchange, A, 0.0)
    for now in (1.0, 21.0):
        probes.grants(now)
    probes.end("x", A)
    assert probes.next_at() == 21.0 + SILENT_SECONDS


def test_the_first_attempt_of_a_request_that_is_not_held_counts_as_a_probe_under_way() -> None:
    probes = Probes()
    failing(probes)
    probes.join("x", A, 0.0)
    probes.begin("new", A, 5.0)
    assert (probes.grants(5.0), probes.next_at()) == ([], 5.0 + SILENT_SECONDS)


def test_a_request_in_two_queues_is_granted_one_target_and_leaves_the_other_queue() -> None:
    probes = Probes()
    for target in (A, B):
        failing(probes, target)
        for exchange in "xy":
            probes.join(exchange, target, 0.0)
    assert probes.grants(1.0) == [Grant("x", A), Grant("y", B)]
    assert [queue.waiting for queue in probes.queues()] == [0, 0]


def test_a_success_releases_all_requests_in_order_and_the_next_outage_begins_with_short_pauses() -> None:
    probes = Probes()
    failing(probes, times=5)
    for exchange in "xyz":
        probes.join(exchange, A, 0.0)
        probes.join(exchange, B, 0.0, not_before=100.0)
    assert probes.succeeded(A) == ("x", "y", "z")
    assert [(queue.target, queue.waiting) for queue in probes.queues()] == [(B, 0)]
    failing(probes, now=50.0)
    assert next_at(probes) == 50.0 + pause_seconds(1, 0.0)


def next_at(probes: Probes, target: Target = A) -> float:
    return next(queue.next_at for queue in probes.queues() if queue.target == target)


def test_attempts_side_by_side_count_as_one_failure() -> None:
    probes = Probes()
    for exchange in "xyz":
        probes.begin(exchange, A, 0.0)
    for number, exchange in enumerate("xyz"):
        probes.end(exchange, A)
        probes.failed(A, 0.0, 5.0 + number, 0.0, 0.0)
    assert next_at(probes) == 7.0 + pause_seconds(1, 0.0)


@pytest.mark.parametrize(("quiet", "failures"), [(STALE_SECONDS, 5), (STALE_SECONDS + 1, 1)])
def test_failures_long_ago_make_no_long_pauses(quiet: float, failures: int) -> None:
    probes = Probes()
    failing(probes, times=4)
    now = next_at(probes) + quiet
    failing(probes, now=now)
    assert next_at(probes) == now + pause_seconds(failures, 0.0)


def test_a_long_retry_after_outlives_failures_elsewhere() -> None:
    probes = Probes()
    failing(probes, after=200.0)
    failing(probes, B, now=100.0)
    probes.join("x", A, 100.0)
    assert (probes.grants(199.0), probes.next_at()) == ([], 200.0)


def test_failures_long_ago_still_count_for_those_that_wait() -> None:
    probes = Probes()
    failing(probes, times=4)
    probes.join("x", A, 0.0)
    failing(probes, now=1000.0)
    assert next_at(probes) == 1000.0 + pause_seconds(5, 0.0)


@pytest.mark.parametrize("earlier", ["no failure", "a failure"])
def test_a_retry_after_is_obeyed_whichever_failure_came_before(earlier: str) -> None:
    probes = Probes()
    if earlier == "a failure":
        failing(probes)
    probes.join("x", A, 5.0, not_before=40.0)
    assert (probes.grants(39.0), probes.next_at()) == ([], 40.0)
    assert probes.grants(40.0) == [Grant("x", A)]


@pytest.mark.parametrize(("upstreams", "granted"), [(None, ["x", "y"]), (("b",), ["y"]), (("c",), [])])
def test_a_hastened_try_is_due_at_once(upstreams: tuple[str, ...] | None, granted: list[str]) -> None:
    probes = Probes()
    for exchange, target in (("x", A), ("y", B)):
        failing(probes, target, times=6)
        probes.join(exchange, target, 0.0)
    probes.hasten(3.0, upstreams)
    assert [one.exchange for one in probes.grants(3.0)] == granted


# --- all of them, in any order of events ------------------------------------------


@dataclass
class Queue:
    """The guarantees for one target."""

    waiting: list[str] = field(default_factory=list)
    under_way: dict[str, float] = field(default_factory=dict)
    """exchange -> when its attempt, or its grant, began"""
    probes: set[str] = field(default_factory=set)
    not_before: float = 0.0
    failures: int = 0
    failed_at: float = 0.0

    def opens_at(self) -> float:
        if not self.under_way:
            return self.not_before
        blocked = SILENT_SECONDS
        for _ in range(len(self.probes) - 1):
            blocked *= 2
        return max(self.not_before, max(self.under_way.values()) + blocked)

    def forget_what_is_stale(self, now: float) -> None:
        if not self.waiting and not self.under_way and now - self.not_before > STALE_SECONDS:
            self.failures, self.failed_at = 0, 0.0

    def note_failure(self, began: float, now: float, after: float) -> None:
        if began >= self.failed_at:
            self.failures, self.failed_at = self.failures + 1, now
        self.not_before = max(self.not_before, now + max(pause_seconds(self.failures, 0.0), after))


class HeldRequests(RuleBasedStateMachine):
    """Requests that start, fail, are held, probe, are released, leave: as `relay.hold` reports them."""

    TARGETS = (A, B)
    AFTER = st.sampled_from([0.0, 0.0, 3.0, 100.0])

    def __init__(self) -> None:
        super().__init__()
        self.probes = Probes()
        self.now = 0.0
        self.queues = {target: Queue() for target in self.TARGETS}
        self.count = 0

    @property
    def attempts(self) -> list[tuple[str, Target]]:
        return [(one, target) for target, queue in self.queues.items() for one in queue.under_way]

    @property
    def waiting(self) -> list[str]:
        return list(dict.fromkeys(one for queue in self.queues.values() for one in queue.waiting))

    # --- events -----------------------------------------------------------------

    @rule(at=st.sampled_from(TARGETS))
    def a_request_is_made(self, at: Target) -> None:
        self._begin(at)

    @rule(at=st.sampled_from(TARGETS), held_for=st.sets(st.sampled_from(TARGETS)))
    def a_request_fails_at_once_and_is_held(self, at: Target, held_for: set[Target]) -> None:
        self._fail(self._begin(at), at, 0.0)
        self._hold(f"x{self.count}", held_for)

    @precondition(lambda self: self.attempts)
    @rule(data=st.data(), after=AFTER, held_for=st.sets(st.sampled_from(TARGETS)))
    def an_attempt_fails_and_its_request_is_held(
        self, data: st.DataObject, after: float, held_for: set[Target]
    ) -> None:
        name, target = data.draw(st.sampled_from(self.attempts))
        self._fail(name, target, after)
        self._hold(name, held_for)

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def an_attempt_ends_in_a_way_that_says_nothing(self, data: st.DataObject) -> None:
        self._end(*data.draw(st.sampled_from(self.attempts)))

    @precondition(lambda self: self.attempts)
    @rule(data=st.data())
    def an_attempt_succeeds(self, data: st.DataObject) -> None:
        name, target = data.draw(st.sampled_from(self.attempts))
        self._end(name, target)
        queue = self.queues[target]
        assert (self.probes.succeeded(target) or ()) == tuple(queue.waiting)
        for released in list(queue.waiting):
            self._leave(released)
        self.queues[target] = Queue(under_way=queue.under_way, probes=queue.probes)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def a_client_leaves(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.waiting))
        self.probes.leave(name)
        self._leave(name)

    @precondition(lambda self: self.waiting)
    @rule()
    def the_settings_are_edited(self) -> None:
        """All requests wait again, in the same order."""
        waits = {name: [t for t in self.TARGETS if name in self.queues[t].waiting] for name in self.waiting}
        for name, targets in waits.items():
            self.probes.leave(name)
            self._leave(name)
            self._hold(name, set(targets))

    @rule(seconds=st.sampled_from([0.5, 5.0, SILENT_SECONDS, STALE_SECONDS + 20]))
    def time_goes_on(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.probes.next_at() < float("inf"))
    @rule()
    def the_next_line_opens(self) -> None:
        opens = max(self.now, min(queue.opens_at() for queue in self.queues.values() if queue.waiting))
        assert max(self.now, self.probes.next_at()) == opens
        self.now = opens
        assert self._hand_out(), "the line is open and no request may go"

    @rule()
    def who_may_go_is_asked(self) -> None:
        self._hand_out()

    @rule(upstream=st.sampled_from([None, "a", "b"]))
    def the_user_wants_a_try_now(self, upstream: str | None) -> None:
        self.probes.hasten(self.now, None if upstream is None else [upstream])
        for target, queue in self.queues.items():
            if upstream in (None, target[0]):
                queue.not_before = self.now

    # --- what is promised ----------------------------------------------------------

    def _hand_out(self) -> list[Grant]:
        granted = self.probes.grants(self.now)
        assert len({grant.target for grant in granted}) == len(granted), "two probes at once"
        for grant in granted:
            queue = self.queues[grant.target]
            assert queue.waiting[0] == grant.exchange, "not the oldest"
            assert queue.opens_at() <= self.now, "too early"
            self._leave(grant.exchange)
            queue.under_way[grant.exchange] = self.now
            queue.probes.add(grant.exchange)
        assert not any(queue.waiting and queue.opens_at() <= self.now for queue in self.queues.values())
        return granted

    @invariant()
    def what_is_shown_is_what_there_is(self) -> None:
        shown = {queue.target: (queue.waiting, queue.probing) for queue in self.probes.queues()}
        for target, queue in self.queues.items():
            assert shown.get(target, (0, bool(queue.under_way))) == (
                len(queue.waiting),
                bool(queue.under_way),
            )

    def teardown(self) -> None:
        """Every waiting request is granted a try before long, if the running ones end; then nothing is left."""
        for _ in range(3 * len(self.waiting) + 3):
            for name, target in self.attempts:
                self._end(name, target)
            if self.waiting:
                self.now = max(self.now, self.probes.next_at())
                self._hand_out()
        assert not self.waiting
        for name, target in self.attempts:
            self._end(name, target)
        assert all((queue.waiting, queue.probing) == (0, False) for queue in self.probes.queues())
        long_after = max([self.now, *(queue.next_at for queue in self.probes.queues())]) + STALE_SECONDS + 1
        self.probes.failed(("new", "m"), long_after, long_after, 0.0, 0.0)
        assert [queue.target for queue in self.probes.queues()] == [("new", "m")]

    # --- the model ------------------------------------------------------------------

    def _begin(self, target: Target) -> str:
        self.count += 1
        name = f"x{self.count}"
        is_isolated = self.probes.begin(name, target, self.now)
        self.queues[target].under_way[name] = self.now
        assert is_isolated is (len(self.queues[target].under_way) == 1)
        return name

    def _fail(self, name: str, target: Target, after: float) -> None:
        began = self._end(name, target)
        self.probes.failed(target, began, self.now, after, 0.0)
        for queue in self.queues.values():
            queue.forget_what_is_stale(self.now)
        self.queues[target].note_failure(began, self.now, after)

    def _end(self, name: str, target: Target) -> float:
        self.probes.end(name, target)
        queue = self.queues[target]
        queue.probes.discard(name)
        return queue.under_way.pop(name)

    def _leave(self, name: str) -> None:
        for queue in self.queues.values():
            if name in queue.waiting:
                queue.waiting.remove(name)

    def _hold(self, name: str, targets: set[Target]) -> None:
        for target in sorted(targets):
            self.probes.join(name, target, self.now)
            self.queues[target].waiting.append(name)


HeldRequests.TestCase.settings = hypothesis_settings(max_examples=150, stateful_step_count=50)
TestHeldRequests = HeldRequests.TestCase
