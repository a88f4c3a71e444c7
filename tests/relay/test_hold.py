"""Held requests in fake time: which one tries again, when, how often, and what ends it."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec.structs
import pytest

from switchyard.exchange import Exchange, FailureKind, Outcome
from switchyard.relay.failures import AttemptFailed, network_failure
from switchyard.relay.upstream import Call, Reply
from switchyard.settings import Failover, Settings, TimeoutOverrides, Upstream
from tests.bed import wire
from tests.bed.fake_time import now, run, settle
from tests.bed.stage import Body, Stage, refused, reply, upstream

BUSY = b'{"type":"error","error":{"type":"api_error","message":"busy"}}'
FAULTS: dict[str, Callable[[], Reply]] = {
    "503": lambda: reply(503, BUSY),
    "502": lambda: reply(502, b"<html>Bad gateway</html>"),
    "504": lambda: reply(504, b""),
    "529": lambda: reply(529, b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'),
    "429": lambda: reply(429, b'{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}'),
    "429 with a hint": lambda: reply(429, b'{"error":{"message":"slow down"}}', retry_after="3"),
    "408": lambda: reply(408, BUSY),
    "425": lambda: reply(425, BUSY),
    "refused": lambda: _raised(refused()),
    "reset": lambda: _raised(AttemptFailed(network_failure(FailureKind.READ, "reset"))),
    "inside a 200": lambda: reply(
        200, b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    ),
}


def _raised(error: Exception) -> Reply:
    raise error


class Outage:
    """Upstreams that fail until a moment, and count what they are asked meanwhile."""

    def __init__(
        self,
        fault: Callable[[], Reply],
        until: dict[str, float] | float,
        takes: float = 0.0,
        answers: float = 0.0,
    ) -> None:
        self._fault = fault
        self._until = until
        self._takes = takes
        self._answers = answers
        self.asked: list[tuple[str, float]] = []
        self.most_at_once = 0
        self._at_once = 0

    async def __call__(self, call: Call) -> Reply:
        until = self._until if isinstance(self._until, float | int) else self._until[call.upstream]
        self.asked.append((call.upstream, now()))
        if now() >= until:
            await asyncio.sleep(self._answers)
            return reply()
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(self._takes)
            return self._fault()
        finally:
            self._at_once -= 1


def played(
    outage: Callable[[], Outage], act: Callable[[Stage, Outage], Any], *upstreams: Upstream, **rules: Any
) -> Any:
    async def scenario() -> Any:
        failing = outage()
        settings = Settings(upstreams=upstreams or (upstream("a"),), failover=Failover(**rules))
        return await act(Stage(settings, failing), failing)

    return run(scenario())


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_an_outage_of_8_seconds_is_ridden_out(fault: str, count: int, stream: bool) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        exchange = await stage.ask(stream=stream)
        return exchange.outcome, [sum(name == one for name, _ in outage.asked) for one in "ab"[:count]], now()

    entries = [upstream(name) for name in "ab"[:count]]
    outcome, asked, ended = played(lambda: Outage(FAULTS[fault], 8.0), act, *entries)
    assert outcome is Outcome.OK
    assert ended <= 8 + 15
    assert all(times <= 8 for times in asked)


def test_the_pauses_double_up_to_15_seconds_until_the_time_is_used_up() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        exchange = await stage.ask(stream=True)
        return exchange.outcome, [round(at) for _, at in outage.asked], round(exchange.held), round(now())

    outcome, asked, held, ended = played(lambda: Outage(FAULTS["503"], 1000.0), act, hold_seconds=60)
    assert outcome is Outcome.FAILED
    assert (asked, held, ended) == ([0, 1, 3, 7, 15, 30, 45, 60], 60, 60) or asked == [0, 1, 3, 7, 15, 30, 45]
    assert (held, ended) == (60, 60)


@pytest.mark.parametrize(
    ("headers", "ends"),
    [
        ({}, 60),
        ({"x-stainless-timeout": "300"}, 270),
        ({"x-stainless-timeout": "NOT_GIVEN", "x-stainless-read-timeout": "100"}, 90),
        ({"x-stainless-timeout": "600", "x-stainless-read-timeout": "50"}, 45),
        ({"x-stainless-timeout": "600"}, 300),
    ],
)
def test_a_whole_answer_is_waited_for_as_long_as_its_client_does(
    headers: dict[str, str], ends: float
) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        await stage.ask(headers=headers)
        return round(now())

    assert played(lambda: Outage(FAULTS["503"], 1000.0), act) == ends


LASTING: dict[str, Callable[[], Reply]] = {
    "bad key": lambda: reply(401, b'{"error":{"message":"invalid api key"}}'),
    "forbidden": lambda: reply(403, b'{"error":{"message":"forbidden"}}'),
    "no credit": lambda: reply(402, b'{"error":{"message":"insufficient balance"}}'),
    "unknown model": lambda: reply(404, b'{"error":{"message":"model m not found"}}'),
    "no channel": lambda: reply(503, b'{"error":{"message":"no available channel for model m"}}'),
    "a quota until tomorrow": lambda: reply(
        429, b'{"error":{"message":"You exceeded your current quota"}}', retry_after="40000"
    ),
    "certificate": lambda: _raised(
        AttemptFailed(network_failure(FailureKind.CONNECT, "certificate not accepted", "tls"))
    ),
    "redirect": lambda: reply(307, b"", location="https://elsewhere.example"),
    "the upstream says so": lambda: reply(503, BUSY, x_should_retry="false"),
    "the client's error": lambda: reply(400, b'{"error":{"message":"messages: at least one"}}'),
}


@pytest.mark.parametrize("fault", LASTING)
def test_what_does_not_pass_ends_at_once(fault: str) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        exchange = await stage.ask(stream=True)
        return exchange.outcome, exchange.held, now(), len(outage.asked)

    assert played(lambda: Outage(LASTING[fault], 1000.0), act) == (Outcome.FAILED, 0.0, 0.0, 1)


def test_a_lasting_failure_beside_a_passing_one_is_not_asked_again() -> None:
    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            if call.upstream == "a":
                return reply(401, b"{}")
            return reply(503, BUSY) if now() < 8 else reply()

        stage = Stage(Settings(upstreams=(upstream("a"), upstream("b"))), answer)
        exchange = await stage.ask(stream=True)
        return exchange.outcome, stage.wire.asked.count("a")

    assert run(scenario()) == (Outcome.OK, 1)


@pytest.mark.parametrize(("fault", "seconds"), [("unknown_host", 15), ("", 20)])
def test_an_entry_that_has_never_answered_is_not_waited_for_long(fault: Any, seconds: float) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        stage.dependencies.answered.clear()
        exchange = await stage.ask(stream=True)
        return exchange.outcome, round(now())

    def failing() -> Outage:
        return Outage(
            lambda: _raised(AttemptFailed(network_failure(FailureKind.CONNECT, "cannot connect", fault))),
            1000.0,
        )

    assert played(failing, act) == (Outcome.FAILED, seconds)


@pytest.mark.parametrize("status", [500, 501])
def test_a_crash_is_tried_three_times(status: int) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        exchange = await stage.ask(stream=True)
        return exchange.outcome, len(outage.asked)

    fault = Outage(lambda: reply(status, b'{"error":{"message":"internal error"}}'), 1000.0)
    assert played(lambda: fault, act) == (Outcome.FAILED, 3)


def test_a_failure_that_comes_again_while_others_are_answered_belongs_to_the_request() -> None:
    async def scenario() -> object:
        poisoned = {"times": 0}

        async def answer(call: Call) -> Reply:
            if b"poison" in call.body:
                poisoned["times"] += 1
                return reply(502, b"{}")
            return reply()

        stage = Stage(Settings(upstreams=(upstream("a"),)), answer)
        asking = asyncio.create_task(stage.ask(stream=True, prompt="poison"))
        for _ in range(4):
            await asyncio.sleep(0.1)
            assert (await stage.ask()).outcome is Outcome.OK
        return (await asking).outcome, poisoned["times"], now() < 2

    assert run(scenario()) == (Outcome.FAILED, 3, True)


def test_load_is_never_a_failure_of_the_request_itself() -> None:
    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            return reply(429, b"{}") if b"unlucky" in call.body and now() < 20 else reply()

        stage = Stage(Settings(upstreams=(upstream("a"),)), answer)
        asking = asyncio.create_task(stage.ask(stream=True, prompt="unlucky"))
        for _ in range(6):
            await asyncio.sleep(2)
            await stage.ask()
        return (await asking).outcome

    assert run(scenario()) is Outcome.OK


@pytest.mark.parametrize("fault", ["502", "503", "529", "429"])
def test_a_request_that_fails_while_others_are_answered_is_tried_at_its_own_pace(fault: str) -> None:
    async def scenario() -> object:
        tries = 0

        async def answer(call: Call) -> Reply:
            nonlocal tries
            if b"unlucky" in call.body:
                tries += 1
                return FAULTS[fault]()
            await asyncio.sleep(0.25)
            return reply()

        async def another(number: int) -> None:
            await asyncio.sleep(number * 0.1)
            await stage.ask(prompt=f"{number}")

        stage = Stage(Settings(upstreams=(upstream("a"),)), answer)
        asking = asyncio.create_task(stage.ask(stream=True, prompt="unlucky"))
        await asyncio.gather(*(another(number) for number in range(600)))
        asking.cancel()
        return tries <= 10

    assert run(scenario())


@pytest.mark.parametrize("takes", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("limit", [0, 4])
def test_many_held_requests_share_one_probe_and_all_go_on_at_the_recovery(takes: float, limit: int) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        tasks = [asyncio.create_task(stage.ask(stream=True, prompt=f"{n}")) for n in range(20)]
        await asyncio.sleep(takes + 0.5)
        outage.most_at_once = 0
        exchanges = await asyncio.gather(*tasks)
        return [one.outcome for one in exchanges], outage.most_at_once, now(), len(outage.asked)

    outcomes, most, ended, asked = played(
        lambda: Outage(FAULTS["503"], 60.0, takes, answers=1.0), act, upstream("a", max_concurrency=limit)
    )
    assert outcomes == [Outcome.OK] * 20
    assert most == 1
    assert ended <= 60 + 20 + 20 / (limit or 20)
    assert asked <= 20 + 12 + 20


def test_new_requests_join_the_held_ones_while_the_upstream_is_cooling_down() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        first = [asyncio.create_task(stage.ask(stream=True, prompt=f"{n}")) for n in range(10)]
        await asyncio.sleep(5)
        asked = len(outage.asked)
        second = [asyncio.create_task(stage.ask(stream=True, prompt=f"late {n}")) for n in range(10)]
        await settle()
        asked_by_late = len(outage.asked) - asked
        exchanges = await asyncio.gather(*first, *second)
        return {one.outcome for one in exchanges}, asked_by_late

    assert played(lambda: Outage(FAULTS["503"], 30.0), act) == ({Outcome.OK}, 0)


def test_probes_without_an_answer_do_not_hide_that_the_upstream_has_recovered() -> None:
    """The first attempts of all end after 100 s; then each probe that gets no answer is followed by another."""

    async def act(stage: Stage, outage: Outage) -> object:
        asking = [asyncio.create_task(stage.ask(stream=True, prompt=f"{n}")) for n in range(8)]
        done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
        answered = now()
        await asyncio.gather(*asking)
        return {one.result().outcome for one in done}, answered, [at for _, at in outage.asked[8:11]]

    entry = upstream("a", timeouts=TimeoutOverrides(first_byte=100.0))
    silent: Callable[[], Outage] = lambda: Outage(FAULTS["503"], 130.0, takes=1e6)  # noqa: E731
    assert played(silent, act, entry) == ({Outcome.OK}, 161.0, [101.0, 121.0, 161.0])


def test_a_hint_is_obeyed() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        await stage.ask(stream=True)
        return [at for _, at in outage.asked]

    def fault() -> Reply:
        return reply(429, b'{"error":{"message":"slow down"}}', retry_after="40")

    assert played(lambda: Outage(fault, 30.0), act) == [0.0, 40.0]


def test_an_edit_takes_effect_at_once() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        asking = [asyncio.create_task(stage.ask(stream=True, prompt=f"{n}")) for n in range(3)]
        await asyncio.sleep(20)
        entries = (upstream("a", key="corrected"), upstream("b"))
        stage.bed.settings = msgspec.structs.replace(stage.bed.settings, upstreams=entries)
        stage.dependencies.hold.edited()
        exchanges = await asyncio.gather(*asking)
        return {one.outcome for one in exchanges}, {one.attempts[-1].upstream for one in exchanges}, now()

    outage: Callable[[], Outage] = lambda: Outage(FAULTS["503"], {"a": 1e6, "b": 0.0})  # noqa: E731
    assert played(outage, act) == ({Outcome.OK}, {"b"}, 20.0)


def test_try_now_is_one_probe() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        asking = [asyncio.create_task(stage.ask(stream=True, prompt=f"{n}")) for n in range(3)]
        await asyncio.sleep(20)
        before = len(outage.asked)
        stage.dependencies.hold.hasten()
        await settle()
        tried = len(outage.asked) - before
        exchanges = await asyncio.gather(*asking)
        return {one.outcome for one in exchanges}, tried

    assert played(lambda: Outage(FAULTS["503"], 25.0), act) == ({Outcome.OK}, 1)


@pytest.mark.parametrize("takes", [0.0, 1000.0], ids=["waiting", "probing"])
def test_a_request_that_is_given_up_ends_at_once_with_its_error(takes: float) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        entry = upstream("a", timeouts=TimeoutOverrides(first_byte=5.0))
        stage.bed.settings = msgspec.structs.replace(stage.bed.settings, upstreams=(entry,))
        asking = asyncio.create_task(stage.ask(stream=True))
        await asyncio.sleep(8.5)
        stage.dependencies.hold.give_up()
        exchange: Exchange = await asking
        assert exchange.failure is not None
        return (
            exchange.outcome,
            now(),
            exchange.failure.message.startswith('upstream "a": '),
            under_way(stage),
        )

    assert played(lambda: Outage(FAULTS["503"], 1000.0, takes), act) == (Outcome.FAILED, 8.5, True, 0)


@pytest.mark.parametrize("waits", [0.0, 3.0], ids=["waiting", "probing"])
def test_a_request_that_was_held_before_any_try_is_given_up_without_an_internal_error(waits: float) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        entry = upstream("a", timeouts=TimeoutOverrides(first_byte=5.0))
        stage.bed.settings = msgspec.structs.replace(stage.bed.settings, upstreams=(entry,))
        leaving = asyncio.create_task(stage.ask(stream=True, prompt="leaving"))
        await asyncio.sleep(5.1)
        asking = asyncio.create_task(stage.ask(stream=True))
        await settle()
        leaving.cancel()
        await asyncio.sleep(waits)
        stage.dependencies.hold.give_up()
        exchange: Exchange = await asking
        assert exchange.failure is not None
        return exchange.outcome, len(exchange.attempts), exchange.failure.code, under_way(stage)

    found = played(lambda: Outage(FAULTS["503"], 1e6, takes=1000.0), act, error_threshold=1)
    assert found == (Outcome.FAILED, bool(waits), "no_upstream", 0)


def under_way(stage: Stage, upstream: str = "a") -> int:
    return stage.bed.under_way(upstream)


@pytest.mark.parametrize("takes", [0.0, 0.5, 1000.0], ids=["waiting", "between", "probing"])
def test_a_client_that_leaves_while_held_leaves_nothing_behind(takes: float) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        entry = upstream("a", timeouts=TimeoutOverrides(first_byte=5.0))
        stage.bed.settings = msgspec.structs.replace(stage.bed.settings, upstreams=(entry,))
        leaving = asyncio.create_task(stage.ask(stream=True, prompt="leaving"))
        await asyncio.sleep(0.1)
        staying = asyncio.create_task(stage.ask(stream=True, prompt="staying"))
        await asyncio.sleep(8.0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        outcomes = stage.bed.recorded[0].outcome, (await staying).outcome
        await settle()
        return *outcomes, under_way(stage), stage.dependencies.hold.held()

    found = played(lambda: Outage(FAULTS["503"], 30.0, takes), act)
    assert found == (Outcome.CANCELLED, Outcome.OK, 0, ())


def test_what_a_client_repeats_gets_only_what_is_left_of_its_turn() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        headers = {"x-claude-code-session-id": "s"}
        first = await stage.ask(stream=True, headers=headers)
        again = await stage.ask(stream=False, headers={**headers, "x-stainless-timeout": "600"})
        other = await stage.ask(stream=True, headers=headers, prompt="the next turn")
        await asyncio.sleep(61)
        later = await stage.ask(stream=True, headers=headers)
        return [round(one.held) for one in (first, again, other, later)]

    assert played(lambda: Outage(FAULTS["503"], 1e6), act, hold_seconds=50) == [50, 0, 50, 50]


def test_equal_requests_of_clients_without_a_session_have_a_hold_time_each() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        first = await asyncio.gather(*(stage.ask() for _ in range(4)))
        patient = {"x-stainless-timeout": "600"}
        again = await asyncio.gather(*(stage.ask(headers=patient) for _ in range(4)))
        return [[round(one.held) for one in exchanges] for exchanges in (first, again)]

    assert played(lambda: Outage(FAULTS["503"], 1e6), act, hold_seconds=100) == [[60] * 4, [40] * 4]


def test_no_more_are_held_than_the_bounds_allow() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        asking = [asyncio.create_task(stage.ask(stream=True, prompt=f"{n}")) for n in range(210)]
        await asyncio.sleep(3)
        done = sum(one.done() for one in asking)
        exchanges = await asyncio.gather(*asking)
        return done, [one.outcome for one in exchanges].count(Outcome.OK)

    assert played(lambda: Outage(FAULTS["503"], 8.0), act) == (10, 200)


def test_those_that_cannot_be_held_do_not_ask_what_is_cooling_down() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        held = [asyncio.create_task(stage.ask(stream=True, prompt=f"{n}")) for n in range(200)]
        await asyncio.sleep(5)
        before = len(outage.asked)
        others = [await stage.ask(stream=True, prompt=f"another {n}") for n in range(50)]
        asked = len(outage.asked) - before
        await asyncio.gather(*held)
        return {one.outcome for one in others}, asked

    assert played(lambda: Outage(FAULTS["503"], 20.0), act) == ({Outcome.FAILED}, 0)


def test_hold_seconds_0_turns_it_off() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        exchange = await stage.ask(stream=True)
        return exchange.outcome, exchange.held, now()

    assert played(lambda: Outage(FAULTS["503"], 8.0), act, hold_seconds=0) == (Outcome.FAILED, 0.0, 0.0)


@pytest.mark.parametrize("kind", ["test", "activation", "replay"])
def test_what_is_no_request_of_a_client_is_not_held(kind: str) -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        exchange = await stage.ask(stream=True, kind=kind)
        return exchange.outcome, exchange.held, now()

    assert played(lambda: Outage(FAULTS["503"], 8.0), act) == (Outcome.FAILED, 0.0, 0.0)


def test_an_upstream_that_recovers_first_answers_whoever_is_held() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        asking = [asyncio.create_task(stage.ask(stream=True, prompt=f"{n}")) for n in range(5)]
        exchanges = await asyncio.gather(*asking)
        return {(one.outcome, one.attempts[-1].upstream) for one in exchanges}

    outage: Callable[[], Outage] = lambda: Outage(FAULTS["refused"], {"a": 1e6, "b": 10.0})  # noqa: E731
    assert played(outage, act, upstream("a"), upstream("b", role="backup")) == {(Outcome.OK, "b")}


def test_a_new_request_is_reported_at_once_of_a_cause_that_lasts() -> None:
    """The key was refused, the upstream cools down for ten minutes: nothing can be expected of waiting for that."""

    async def act(stage: Stage, outage: Outage) -> object:
        first = await stage.ask(stream=True)
        second = await stage.ask(stream=True, prompt="another")
        assert second.failure is not None
        return first.outcome, second.outcome, second.held, second.failure.status, now()

    found = played(lambda: Outage(LASTING["bad key"], 1000.0), act)
    assert found == (Outcome.FAILED, Outcome.FAILED, 0.0, 401, 0.0)


def test_a_new_request_waits_for_the_moment_that_the_upstream_has_named() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        leaving = asyncio.create_task(stage.ask(stream=True))
        await asyncio.sleep(1)
        leaving.cancel()
        await asyncio.wait([leaving])
        exchange = await stage.ask(stream=True, prompt="another")
        return exchange.outcome, [at for _, at in outage.asked]

    def fault() -> Reply:
        return reply(429, b'{"error":{"message":"slow down"}}', retry_after="40")

    assert played(lambda: Outage(fault, 30.0), act) == (Outcome.OK, [0.0, 40.0])


@pytest.mark.parametrize(
    ("windows", "asked"),
    [((8000, 4000, 0), ["a", "c"]), ((8000, 32000, 8000), ["a", "b"]), ((0, 8000, 0), ["a", "b"])],
)
def test_a_prompt_that_is_too_long_goes_to_a_larger_window(
    windows: tuple[int, ...], asked: list[str]
) -> None:
    """The window that the answer names counts more than the file's."""

    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            if call.upstream != "a":
                return reply()
            text = "prompt is too long: 9000 tokens > 8000 maximum" if windows[0] else "prompt is too long"
            return reply(
                400,
                b'{"type":"error","error":{"type":"invalid_request_error","message":"%s"}}' % text.encode(),
            )

        entries = tuple(
            upstream(name, context_window=size) for name, size in zip("abc", windows, strict=True)
        )
        stage = Stage(Settings(upstreams=entries), answer)
        exchange = await stage.ask(stream=True)
        return exchange.outcome, stage.wire.asked

    assert run(scenario()) == (Outcome.OK, asked)


