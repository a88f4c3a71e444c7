"""One request's search, in fake time over scripted upstreams."""

import asyncio
from typing import cast

import msgspec
import msgspec.structs
import pytest

from switchyard.exchange import Exchange, Outcome
from switchyard.relay.capture import NowhereSink
from switchyard.relay.final_error import NO_TRY
from switchyard.relay.selection import Selection
from switchyard.relay.simulate import Mode
from switchyard.relay.stopwatch import Stopwatch
from switchyard.relay.upstream import Call, Reply
from switchyard.routing.ask import Ask
from switchyard.routing.health import Charge
from switchyard.settings import Failover, Settings, TimeoutOverrides
from tests.bed import wire
from tests.bed.fake_time import now, run, settle
from tests.bed.stage import Answer, Body, Stage, refused, reply, upstream

NOT_HELD = Failover(hold_seconds=0)


@pytest.mark.parametrize("edit", ["another key", "deleted"])
def test_a_failure_of_an_account_that_was_edited_meanwhile_is_not_held_against_the_new_one(edit: str) -> None:
    async def scenario() -> object:
        old = upstream("u")
        changed = asyncio.Event()

        async def answer(call: Call) -> Reply:
            await changed.wait()
            return reply(401, b'{"error":{"message":"bad key"}}')

        stage = Stage(Settings(upstreams=(old,), failover=NOT_HELD), answer)
        asking = asyncio.create_task(stage.ask())
        await settle()
        edited = () if edit == "deleted" else (msgspec.structs.replace(old, key="corrected"),)
        stage.bed.settings = Settings(upstreams=edited)
        changed.set()
        outcome = (await asking).outcome
        return outcome, stage.bed.health.conditions()

    assert run(scenario()) == (Outcome.FAILED, {})


def test_a_success_of_the_account_before_an_edit_does_not_clear_the_new_one() -> None:
    async def scenario() -> object:
        old = upstream("u")
        changed = asyncio.Event()

        async def answer(call: Call) -> Reply:
            await changed.wait()
            return reply()

        stage = Stage(Settings(upstreams=(old,), failover=NOT_HELD), answer)
        asking = asyncio.create_task(stage.ask())
        await settle()
        stage.bed.settings = Settings(upstreams=(msgspec.structs.replace(old, key="another"),))
        stage.bed.health.failed("u", "m", Charge("error"), "500", Failover(), 0.0)
        changed.set()
        outcome = (await asking).outcome
        return outcome, list(stage.bed.health.conditions())

    assert run(scenario()) == (Outcome.OK, [("u", "")])


def test_an_edit_of_anything_else_leaves_failures_where_they_belong() -> None:
    async def scenario() -> object:
        old = upstream("u")
        changed = asyncio.Event()

        async def answer(call: Call) -> Reply:
            await changed.wait()
            raise refused()

        stage = Stage(Settings(upstreams=(old,), failover=NOT_HELD), answer)
        asking = asyncio.create_task(stage.ask())
        await settle()
        stage.bed.settings = Settings(upstreams=(msgspec.structs.replace(old, note="mine"),))
        changed.set()
        await asking
        return {key: found.errors for key, found in stage.bed.health.conditions().items()}

    assert run(scenario()) == {("u", ""): 1}


@pytest.mark.parametrize(
    ("status", "message", "marked"),
    [
        (503, "No available channel for model m under group default (distributor)", 60.0),
        (503, "当前分组 default 下对于模型 m 无可用渠道", 60.0),
        (404, "model: m does not exist", 3600.0),
    ],
)
def test_a_relay_that_only_has_no_channel_for_the_model_now_is_unlikely_for_a_minute(
    status: int, message: str, marked: float
) -> None:
    async def scenario() -> list[bool]:
        async def answer(call: Call) -> Reply:
            body = {"error": {"message": message, "code": "model_not_found"}}
            return reply(status, msgspec.json.encode(body)) if call.upstream == "relay" else reply()

        stage = Stage(Settings(upstreams=(upstream("relay"), upstream("other")), failover=NOT_HELD), answer)
        asked_at = now()
        await stage.ask()
        missing = stage.bed.dependencies.state().missing
        return [missing.is_missing("relay", "m", asked_at + later) for later in (marked - 1, marked + 1)]

    assert run(scenario()) == [True, False]


