"""Reports of held requests, in fake time: rows, counts of a route, and the status line."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from switchyard.exchange import Exchange
from switchyard.relay.upstream import Call, Reply
from switchyard.settings import Failover, Settings, Upstream
from switchyard.web.epochs import Epochs
from switchyard.web.held import HeldRequests
from tests.bed.fake_time import run, settle
from tests.bed.stage import Stage, refused, reply, upstream

BEGAN = 1_000_000
BUSY = b'{"type":"error","error":{"type":"api_error","message":"busy"}}'
Answer = Callable[[Call], Awaitable[Reply]]


async def busy(call: Call) -> Reply:
    return reply(503, BUSY)


async def mixed(call: Call) -> Reply:
    if call.upstream == "b":
        raise refused()
    return reply(503, BUSY)


class Scene:
    """Requests in the running loop's time, and the reports on them."""

    def __init__(self, answer: Answer, *upstreams: Upstream, **rules: Any) -> None:
        loop = asyncio.get_running_loop()
        self.stage = Stage(Settings(upstreams=upstreams, failover=Failover(**rules)), answer)
        self.held = HeldRequests(self.stage.dependencies.hold, Epochs(loop.time, lambda: BEGAN + loop.time()))
        self.tasks: list[asyncio.Task[Exchange]] = []

    def ask(self, model: str = "m", **headers: str) -> None:
        reported = {name.replace("_", "-"): value for name, value in headers.items()}
        self.tasks.append(asyncio.create_task(self.stage.ask(stream=True, model=model, headers=reported)))

    async def give_up(self) -> None:
        await settle()
        self.stage.dependencies.hold.give_up()
        await asyncio.gather(*self.tasks)


def test_a_row_shows_what_a_request_waits_for_and_since_when() -> None:
    async def scenario() -> Any:
        scene = Scene(mixed, upstream("a"), upstream("b", models={"*": "qwen"}))
        scene.ask(user_agent="claude-cli/2.1.197 (external)", x_claude_code_session_id="d3b07384-1111-2222")
        await asyncio.sleep(8.4)
        rows = scene.held.rows()
        ids = [exchange.id for exchange in scene.stage.bed.opened]
        await scene.give_up()
        return rows, ids, scene.held.rows()

    rows, ids, rest = run(scenario())
    assert rows == [
        {
            "id": ids[0],
            "protocol": "messages",
            "client": "",
            "agent": "claude-cli/2.1.197 (external)",
            "model": "m",
            "session": "d3b07384-1111",
            "since": BEGAN,
            "until": BEGAN + 300,
            "next_try": BEGAN + 15,
            "queued": False,
            "upstreams": [
                {"upstream": "a", "model": "m", "reason": "503 busy", "tries": 4},
                {"upstream": "b", "model": "qwen", "reason": "cannot connect", "tries": 4},
            ],
        }
    ]
    assert rest == []


def test_the_oldest_comes_first_and_a_report_changes_only_with_what_it_reports() -> None:
    async def scenario() -> object:
        scene = Scene(busy, upstream("a"))
        scene.ask("first")
        await asyncio.sleep(0.3)
        scene.ask("second")
        await asyncio.sleep(7.2)
        seen = []
        for _ in range(20):
            await asyncio.sleep(0.3)
            seen.append(scene.held.rows())
        await scene.give_up()
        return seen

    seen: Any = run(scenario())
    assert [row["model"] for row in seen[0]] == ["first", "second"]
    assert all(rows == seen[0] for rows in seen)


def test_what_has_never_answered_is_given_up_earlier_and_the_row_says_so() -> None:
    async def scenario() -> object:
        scene = Scene(busy, upstream("a"))
        scene.stage.dependencies.answered.clear()
        scene.ask()
        await settle()
        (row,) = scene.held.rows()
        (exchange,) = await asyncio.gather(*scene.tasks)
        return row["until"], round(exchange.held)

    assert run(scenario()) == (BEGAN + 20, 20)