def test_an_overflow_of_every_window_is_reported_in_the_text_that_clients_recognise() -> None:
    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            text = b"prompt is too long: 9000 tokens > 8000 maximum"
            return reply(
                400, b'{"type":"error","error":{"type":"invalid_request_error","message":"%s"}}' % text
            )

        entries = (upstream("a", context_window=8000), upstream("b", context_window=4000), upstream("c"))
        stage = Stage(Settings(upstreams=entries), answer)
        exchange = await stage.ask(stream=True)
        assert exchange.failure is not None
        return stage.wire.asked, exchange.failure.message, dict(exchange.skipped)["b"]

    assert run(scenario()) == (
        ["a", "c"],
        "prompt is too long: 9000 tokens > 8000 maximum",
        "its context window of 4000 tokens is too small for this prompt",
    )


def test_what_a_client_repeats_soon_gets_what_is_left_however_long_the_first_tries_take() -> None:
    async def act(stage: Stage, outage: Outage) -> object:
        session = {"x-claude-code-session-id": "s"}
        first = await stage.ask(headers={**session, "x-stainless-timeout": "100"})
        await asyncio.sleep(50)
        second = await stage.ask(stream=True, headers=session)
        return first.held + second.held

    held = played(lambda: Outage(FAULTS["503"], 1e6, takes=30.0), act)
    assert 300 <= held <= 300 + 2 * 30, "a probe that is under way when the time is used up runs to its end"