def test_a_failure_that_was_to_be_retried_and_may_not_counts_as_any_other() -> None:
    """The second request of the minute would be one too many."""

    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            if call.upstream == "u":
                raise refused()
            return reply()

        entries = (upstream("u", requests_per_minute=1), upstream("other"))
        stage = Stage(Settings(upstreams=entries, failover=Failover(on_error={"default": "retry"})), answer)
        exchange = await stage.ask()
        verdicts = [attempt.verdict for attempt in exchange.attempts]
        return stage.wire.asked, verdicts, [one.errors for one in stage.bed.health.conditions().values()]

    assert run(scenario()) == (
        ["u", "other"],
        ["switch: may not be asked again (retry: cannot connect)", ""],
        [1],
    )


class Seen(NowhereSink):
    """A client that acts as soon as it has received the end of its response."""

    def __init__(self) -> None:
        super().__init__()
        self.end_seen = asyncio.Event()

    async def end(self, data: bytes = b"") -> None:
        if b"message_stop" in data:
            self.end_seen.set()


def ends_late(call: Call) -> Reply:
    content = b"".join(wire.records("messages", wire.Reply("Hello"), "m"))
    return Reply(200, [("content-type", "text/event-stream")], Body(content, lingers=0.5))


@pytest.mark.parametrize("queue_seconds", [30.0, 0.0])
def test_the_next_request_of_a_client_waits_for_the_slot_of_its_last_one(queue_seconds: float) -> None:
    """Another upstream would have no cache of the conversation."""

    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            return ends_late(call)

        entries = (upstream("u", max_concurrency=1), upstream("other"))
        rules = Failover(queue_seconds=queue_seconds)
        stage = Stage(Settings(upstreams=entries, failover=rules), answer)
        for _ in range(3):
            client = Seen()
            asking = asyncio.create_task(stage.ask(client, stream=True))
            await client.end_seen.wait()
        await asking
        at = asyncio.get_running_loop().time()
        await asyncio.sleep(1)
        return stage.wire.asked, at, stage.bed.under_way("u")

    assert run(scenario()) == (["u", "u", "u"], 1.0, 0)


def test_only_as_many_wait_for_a_slot_that_is_free_soon_as_there_are_such_slots() -> None:
    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            return ends_late(call)

        stage = Stage(Settings(upstreams=(upstream("u", max_concurrency=2), upstream("other"))), answer)
        await asyncio.gather(*(stage.ask(stream=True) for _ in range(2)))
        asking = [asyncio.create_task(stage.ask(stream=True)) for _ in range(5)]
        await settle()
        at_once = list(stage.wire.asked)
        await asyncio.wait(asking)
        return at_once, stage.wire.asked[len(at_once) :], asyncio.get_running_loop().time()

    assert run(scenario()) == (["u", "u", "other", "other", "other"], ["u", "u"], 0.5)


@pytest.mark.parametrize("end", ["by hand", "by itself"])
@pytest.mark.parametrize("mode", ["down", "slow", "cut"])
def test_a_simulation_leaves_no_cooldown_behind(mode: Mode, end: str) -> None:
    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            return reply()

        entries = (upstream("u", timeouts=TimeoutOverrides(first_byte=1.0, idle=1.0)), upstream("other"))
        stage = Stage(Settings(upstreams=entries, failover=Failover(error_threshold=2)), answer)
        stage.dependencies.wire.simulate("u", mode, 60.0)
        during = [(await stage.ask()).attempts[-1].upstream for _ in range(3)]
        cooling = ("u", "") in stage.bed.health.conditions()
        if end == "by hand":
            stage.dependencies.wire.simulate("u", None, 0.0)
            stage.bed.health.forget_simulated(["u"])
        else:
            await asyncio.sleep(60.0)
        after = [len((await stage.ask()).attempts) for _ in range(2)]
        return during, cooling, after, stage.bed.health.is_spotless

    assert run(scenario()) == (["other"] * 3, True, [1, 1], True)


