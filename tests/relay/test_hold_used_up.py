"""What a client gets when its request can be held no longer, in fake time."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from msgspec.structs import replace

from switchyard.exchange import Exchange, Outcome
from switchyard.relay.headers import Headers
from switchyard.relay.upstream import Call, Reply
from switchyard.routing.health import Charge
from switchyard.settings import Failover, Settings
from tests.bed.fake_time import now, run
from tests.bed.stage import Stage, reply, upstream

CLAUDE_CODE = {"user-agent": "claude-cli/2.1.332", "x-claude-code-session-id": "s"}


@dataclass
class Client:
    """`seen`: the status, then what came, then how it ended."""

    started: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)

    async def start(self, status: int, headers: Headers) -> None:
        self.started, self.headers = True, dict(headers)
        self.seen.append(str(status))

    async def write(self, data: bytes) -> None:
        self.seen.append("ping" if b"ping" in data else data.decode())

    async def end(self, data: bytes = b"") -> None:
        self.seen.append(data.decode())

    async def cut(self) -> None:
        self.seen.append("cut")


def limited(wait: str) -> Callable[[], Reply]:
    return lambda: reply(
        429, b'{"error":{"type":"rate_limit_error","message":"slow down"}}', retry_after=wait
    )


def busy() -> Reply:
    return reply(503, b'{"error":{"type":"api_error","message":"busy"}}')


def bad_key() -> Reply:
    return reply(401, b'{"error":{"type":"authentication_error","message":"bad key"}}')


def asked(
    fault: Callable[[], Reply],
    headers: dict[str, str],
    *,
    stream: bool = True,
    known: bool = True,
    **rules: Any,
) -> tuple[Client, float]:
    """The client of one request to an upstream that always fails so, and when it had its end."""

    async def answer(call: Call) -> Reply:
        return fault()

    async def scenario() -> tuple[Client, float]:
        stage = Stage(Settings(upstreams=(upstream("a"),), failover=Failover(**rules)), answer)
        if not known:
            stage.dependencies.answered.clear()
        client = Client()
        exchange = await stage.ask(client, stream=stream, headers=headers)
        assert exchange.outcome is Outcome.FAILED
        return client, now()

    return run(scenario())


def error_of(client: Client) -> dict[str, str]:
    _, _, data = client.seen[-1].rpartition("data: ")
    return dict(json.loads(data)["error"])


def test_claude_code_comes_back_where_the_next_try_is_near() -> None:
    client, ended = asked(limited("20"), CLAUDE_CODE, hold_seconds=50)
    assert (client.seen, ended) == (["200", "ping", "ping", "cut"], 40.0)


def test_claude_code_comes_back_at_once_where_the_hint_is_longer_than_the_hold() -> None:
    client, ended = asked(limited("20"), CLAUDE_CODE, hold_seconds=10)
    assert (client.seen, ended) == (["cut"], 0.0)


def test_its_whole_request_is_cut_too() -> None:
    client, ended = asked(
        limited("20"), {**CLAUDE_CODE, "x-stainless-timeout": "300"}, stream=False, hold_seconds=10
    )
    assert (client.seen, ended) == (["cut"], 0.0)


def test_another_program_is_reported_how_long_to_wait() -> None:
    client, _ = asked(limited("20"), {}, hold_seconds=10)
    assert (client.seen[0], client.headers["retry-after"]) == ("429", "20")


@pytest.mark.parametrize(
    ("fault", "rules"),
    [
        (limited("90"), {"hold_seconds": 10}),
        (bad_key, {"hold_seconds": 10}),
        (limited("20"), {"hold_seconds": 0}),
        (busy, {"hold_seconds": 10, "error_threshold": 1000}),
    ],
    ids=["a recovery that is far", "a failure that does not pass", "no hold at all", "no known recovery"],
)
def test_the_turn_ends_with_a_sentence_otherwise(fault: Callable[[], Reply], rules: dict[str, Any]) -> None:
    client, _ = asked(fault, CLAUDE_CODE, **rules)
    assert client.seen[-1] != "cut"
    assert error_of(client)["message"].startswith('upstream "a": ')


def test_the_turn_ends_where_the_entry_has_never_answered() -> None:
    client, ended = asked(busy, CLAUDE_CODE, known=False, hold_seconds=300, error_threshold=1)
    assert ended <= 20.0
    assert (client.seen[0], error_of(client)["type"]) == ("200", "api_error")


def test_whoever_was_held_but_never_tried_comes_back_too() -> None:
    """The tries are shared: with many held requests some have none of their own."""

    async def answer(call: Call) -> Reply:
        return busy()

    async def scenario() -> tuple[Client, Client]:
        stage = Stage(Settings(upstreams=(upstream("a"),), failover=Failover(hold_seconds=20)), answer)
        first = [asyncio.create_task(stage.ask(stream=True, prompt=f"{n}")) for n in range(10)]
        await asyncio.sleep(5)
        client, other = Client(), Client()
        exchange, _ = await asyncio.gather(
            stage.ask(client, stream=True, headers=CLAUDE_CODE, prompt="late"),
            stage.ask(other, prompt="late", headers={"x-stainless-timeout": "20"}),
        )
        assert (exchange.attempts, round(exchange.held)) == ([], 20)
        await asyncio.gather(*first)
        return client, other

    client, other = run(scenario())
    assert client.seen[-1] == "cut"
    assert (other.seen[0], 0 < int(other.headers["retry-after"]) <= 60) == ("503", True)


def test_an_upstream_that_was_waited_for_and_never_asked_is_named_too() -> None:
    async def scenario() -> object:
        async def answer(call: Call) -> Reply:
            return reply(503, b"{}")

        stage = Stage(Settings(upstreams=(upstream("a"), upstream("b"))), answer)
        hint = Charge("cooldown", retry_after=25.0)
        stage.bed.health.failed("b", "m", hint, "429 slow down", Failover(), now())
        asking = asyncio.create_task(stage.ask(stream=True))
        await asyncio.sleep(10)
        stage.dependencies.hold.give_up()
        exchange = await asking
        assert exchange.failure is not None
        return (
            set(stage.wire.asked),
            "429 slow down" in exchange.failure.message,
            [one for one, _ in exchange.skipped],
        )

    assert run(scenario()) == ({"a"}, True, ["b"])


def cooling_for_an_hour(
    what_comes: Callable[[Stage], object], requests: int = 1, b: Callable[[], Reply] = reply
) -> tuple[list[str], list[Exchange]]:
    """`a` is busy all the time. `b` cools down for longer than anybody is held, until `what_comes`."""

    async def answer(call: Call) -> Reply:
        return busy() if call.upstream == "a" else b()

    async def scenario() -> tuple[list[str], list[Exchange]]:
        rules = Failover(hold_seconds=60)
        stage = Stage(Settings(upstreams=(upstream("a"), upstream("b")), failover=rules), answer)
        hint = Charge("cooldown", retry_after=3600.0, is_reset=True)
        stage.bed.health.failed("b", "m", hint, "429 slow down", Failover(), now())
        asking = [asyncio.create_task(stage.ask(stream=True)) for _ in range(requests)]
        await asyncio.sleep(10)
        what_comes(stage)
        return stage.wire.asked, await asyncio.gather(*asking)

    return run(scenario())


def another_succeeds(stage: Stage) -> None:
    stage.bed.health.succeeded("b", "m")
    stage.dependencies.hold.succeeded("another", ("b", "m"))


@pytest.mark.parametrize(
    "what_comes",
    [
        another_succeeds,
        lambda stage: stage.dependencies.hold.hasten(["b"]),
        lambda stage: stage.dependencies.hold.hasten(),
    ],
    ids=["success", "try now", "try all now"],
)
def test_what_recovers_against_expectation_answers_whoever_is_held(
    what_comes: Callable[[Stage], object],
) -> None:
    asked_ones, [exchange] = cooling_for_an_hour(what_comes)
    assert (asked_ones.count("b"), asked_ones[-1], exchange.outcome) == (1, "b", Outcome.OK)
    assert exchange.held == 10


def test_what_recovers_while_a_held_request_tries_another_upstream_answers_it_too() -> None:
    """One of the two tries `a` when the other finds that `b` answers."""
    _, exchanges = cooling_for_an_hour(lambda stage: stage.dependencies.hold.hasten(), requests=2)
    assert [(one.outcome, one.held) for one in exchanges] == [(Outcome.OK, 10)] * 2


def test_requests_that_expected_no_recovery_keep_no_other_from_trying() -> None:
    """One of three tries `b`, which fails, and goes on as with any failure; the others try `a` meanwhile."""
    asked_ones, _ = cooling_for_an_hour(
        lambda stage: stage.dependencies.hold.hasten(["b"]), requests=3, b=busy
    )
    assert asked_ones.count("b") == 7


def test_what_fails_after_an_edit_is_tried_again_although_it_was_to_cool_down_for_an_hour() -> None:
    def edited(stage: Stage) -> None:
        entries = (upstream("a"), upstream("b", key="new"))
        stage.bed.settings = replace(stage.bed.settings, upstreams=entries)
        stage.bed.health.keep_only({"a"})
        stage.dependencies.hold.keep_only({"a"})
        stage.dependencies.hold.edited()

    asked_ones, _ = cooling_for_an_hour(edited, b=busy)
    assert asked_ones.count("b") == 7


def test_a_request_that_is_given_up_names_an_upstream_that_it_could_still_have_asked() -> None:
    def open_and_given_up(stage: Stage) -> None:
        stage.bed.health.succeeded("b", "m")
        stage.dependencies.hold.give_up()

    asked_ones, [exchange] = cooling_for_an_hour(open_and_given_up)
    assert exchange.failure is not None and set(asked_ones) == {"a"}
    assert 'upstream "b": this request had no try at it' in exchange.failure.message
    assert exchange.skipped == (("b", "this request had no try at it"),)