def test_a_held_request_does_not_wait_for_a_slot_elsewhere_while_its_upstream_recovers() -> None:
    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            if call.upstream == "full":
                await asyncio.sleep(110)
            elif now() < 60:
                return reply(503, BUSY)
            return reply()

        entries = upstream("a"), upstream("full", role="backup", max_concurrency=1)
        stage = Stage(Settings(upstreams=entries), answer)
        long = asyncio.create_task(stage.ask(stream=True, model="full,m", prompt="long"))
        await asyncio.sleep(1)
        exchange = await stage.ask(stream=True)
        ended = now()
        await long
        await settle()
        return (
            exchange.outcome,
            exchange.attempts[-1].upstream,
            ended <= 60 + 2 * 15,
            under_way(stage, "full"),
        )

    assert run(scenario()) == (Outcome.OK, "a", True, 0)


# --- a stream that has broken --------------------------------------------------

RECORDS = wire.records("messages", wire.Reply("Hello, you"), "m")
BROKEN = b"".join(RECORDS[:-3])
ENDED_BY = {
    "the end of the connection": Body(BROKEN),
    "silence": Body(BROKEN, lingers=1e9),
    "an error event": Body(
        BROKEN + b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"Oops"}}\n\n'
    ),
}


@pytest.mark.parametrize("names", [("a",), ("a", "b")], ids=["sole", "both"])
@pytest.mark.parametrize("ended_by", ENDED_BY)
def test_what_is_repeated_after_a_stream_broke_is_tried_at_once_if_there_is_no_other_upstream(
    ended_by: str, names: tuple[str, ...]
) -> None:
    async def scenario() -> tuple[list[str], list[Outcome], float]:
        breaking = set(names)

        async def answer(call: Call) -> Reply:
            is_breaking = call.upstream in breaking
            breaking.discard(call.upstream)
            body = ENDED_BY[ended_by] if is_breaking else Body(b"".join(RECORDS))
            return Reply(200, [("content-type", "text/event-stream")], body)

        stage = Stage(Settings(upstreams=tuple(upstream(name) for name in names)), answer)
        outcomes = [(await stage.ask(stream=True)).outcome for _ in names]
        before = now()
        outcomes.append((await stage.ask(stream=True)).outcome)
        return stage.wire.asked, outcomes, now() - before

    asked, outcomes, waited = run(scenario())
    assert asked == [*names, "a"]
    assert outcomes == [*[Outcome.TRUNCATED] * len(names), Outcome.OK]
    assert waited < 1.0