def test_a_rescue_upstream_that_is_requested_by_name_is_waited_for_as_any() -> None:
    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            await asyncio.sleep(3)
            return reply()

        entries = (upstream("u"), upstream("r", role="rescue", max_concurrency=1))
        stage = Stage(Settings(upstreams=entries), answer)
        both = await asyncio.gather(*(stage.ask(model="r,m") for _ in range(2)))
        return [one.outcome for one in both], stage.wire.asked, asyncio.get_running_loop().time() >= 6

    assert run(scenario()) == ([Outcome.OK, Outcome.OK], ["r", "r"], True)


def test_a_slot_is_released_only_when_the_connection_of_an_idle_upstream_is_closed() -> None:
    """The upstream counts too: one request more than its limit it would refuse."""

    async def scenario() -> object:
        reported: list[str] = []

        class Idle(Body):
            async def close(self) -> None:
                reported.append(f"closed with {stage.bed.under_way('u')} under way")

        async def answer(call: Call) -> Reply:
            opening = wire.records("messages", wire.Reply("Hello"), "m")[:4]
            return Reply(200, [("content-type", "text/event-stream")], Idle(b"".join(opening), 100.0))

        entry = upstream("u", max_concurrency=1, timeouts=TimeoutOverrides(idle=5.0))
        stage = Stage(Settings(upstreams=(entry,)), answer)
        exchange = await stage.ask(stream=True)
        return exchange.outcome, reported[0], stage.bed.under_way("u")

    assert run(scenario()) == (Outcome.TRUNCATED, "closed with 1 under way", 0)


def test_a_slot_that_was_waited_for_is_given_back_when_a_better_upstream_has_recovered() -> None:
    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            return reply()

        full = upstream("full", role="backup", max_concurrency=1, requests_per_minute=5)
        stage = Stage(Settings(upstreams=(upstream("better"), full)), answer)
        queue, limits = stage.dependencies.slots, stage.bed.limits
        stage.bed.health.failed("better", "m", Charge("cooldown", retry_after=3.0), "429", Failover(), 0.0)
        queue.enter(full)
        asyncio.get_running_loop().call_at(3.0, queue.leave, full.account_id)
        exchange = await stage.ask()
        counted = stage.bed.under_way("full"), limits.in_last_minute(full.account_id, 3.0)
        return [one.upstream for one in exchange.attempts], counted

    assert run(scenario()) == (["better"], (0, 1))


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("asked", [1, 2])
def test_upstreams_whose_turn_never_came_are_named_with_the_time_budget(asked: int, stream: bool) -> None:
    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            await asyncio.sleep(30)
            raise refused()

        entries = tuple(upstream(name) for name in ("a", "b", "c", "d"))
        stage = Stage(Settings(upstreams=entries, failover=Failover(total_seconds=30.0 * asked - 1)), answer)
        exchange = await stage.ask(stream=stream)
        assert exchange.failure is not None
        return stage.wire.asked, dict(exchange.skipped), exchange.failure.message

    names = ["a", "b", "c", "d"]
    text = f"not asked: the time budget of {30 * asked - 1} s (failover.total_seconds) was used up"
    found_asked, skipped, message = cast(tuple[list[str], dict[str, str], str], run(scenario()))
    assert found_asked == names[:asked]
    assert skipped == dict.fromkeys(names[asked:], text)
    assert all(f'upstream "{name}": {text}' in message for name in names[asked:])


USED_UP = "not asked: the time budget of 20 s (failover.total_seconds) was used up"


@pytest.mark.parametrize(("seconds", "text"), [(19.99999, USED_UP), (20.0, USED_UP), (19.0, NO_TRY)])
def test_the_time_budget_is_used_up_when_its_timer_ends_a_moment_early(seconds: float, text: str) -> None:
    async def never(call: Call) -> Reply:
        raise refused()

    async def scenario() -> object:
        settings = Settings(upstreams=tuple(map(upstream, ("a", "b"))), failover=Failover(total_seconds=20))
        stage, clock = Stage(settings, never), [0.0]
        exchange, ask = Exchange("x_1", 0.0, "messages", "m"), Ask("messages", "m")
        selection = Selection(stage.dependencies, exchange, Stopwatch(lambda: clock[0]), settings, "", ask)
        await selection.next(stage.dependencies.state())
        clock[0] = seconds
        return {skip.upstream: skip.text for skip in selection.unasked()}

    assert run(scenario()) == {"a": text, "b": text}