def test_while_a_try_is_under_way_no_next_one_is_announced() -> None:
    async def scenario() -> object:
        async def slow(call: Call) -> Reply:
            await asyncio.sleep(5)
            return reply(503, BUSY)

        scene = Scene(slow, upstream("a"))
        scene.ask()
        scene.ask()
        await asyncio.sleep(5.5)
        waiting = [row["next_try"] for row in scene.held.rows()]
        await asyncio.sleep(1)
        trying = [row["next_try"] for row in scene.held.rows()]
        phrase = scene.held.phrase("messages")
        await scene.give_up()
        return waiting, trying, phrase

    waiting = [BEGAN + 6, BEGAN + 6]
    assert run(scenario()) == (waiting, [None, None], "held: 2 (a: 503, trying now)")


def test_a_request_that_waits_for_a_slot_of_a_recovered_upstream_is_queued() -> None:
    async def scenario() -> Any:
        loop = asyncio.get_running_loop()

        async def recovering(call: Call) -> Reply:
            if loop.time() < 5:
                return reply(503, BUSY)
            await asyncio.sleep(30)
            return reply()

        scene = Scene(recovering, upstream("a", max_concurrency=1))
        for _ in range(3):
            scene.ask()
        await asyncio.sleep(50)
        rows = scene.held.rows()
        phrase = scene.held.phrase("messages")
        outcomes = {one.outcome for one in await asyncio.gather(*scene.tasks)}
        return [(row["queued"], row["next_try"]) for row in rows], phrase, outcomes

    rows, phrase, outcomes = run(scenario())
    assert rows == [(True, None), (False, None)]
    assert phrase == "held: 2 (waiting for a free slot)"
    assert outcomes == {"ok"}


def test_a_cooldown_that_the_request_has_not_caused_is_its_reason_too() -> None:
    async def scenario() -> object:
        scene = Scene(busy, upstream("a"), error_threshold=1)
        scene.ask("m")
        await asyncio.sleep(0.5)
        scene.ask("m")
        await settle()
        reasons = [row["upstreams"] for row in scene.held.rows()]
        await scene.give_up()
        return reasons[1]

    assert run(scenario()) == [{"upstream": "a", "model": "m", "reason": "503 busy", "tries": 0}]


@pytest.mark.parametrize("key", ["sk-secret-of-a", "another/secret+key"])
def test_no_reason_holds_a_key(key: str) -> None:
    async def scenario() -> object:
        async def repeating(call: Call) -> Reply:
            return reply(503, b'{"error":{"message":"overloaded for %s"}}' % key.encode())

        scene = Scene(repeating, upstream("a", key=key), error_threshold=1)
        scene.ask()
        await settle()
        scene.ask()
        await settle()
        reported = str(scene.held.rows()) + scene.held.phrase("messages")
        await scene.give_up()
        return key in reported, reported.count("[key]")

    assert run(scenario()) == (False, 2)


def test_the_requests_held_for_a_route_are_counted_by_upstream_and_model() -> None:
    async def scenario() -> object:
        scene = Scene(busy, upstream("a"), upstream("b", models={"*": "qwen"}))
        for model in ("x", "y", "x"):
            scene.ask(model)
        await asyncio.sleep(7.5)
        found = scene.held.of_targets([("a", "x"), ("b", "qwen"), ("a", "z"), ("a", "x")])
        await scene.give_up()
        return [(one["upstream"], one["model"], one["requests"]) for one in found]

    assert run(scenario()) == [("a", "x", 2), ("b", "qwen", 3)]


def test_the_phrase_is_that_of_the_client_and_short() -> None:
    async def scenario() -> object:
        entries = [upstream(name) for name in ("a", "b\x1b", "c" * 99)]
        scene = Scene(mixed, *entries)
        scene.ask()
        await asyncio.sleep(8.5)
        phrases = scene.held.phrase("messages"), scene.held.phrase("chat")
        await scene.give_up()
        return phrases

    assert run(scenario()) == ("held: 1 (a: 503, b?: 503, next try 7 s)", "")