def test_a_rescue_upstream_whose_turn_never_came_is_named_too() -> None:
    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            await asyncio.sleep(30)
            raise refused()

        entries = (upstream("a"), upstream("b"), upstream("r", role="rescue"))
        rules = Failover(total_seconds=29.0, on_error={"default": "rescue"})
        exchange = await Stage(Settings(upstreams=entries, failover=rules), answer).ask()
        return [name for name, _ in exchange.skipped]

    assert run(scenario()) == ["r", "b"]


OLLAMA = upstream("local", base_url="http://localhost:11434")


def slow(takes: dict[str, float], down_until: float = 0.0) -> Answer:
    """Each upstream answers after so many seconds; all refuse connections until a moment."""

    async def answer(call: Call) -> Reply:
        if now() < down_until:
            raise refused()
        await asyncio.sleep(takes[call.upstream])
        return reply()

    return answer


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(
    ("names", "takes", "down_until", "answered_by", "at"),
    [
        (["local"], {"local": 590.0}, 0.0, "local", 590),
        (["other", "local"], {"other": 1e6, "local": 590.0}, 0.0, "local", 710),
        (["local", "other"], {"local": 1e6, "other": 110.0}, 0.0, "other", 710),
        (["local", "other", "third"], {"local": 1e6, "other": 1e6, "third": 110.0}, 0.0, "third", 830),
        (["local"], {"local": 590.0}, 250.0, "local", 845),
    ],
    ids=["alone", "second", "first", "of three", "held"],
)
def test_the_long_wait_for_a_local_server_is_not_cut_short_and_leaves_time_for_the_next(
    names: list[str], takes: dict[str, float], down_until: float, answered_by: str, at: float, stream: bool
) -> None:
    async def scenario() -> object:
        entries = tuple(OLLAMA if name == "local" else upstream(name, timeouts=SHORT_IDLE) for name in names)
        stage = Stage(Settings(upstreams=entries), slow(takes, down_until))
        exchange = await stage.ask(stream=stream, headers={"x-stainless-timeout": "1200"})
        return exchange.outcome, exchange.attempts[-1].upstream, round(now())

    assert run(scenario()) == (Outcome.OK, answered_by, at)


SHORT_IDLE = TimeoutOverrides(idle=100.0)
"""a whole answer is waited for as long as `idle` where that is longer"""


def test_a_relay_on_loopback_is_not_waited_for_like_a_local_server() -> None:
    async def scenario() -> object:
        entries = (upstream("relay", base_url="http://127.0.0.1:5102"), upstream("other"))
        stage = Stage(Settings(upstreams=entries), slow({"relay": 1e6, "other": 0.0}))
        exchange = await stage.ask(stream=True)
        return exchange.attempts[-1].upstream, round(now())

    assert run(scenario()) == ("other", 120)


@pytest.mark.parametrize("first_byte", [5.0, 15.0, 19.0])
def test_an_attempt_that_began_while_a_failure_was_simulated_is_not_charged_when_it_fails_later(
    first_byte: float,
) -> None:
    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            return reply()

        entries = (
            upstream("u", timeouts=TimeoutOverrides(first_byte=first_byte, idle=1.0)),
            upstream("other"),
        )
        stage = Stage(Settings(upstreams=entries, failover=Failover(error_threshold=1)), answer)
        stage.dependencies.wire.simulate("u", "slow", 4.0)
        exchange = await stage.ask(stream=True)
        return exchange.attempts[-1].upstream, stage.bed.health.is_spotless

    assert run(scenario()) == ("other", True)


@pytest.mark.parametrize("messages", [b"[]", b'[{"role":"user"}]', b'"Hello"'])
def test_a_request_that_only_the_upstream_understands_gets_one_clear_error(messages: bytes) -> None:
    """The upstream takes it and answers in another form than was wanted, which only its codec could convert."""

    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            content = b"".join(wire.records("messages", wire.Reply("Hello"), "m"))
            return Reply(200, [("content-type", "text/event-stream")], Body(content))

        stage = Stage(Settings(upstreams=(upstream("u"),)), answer)
        exchange = await stage.ask(body=b'{"model":"m","max_tokens":9,"messages":%b}' % messages)
        assert exchange.failure is not None
        return exchange.outcome, exchange.failure.status, "messages" in exchange.failure.message

    assert run(scenario()) == (Outcome.FAILED, 400, True)
